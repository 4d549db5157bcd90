/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A ZeroMQ socket in an sd-event loop: whole messages in by a callback, whole messages out. Never blocks:
 * what waits for a slow peer is bounded by the socket's high-water mark. */

#include "basic/io-util.h"

#include <systemd/sd-event.h>
#include <zmq.h>

#define ZMQ_N_FRAMES_MAX 8U

/* A received message, valid during the callback. */
typedef struct ZmqMessage {
        zmq_msg_t frames[ZMQ_N_FRAMES_MAX];
        size_t n_frames;
        bool too_many; /* there were more frames than ZMQ_N_FRAMES_MAX: the rest was dropped */
} ZmqMessage;

typedef struct ZmqSource ZmqSource;

/* < 0 ends the event loop. */
typedef int (*zmq_source_handler_t)(ZmqSource *source, ZmqMessage *message, void *userdata);

/* Takes over `socket` (a ZeroMQ socket) on success; closes it when freed. */
int zmq_source_new(sd_event *event, void *socket, zmq_source_handler_t handler, void *userdata,
                   ZmqSource **ret) _warn_unused_;
ZmqSource *zmq_source_free(ZmqSource *source);
/* The socket, borrowed: for options, binding and connecting. */
void *zmq_source_socket(ZmqSource *source);

/* Sends copies of the frames as one message. 0; ZMQ_GONE where a ROUTER knows no such peer; ZMQ_FULL where
 * the peer does not read and its queue is full (the message is dropped); -errno. */
enum {
        ZMQ_GONE = 1,
        ZMQ_FULL = 2,
};
int zmq_source_send(ZmqSource *source, const Bytes *frames, size_t n_frames) _warn_unused_;

DEFINE_CLEANUP(ZmqSource *, zmq_source_free)
