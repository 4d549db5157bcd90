/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request, one answer: who is this, and may they come in. The id of the principal is the User-Id that
 * libzmq then attaches to each of their messages. */

#include "zap.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"
#include "shared/zmq-source.h"

#include <errno.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_VERSION  "1.0"

#define LOG_INTERVAL_USEC USEC_PER_SEC

/* The frames of a request. */
enum {
        ZAP_REQUEST_VERSION,
        ZAP_REQUEST_ID,
        ZAP_REQUEST_DOMAIN,
        ZAP_REQUEST_ADDRESS,
        ZAP_REQUEST_IDENTITY,
        ZAP_REQUEST_MECHANISM,
        _ZAP_REQUEST_MIN,
        ZAP_REQUEST_KEY = _ZAP_REQUEST_MIN, /* of CURVE */
};

struct Zap {
        ZmqSource *source; /* owned */
        Principals *principals;
        uint64_t n_refused;
        usec_t next_log_usec;
};

static char *frame_text(ZmqMessage *message, size_t i)
{
        return strndup(zmq_msg_data(&message->frames[i]), zmq_msg_size(&message->frames[i]));
}

static Bytes text_bytes(const char *text)
{
        return (Bytes){ text, strlen(text) };
}

/* `id` is NULL where they may not come in. */
static int zap_answer(Zap *zap, ZmqMessage *request, const char *id)
{
        const Bytes frames[] = {
                text_bytes(ZAP_VERSION),
                { zmq_msg_data(&request->frames[ZAP_REQUEST_ID]),
                  zmq_msg_size(&request->frames[ZAP_REQUEST_ID]) },
                text_bytes(id ? "200" : "400"),
                text_bytes(id ? "OK" : "not allowed"),
                text_bytes(id ?: ""),
                { "", 0 },
        };
        int r = zmq_source_send(zap->source, frames, ARRAY_SIZE(frames));

        return r < 0 ? r : 0;
}

/* Those who try again and again are told of now and then only. */
static void log_refusal(Zap *zap, const char *address, const char *domain)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        zap->n_refused++;
        if (now < zap->next_log_usec)
                return;
        log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_CONNECTION_REFUSED }),
                   "A connection from %s is refused%s", address,
                   streq(domain, DOMAIN_KEYS) ? ": its key is not known" : "");
        zap->next_log_usec = now + LOG_INTERVAL_USEC;
}

static int on_request(ZmqSource *source, ZmqMessage *message, void *userdata)
{
        _cleanup_free_ char *domain = NULL, *address = NULL, *mechanism = NULL;
        const Principal *principal = NULL;
        char id[PRINCIPAL_ID_SIZE];
        Zap *zap = userdata;
        Caller caller = {};
        int r;

        if (message->n_frames < _ZAP_REQUEST_MIN)
                return -EPROTO; /* libzmq itself is the peer */
        caller.domain = domain = frame_text(message, ZAP_REQUEST_DOMAIN);
        caller.address = address = frame_text(message, ZAP_REQUEST_ADDRESS);
        caller.mechanism = mechanism = frame_text(message, ZAP_REQUEST_MECHANISM);
        if (!domain || !address || !mechanism)
                return -ENOMEM;
        if (message->n_frames > ZAP_REQUEST_KEY &&
            zmq_msg_size(&message->frames[ZAP_REQUEST_KEY]) == KEY_SIZE)
                caller.key = zmq_msg_data(&message->frames[ZAP_REQUEST_KEY]);
        r = principals_find(zap->principals, &caller, id, &principal);
        if (r < 0 && r != -EPERM)
                return r;
        if (!principal)
                log_refusal(zap, address, domain);
        return zap_answer(zap, message, principal ? id : NULL);
}

int zap_new(sd_event *event, void *context, Principals *principals, Zap **ret)
{
        _cleanup_(zap_freep) Zap *zap = calloc(1, sizeof(Zap));
        void *socket;
        int r;

        if (!zap)
                return -ENOMEM;
        zap->principals = principals;
        socket = zmq_socket(context, ZMQ_REP);
        if (!socket)
                return -errno;
        r = zmq_source_new(event, socket, on_request, zap, &zap->source);
        if (r < 0) {
                (void) zmq_close(socket);
                return r;
        }
        if (zmq_bind(socket, ZAP_ENDPOINT) < 0)
                return -errno;
        *ret = TAKE_PTR(zap);
        return 0;
}

Zap *zap_free(Zap *zap)
{
        if (!zap)
                return NULL;
        zmq_source_free(zap->source);
        free(zap);
        return NULL;
}

uint64_t zap_n_refused(const Zap *zap)
{
        return zap->n_refused;
}
