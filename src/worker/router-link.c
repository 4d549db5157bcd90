/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A DEALER socket and its monitor. libzmq reconnects by itself, but the router knows a worker by its
 * connection: so the monitor tells when a connection stands, and each begins with a hello. Nothing is sent
 * in between, so that no old heartbeats wait in a queue for a router that is away.
 *
 * A router that is connected and silent hangs, or has forgotten this worker: then everything is thrown away
 * and begun anew. That is done from a timer only, never while a message of the socket is being handled. */

#include "router-link.h"

#include "basic/string-util.h"
#include "shared/zmq-source.h"

#include <errno.h>

#define HEARTBEAT_USEC_DEFAULT USEC_PER_SEC
#define DEAD_USEC_DEFAULT      (4 * USEC_PER_SEC)
#define LINGER_MSEC            1000
#define HANDSHAKE_FAILED                                                              \
        (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define MONITOR_EVENTS     (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | HANDSHAKE_FAILED | ZMQ_EVENT_DISCONNECTED)
#define TICK_ACCURACY_USEC (10 * USEC_PER_MSEC)

struct RouterLink {
        sd_event *event; /* borrowed: its owner outlives the link */
        RouterPlace place;
        const RouterLinkHandlers *handlers;
        void *userdata;
        void *context; /* of ZeroMQ; owned */
        ZmqSource *socket, *monitor;
        sd_event_source *tick;
        bool is_connected;
        bool is_kept_out;                             /* and that was told */
        usec_t heartbeat_usec, dead_usec, heard_usec; /* the last on the monotonic clock */
};

static const struct {
        int option, value;
} socket_options[] = {
        { ZMQ_LINGER, LINGER_MSEC },
        { ZMQ_SNDHWM, 1000 },
        { ZMQ_RCVHWM, 1000 },
        { ZMQ_RECONNECT_IVL, 50 },
        { ZMQ_RECONNECT_IVL_MAX, 1000 },
        { ZMQ_HANDSHAKE_IVL, 5000 },
        { ZMQ_HEARTBEAT_IVL, 1000 },
        { ZMQ_HEARTBEAT_TIMEOUT, 4000 },
        { ZMQ_IPV6, 1 },
};

static int set_options(void *socket)
{
        int64_t size_max = PEER_PART_SIZE_MAX;

        for (size_t i = 0; i < ARRAY_SIZE(socket_options); i++)
                if (zmq_setsockopt(socket, socket_options[i].option, &socket_options[i].value, sizeof(int)) <
                    0)
                        return -errno;
        return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) < 0 ? -errno : 0;
}

static void frames_of(ZmqMessage *message, Bytes *frames)
{
        for (size_t i = 0; i < message->n_frames; i++)
                frames[i] = (Bytes){ zmq_msg_data(&message->frames[i]), zmq_msg_size(&message->frames[i]) };
}

static int on_message(ZmqSource *source, ZmqMessage *message, void *userdata)
{
        RouterLink *link = userdata;
        _cleanup_(peer_message_done) PeerMessage parsed = {};
        _cleanup_free_ char *error = NULL;
        Bytes frames[ZMQ_N_FRAMES_MAX];
        int r;

        link->heard_usec = now_usec(CLOCK_MONOTONIC);
        if (message->too_many)
                return 0;
        frames_of(message, frames);
        r = peer_message_parse(frames, message->n_frames, &parsed, &error);
        if (r != 0)
                return r < 0 ? r : 0; /* not of this protocol, or of a later one: dropped */
        return link->handlers->message(link, &parsed, link->userdata);
}

/* Said once: it is tried again all the time. */
static int on_kept_out(RouterLink *link, uint16_t event)
{
        const char *why = "it does not know this worker's key";

        if (link->is_kept_out)
                return 0;
        link->is_kept_out = true;
        if (link->place.key->secret[0] == '\0')
                why = "it lets nobody in without a key";
        else if (event != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
                why = "it is not the one that this worker's key is for";
        return link->handlers->lost(link, why, link->userdata);
}

static int on_monitor(ZmqSource *source, ZmqMessage *message, void *userdata)
{
        RouterLink *link = userdata;
        uint16_t event;

        if (message->n_frames == 0 || zmq_msg_size(&message->frames[0]) < sizeof(event))
                return 0;
        memcpy(&event, zmq_msg_data(&message->frames[0]), sizeof(event));
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && !link->is_connected) {
                link->is_connected = true;
                link->is_kept_out = false;
                link->heard_usec = now_usec(CLOCK_MONOTONIC);
                return link->handlers->connected(link, link->userdata);
        }
        if (event & HANDSHAKE_FAILED)
                return on_kept_out(link, event);
        if (event == ZMQ_EVENT_DISCONNECTED && link->is_connected) {
                link->is_connected = false;
                return link->handlers->lost(link, "the connection broke", link->userdata);
        }
        return 0;
}

