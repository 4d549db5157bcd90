/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ZeroMQ DEALER socket, blocking: for tools that do one thing after the other. It speaks as a REQ socket
 * does, and can hear of progress before the reply. libzmq tries for ever to
 * connect and says nothing meanwhile, so for a unix socket the file is asked first whether it is there and
 * open to this user; and a monitor tells when a router does not let it in. */

#include "client.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"

#include <errno.h>
#include <unistd.h>
#include <zmq.h>

#define REPLY_SIZE_MAX_BYTES INT64_C(33554432)
#define STATUS_CODE_MIN      100
#define STATUS_CODE_MAX      999
#define MONITOR              "inproc://client-monitor"
#define HANDSHAKE_FAILED                                                              \
        (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct Client {
        void *context, *socket, *monitor; /* owned */
        ClientProgressHandler progress;   /* or NULL */
        void *userdata;
};

void client_reply_done(ClientReply *reply)
{
        buffer_done(&reply->text);
        json_object_put(reply->object);
        *reply = (ClientReply){};
}

const char *client_reply_error(const ClientReply *reply)
{
        json_object *context = json_object_object_get(reply->object, "context");

        return json_text(json_object_object_get(context, "error_detail"), "error");
}

Client *client_free(Client *client)
{
        if (!client)
                return NULL;
        if (client->socket)
                (void) zmq_socket_monitor(client->socket, NULL, 0);
        if (client->monitor)
                (void) zmq_close(client->monitor);
        if (client->socket)
                (void) zmq_close(client->socket);
        if (client->context)
                (void) zmq_ctx_term(client->context);
        free(client);
        return NULL;
}

/* Whether a unix socket can be used. */
static int check_access(const char *address)
{
        const char *path = string_after(address, "ipc://");

        if (!path || access(path, R_OK | W_OK) == 0)
                return 0;
        return errno == EACCES ? CLIENT_NOT_ALLOWED : CLIENT_NO_ROUTER;
}

static int set_options(void *socket)
{
        int64_t size_max = REPLY_SIZE_MAX_BYTES;
        int linger = 0, ipv6 = 1;

        if (zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
            zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof(ipv6)) < 0 ||
            zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) < 0)
                return -errno;
        return 0;
}

