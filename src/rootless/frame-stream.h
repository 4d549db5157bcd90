/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames over a stream socket in an event loop, with bounded queues in both directions. */

#include "proto/frame.h"

#include <systemd/sd-event.h>

/* What is queued for a slow reader at most; above half of it frame_stream_is_full(). */
#define FRAME_STREAM_OUT_MAX (1024U * 1024U)

typedef struct FrameStream FrameStream;

typedef enum FrameStreamEnd {
        FRAME_STREAM_CLOSED,    /* by the peer */
        FRAME_STREAM_MALFORMED, /* no frame, or descriptors that no frame took */
        FRAME_STREAM_BROKEN,    /* a fault of our own: no memory, a queue that nobody paused for */
} FrameStreamEnd;

typedef struct FrameStreamHandlers {
        /* One frame. `fd` is the descriptor that came with it, or negative: taken over where it is set to
         * -EBADF. frame_stream_done() may be called in it. */
        void (*frame)(FrameStream *stream, const Frame *frame, int *fd, void *userdata);
        /* All that was queued is sent. May be NULL. */
        void (*drained)(FrameStream *stream, void *userdata);
        /* Once; nothing comes any more. */
        void (*ended)(FrameStream *stream, FrameStreamEnd end, void *userdata);
} FrameStreamHandlers;

#define FRAME_STREAM_FDS_MAX 2U

/* Lies in its owner, which must not be freed from a handler (but may be soon after). Zero-initialised is
 * done. */
struct FrameStream {
        const FrameStreamHandlers *handlers;
        void *userdata;
        sd_event_source *source; /* owns the socket */
        int fd;
        Buffer in, out;
        int fds[FRAME_STREAM_FDS_MAX]; /* came, and wait for their frame */
        size_t n_fds;
        bool paused, resumed, ending;
};

/* Takes the socket over, whatever is returned. */
int frame_stream_init(FrameStream *stream, sd_event *event, int fd, const FrameStreamHandlers *handlers,
                      void *userdata) _warn_unused_;
void frame_stream_done(FrameStream *stream);
static inline bool frame_stream_is_open(const FrameStream *stream)
{
        return stream->source != NULL;
}

/* Stops and resumes reading. */
void frame_stream_pause(FrameStream *stream, bool paused);
static inline bool frame_stream_is_paused(const FrameStream *stream)
{
        return stream->paused;
}
/* Where frames are to be queued: call frame_stream_flush() when they are. */
static inline Buffer *frame_stream_out(FrameStream *stream)
{
        return &stream->out;
}
void frame_stream_flush(FrameStream *stream);
/* Queues one frame. -ENOBUFS where the peer does not read. */
int frame_stream_send(FrameStream *stream, FrameType type, uint16_t flags, const void *payload,
                      size_t size) _warn_unused_;
static inline bool frame_stream_is_full(const FrameStream *stream)
{
        return stream->out.size > FRAME_STREAM_OUT_MAX / 2;
}