static void close_sockets(RouterLink *link)
{
        link->is_connected = false;
        if (link->socket)
                (void) zmq_socket_monitor(zmq_source_socket(link->socket), NULL, 0);
        link->monitor = zmq_source_free(link->monitor);
        link->socket = zmq_source_free(link->socket);
}

static int source_new(RouterLink *link, void *socket, zmq_source_handler_t handler, ZmqSource **ret)
{
        int r;

        if (!socket)
                return -errno;
        r = zmq_source_new(link->event, socket, handler, link, ret);
        if (r < 0)
                (void) zmq_close(socket);
        return r;
}

static int open_monitor(RouterLink *link)
{
        _cleanup_free_ char *suffix = random_hex(8);
        _cleanup_free_ char *place = suffix ? string_format("inproc://monitor-%s", suffix) : NULL;
        int r;

        if (!place)
                return -ENOMEM;
        if (zmq_socket_monitor(zmq_source_socket(link->socket), place, MONITOR_EVENTS) < 0)
                return -errno;
        r = source_new(link, zmq_socket(link->context, ZMQ_PAIR), on_monitor, &link->monitor);
        if (r < 0)
                return r;
        return zmq_connect(zmq_source_socket(link->monitor), place) < 0 ? -errno : 0;
}

static int open_sockets(RouterLink *link)
{
        int r;

        r = source_new(link, zmq_socket(link->context, ZMQ_DEALER), on_message, &link->socket);
        if (r < 0)
                return r;
        r = set_options(zmq_source_socket(link->socket));
        if (r >= 0 && link->place.key->secret[0] != '\0')
                r = key_file_apply(link->place.key, zmq_source_socket(link->socket));
        if (r < 0)
                return r;
        r = open_monitor(link);
        if (r < 0)
                return r;
        link->heard_usec = now_usec(CLOCK_MONOTONIC);
        return zmq_connect(zmq_source_socket(link->socket), link->place.address) < 0 ? -errno : 0;
}

static int reopen(RouterLink *link)
{
        int r;

        if (link->is_connected) {
                r = link->handlers->lost(link, "it is silent", link->userdata);
                if (r < 0)
                        return r;
        }
        close_sockets(link);
        return open_sockets(link);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        RouterLink *link = userdata;
        int r = 0;

        if (now_usec(CLOCK_MONOTONIC) - link->heard_usec > link->dead_usec)
                r = reopen(link);
        else if (link->is_connected)
                r = link->handlers->beat(link, link->userdata);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_relative(source, link->heartbeat_usec);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int router_link_new(sd_event *event, const RouterPlace *place, const RouterLinkHandlers *handlers,
                    void *userdata, RouterLink **ret)
{
        _cleanup_(router_link_freep) RouterLink *link = malloc(sizeof(RouterLink));
        int r;

        if (!link)
                return -ENOMEM;
        *link = (RouterLink){
                .event = event,
                .place = *place,
                .handlers = handlers,
                .userdata = userdata,
                .context = zmq_ctx_new(),
                .heartbeat_usec = HEARTBEAT_USEC_DEFAULT,
                .dead_usec = DEAD_USEC_DEFAULT,
        };
        if (!link->context)
                return -errno;
        r = open_sockets(link);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &link->tick, CLOCK_MONOTONIC, link->heartbeat_usec,
                                       TICK_ACCURACY_USEC, on_tick, link);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(link);
        return 0;
}

RouterLink *router_link_free(RouterLink *link)
{
        if (!link)
                return NULL;
        sd_event_source_disable_unref(link->tick);
        close_sockets(link);
        if (link->context)
                (void) zmq_ctx_term(link->context);
        free(link);
        return NULL;
}

void router_link_set_times(RouterLink *link, usec_t heartbeat_usec, usec_t dead_usec)
{
        if (heartbeat_usec == link->heartbeat_usec && dead_usec == link->dead_usec)
                return;
        link->heartbeat_usec = heartbeat_usec;
        link->dead_usec = dead_usec;
        (void) sd_event_source_set_time_relative(link->tick, heartbeat_usec);
}

int router_link_send(RouterLink *link, PeerType type, json_object *body, const Bytes *parts, size_t n_parts)
{
        _cleanup_(peer_message_done)
                PeerMessage message = { .type = type, .body = body, .n_parts = n_parts };
        Bytes frames[PEER_N_FRAMES_MAX];
        size_t n_frames;
        int r;

        assert(n_parts <= PEER_N_PARTS_MAX);
        for (size_t i = 0; i < n_parts; i++)
                message.parts[i] = parts[i];
        if (!link->is_connected)
                return 0;
        r = peer_message_frames(&message, frames, &n_frames);
        if (r < 0)
                return r;
        r = zmq_source_send(link->socket, frames, n_frames);
        return r < 0 ? r : 0;
}