static int open_monitor(Client *client)
{
        int linger = 0;

        if (zmq_socket_monitor(client->socket, MONITOR, HANDSHAKE_FAILED) < 0)
                return -errno;
        client->monitor = zmq_socket(client->context, ZMQ_PAIR);
        if (!client->monitor || zmq_setsockopt(client->monitor, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
            zmq_connect(client->monitor, MONITOR) < 0)
                return -errno;
        return 0;
}

int client_new(const char *address, const KeyFile *key, Client **ret)
{
        _cleanup_(client_freep) Client *client = calloc(1, sizeof(Client));
        int r;

        if (!client)
                return -ENOMEM;
        address = address ?: CLIENT_ROUTER_DEFAULT;
        r = check_access(address);
        if (r != 0)
                return r;
        client->context = zmq_ctx_new();
        client->socket = client->context ? zmq_socket(client->context, ZMQ_DEALER) : NULL;
        if (!client->socket)
                return -errno;
        r = set_options(client->socket);
        if (r >= 0 && key)
                r = key_file_apply(key, client->socket);
        if (r >= 0)
                r = open_monitor(client);
        if (r < 0)
                return r;
        if (zmq_connect(client->socket, address) < 0)
                return errno == ENOMEM || errno == EMFILE ? -errno : CLIENT_BAD_ADDRESS;
        *ret = TAKE_PTR(client);
        return 0;
}

/* Waits for the reply; signals do not end it. */
static int await(const Client *client, usec_t timeout_usec)
{
        usec_t end = now_usec(CLOCK_MONOTONIC) + timeout_usec;

        for (;;) {
                zmq_pollitem_t items[] = { { .socket = client->socket, .events = ZMQ_POLLIN },
                                           { .socket = client->monitor, .events = ZMQ_POLLIN } };
                usec_t now = now_usec(CLOCK_MONOTONIC);
                int n;

                if (now >= end)
                        return CLIENT_NO_ANSWER;
                n = zmq_poll(items, ARRAY_SIZE(items),
                             (long) ((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
                if (n > 0)
                        return items[0].revents ? 0 : CLIENT_KEPT_OUT;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

/* Three digits, as every status has. */
static unsigned status_code(json_object *object)
{
        json_object *status = json_object_object_get(object, "status"),
                    *value = json_object_is_type(status, json_type_object)
                                     ? json_object_object_get(status, "status_code")
                                     : NULL;
        int64_t code = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;

        return code >= STATUS_CODE_MIN && code <= STATUS_CODE_MAX ? (unsigned) code : 0;
}

int client_reply_parse(const void *data, size_t size, ClientReply *ret)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        _cleanup_free_ char *error = NULL;
        int r;

        r = json_object_from_bytes(data, size, &reply.object, &error);
        if (r != 0)
                return r < 0 ? r : CLIENT_BAD_REPLY;
        r = buffer_append(&reply.text, data, size, SIZE_MAX);
        if (r >= 0)
                r = buffer_append(&reply.text, "", 1, SIZE_MAX);
        if (r < 0)
                return r;
        reply.text.size--;
        reply.code = status_code(reply.object);
        if (reply.code == 0 && json_object_object_get_ex(reply.object, "status", NULL))
                return CLIENT_BAD_REPLY;
        *ret = reply;
        reply = (ClientReply){};
        return 0;
}

static uint64_t step_number(json_object *progress, const char *name)
{
        json_object *value = json_object_object_get(progress, name);

        return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

int client_reply_progress(const ClientReply *reply, ClientProgress *ret)
{
        json_object *progress = json_object_object_get(reply->object, "progress");

        if (reply->code != 0 || !json_object_is_type(progress, json_type_object))
                return CLIENT_BAD_REPLY;
        *ret = (ClientProgress){ json_text(progress, "text"), step_number(progress, "step"),
                                 step_number(progress, "steps") };
        return 0;
}

void client_on_progress(Client *client, ClientProgressHandler handler, void *userdata)
{
        client->progress = handler;
        client->userdata = userdata;
}

/* CLIENT_AGAIN where it was no reply yet. */
enum {
        CLIENT_AGAIN = 100,
};
/* What is no reply, but says how far it is. */
static int take_progress(const Client *client, const ClientReply *reply)
{
        ClientProgress progress;
        int r = client->progress ? client_reply_progress(reply, &progress) : CLIENT_BAD_REPLY;

        if (r != 0)
                return r;
        client->progress(progress.text, progress.step, progress.n_steps, client->userdata);
        return CLIENT_AGAIN;
}

static int receive_frames(const Client *client, zmq_msg_t *message, ClientReply *reply)
{
        int r;

        if (zmq_msg_recv(message, client->socket, 0) < 0)
                return -errno;
        if (zmq_msg_size(message) > 0 || !zmq_msg_more(message))
                return CLIENT_BAD_REPLY;
        if (zmq_msg_recv(message, client->socket, 0) < 0)
                return -errno;
        if (zmq_msg_more(message))
                return CLIENT_BAD_REPLY;
        r = client_reply_parse(zmq_msg_data(message), zmq_msg_size(message), reply);
        return r == 0 && reply->code == 0 ? take_progress(client, reply) : r;
}

static int receive(const Client *client, ClientReply *ret)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        zmq_msg_t message;
        int r;

        (void) zmq_msg_init(&message);
        r = receive_frames(client, &message, &reply);
        (void) zmq_msg_close(&message);
        if (r != 0)
                return r;
        *ret = reply;
        reply = (ClientReply){};
        return 0;
}

int client_ask(Client *client, json_object *request, usec_t timeout_usec, ClientReply *ret)
{
        const char *text = json_object_text(request);
        usec_t end = now_usec(CLOCK_MONOTONIC) + timeout_usec, now;
        int r = CLIENT_AGAIN;

        if (!text)
                return -ENOMEM;
        if (zmq_send(client->socket, "", 0, ZMQ_SNDMORE) < 0 ||
            zmq_send(client->socket, text, strlen(text), 0) < 0)
                return -errno;
        while (r == CLIENT_AGAIN) {
                now = now_usec(CLOCK_MONOTONIC);
                r = await(client, end > now ? end - now : 0);
                if (r == 0)
                        r = receive(client, ret);
        }
        return r;
}
