/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ZMQ_FD says only "look at ZMQ_EVENTS", once, and any send or receive may swallow its edge. So three event
 * sources stand for one socket: an io source on ZMQ_FD, which does nothing but wake the loop; its prepare
 * callback, which runs before every poll, reads ZMQ_EVENTS and switches the third, a defer source, on or
 * off; and the defer source, which takes a budget of messages so that timers and other sockets get their
 * turn. */

#include "zmq-source.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define N_MESSAGES_A_TURN 32U

struct ZmqSource {
        void *socket;            /* owned */
        sd_event_source *wakeup; /* owned, like the next */
        sd_event_source *work;
        zmq_source_handler_t handler;
        void *userdata;
};

static void message_done(ZmqMessage *message)
{
        for (size_t i = 0; i < message->n_frames; i++)
                (void) zmq_msg_close(&message->frames[i]);
        message->n_frames = 0;
}

/* Receives one whole message; what is beyond ZMQ_N_FRAMES_MAX is dropped. 0, -EAGAIN, or -errno. */
static int receive(void *socket, ZmqMessage *message)
{
        zmq_msg_t dropped;
        bool is_more;

        do {
                message->too_many = message->n_frames == ZMQ_N_FRAMES_MAX;
                zmq_msg_t *frame = message->too_many ? &dropped : &message->frames[message->n_frames];
                int n;

                (void) zmq_msg_init(frame);
                do
                        n = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
                while (n < 0 && errno == EINTR);
                is_more = n >= 0 && zmq_msg_more(frame);
                if (n < 0 || message->too_many)
                        (void) zmq_msg_close(frame);
                else
                        message->n_frames++;
                if (n < 0)
                        return -errno;
        } while (is_more);
        return 0;
}

static int on_wakeup(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        return 0;
}

static int on_prepare(sd_event_source *source, void *userdata)
{
        ZmqSource *s = userdata;
        size_t size = sizeof(int);
        int events;

        if (zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) < 0)
                return errno == EINTR ? 0 : -errno;
        return sd_event_source_set_enabled(s->work, events & ZMQ_POLLIN ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_work(sd_event_source *source, void *userdata)
{
        ZmqSource *s = userdata;
        int r = 0;

        for (size_t i = 0; i < N_MESSAGES_A_TURN && r >= 0; i++) {
                ZmqMessage message = {};

                r = receive(s->socket, &message);
                if (r == 0)
                        r = s->handler(s, &message, s->userdata);
                message_done(&message);
        }
        return r == -EAGAIN ? 0 : r;
}

int zmq_source_new(sd_event *event, void *socket, zmq_source_handler_t handler, void *userdata,
                   ZmqSource **ret)
{
        _cleanup_(zmq_source_freep) ZmqSource *s = calloc(1, sizeof(ZmqSource));
        size_t size = sizeof(int);
        int fd, r;

        if (!s)
                return -ENOMEM;
        s->handler = handler;
        s->userdata = userdata;
        if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
                return -errno;
        r = sd_event_add_defer(event, &s->work, on_work, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->work, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &s->wakeup, fd, EPOLLIN, on_wakeup, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_prepare(s->wakeup, on_prepare);
        if (r < 0)
                return r;
        s->socket = socket;
        *ret = TAKE_PTR(s);
        return 0;
}

ZmqSource *zmq_source_free(ZmqSource *source)
{
        if (!source)
                return NULL;
        sd_event_source_disable_unref(source->wakeup);
        sd_event_source_disable_unref(source->work);
        if (source->socket)
                (void) zmq_close(source->socket);
        free(source);
        return NULL;
}

void *zmq_source_socket(ZmqSource *source)
{
        return source->socket;
}

static int send_error(int error)
{
        switch (error) {
        case EHOSTUNREACH:
                return ZMQ_GONE;
        case EAGAIN:
                return ZMQ_FULL;
        default:
                return -error;
        }
}

int zmq_source_send(ZmqSource *source, const Bytes *frames, size_t n_frames)
{
        for (size_t i = 0; i < n_frames; i++) {
                int flags = ZMQ_DONTWAIT | (i + 1 < n_frames ? ZMQ_SNDMORE : 0), n;

                do
                        n = zmq_send(source->socket, frames[i].data, frames[i].size, flags);
                while (n < 0 && errno == EINTR);
                if (n < 0)
                        return send_error(errno);
        }
        return 0;
}
