/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One io source a socket. What came is parsed after each read, so at most one unfinished frame stays; what
 * cannot be sent at once is queued, and the source then also waits to write. A stream may be closed from any
 * of its handlers: after each, nothing of it is touched unless it is still open. */

#include "frame-stream.h"

#include "basic/fd-util.h"

#include <string.h>
#include <sys/epoll.h>

#define READ_SIZE     FRAME_PAYLOAD_MAX
#define IN_MAX        (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX + READ_SIZE)
#define READS_AT_ONCE 4U /* then others have their turn */

static void update_events(FrameStream *stream)
{
        uint32_t events = (stream->paused || stream->ending ? 0 : EPOLLIN) |
                          (stream->out.size > 0 || stream->resumed ? EPOLLOUT : 0);

        if (stream->source)
                (void) sd_event_source_set_io_events(stream->source, events);
}

static void end(FrameStream *stream, FrameStreamEnd how)
{
        if (stream->ending)
                return;
        stream->ending = true;
        update_events(stream);
        stream->handlers->ended(stream, how, stream->userdata);
}

static void close_fds(FrameStream *stream)
{
        for (size_t i = 0; i < stream->n_fds; i++)
                safe_close(stream->fds[i]);
        stream->n_fds = 0;
}

static int take_fd(FrameStream *stream)
{
        int fd;

        if (stream->n_fds == 0)
                return -EBADF;
        fd = stream->fds[0];
        stream->n_fds--;
        memmove(stream->fds, stream->fds + 1, stream->n_fds * sizeof(int));
        return fd;
}

/* A descriptor belongs to the first BLOB frame after it was sent. */
static void handle_frame(FrameStream *stream, const Frame *frame)
{
        _cleanup_close_ int fd = frame->type == FRAME_BLOB ? take_fd(stream) : -EBADF;

        stream->handlers->frame(stream, frame, &fd, stream->userdata);
}

/* Hands on all whole frames. While a handler runs, `in` belongs to this function: closing must
 * not free it. */
static void handle_input(FrameStream *stream)
{
        Buffer in = stream->in;
        size_t done = 0;
        int r = 0;

        stream->in = (Buffer){};
        while (stream->source && !stream->paused && !stream->ending) {
                Frame frame;

                r = frame_parse(in.data + done, in.size - done, &frame);
                if (r != 0)
                        break;
                handle_frame(stream, &frame);
                done += frame_total_size(&frame);
        }
        if (!stream->source) {
                buffer_done(&in);
                return;
        }
        buffer_consume(&in, done);
        stream->in = in;
        if (r == FRAME_MALFORMED)
                end(stream, FRAME_STREAM_MALFORMED);
}

/* One read. Returns whether there may be more to read. */
static bool read_some(FrameStream *stream)
{
        uint8_t chunk[READ_SIZE];
        int fd = -EBADF, r;
        ssize_t n = fd_receive(stream->fd, chunk, sizeof(chunk), &fd);

        if (n == -EAGAIN)
                return false;
        if (n <= 0) {
                end(stream, FRAME_STREAM_CLOSED);
                return false;
        }
        if (fd >= 0 && stream->n_fds == FRAME_STREAM_FDS_MAX) {
                safe_close(fd);
                end(stream, FRAME_STREAM_MALFORMED);
                return false;
        }
        if (fd >= 0)
                stream->fds[stream->n_fds++] = fd;
        r = buffer_append(&stream->in, chunk, (size_t) n, IN_MAX);
        if (r < 0) {
                end(stream, FRAME_STREAM_BROKEN);
                return false;
        }
        handle_input(stream);
        return stream->source && !stream->paused && !stream->ending && (size_t) n == sizeof(chunk);
}

static void write_some(FrameStream *stream)
{
        while (stream->out.size > 0) {
                ssize_t n = fd_send(stream->fd, stream->out.data, stream->out.size, -EBADF);

                if (n == -EAGAIN)
                        break;
                if (n < 0) {
                        /* A reader that is gone reads as a closed end. */
                        buffer_consume(&stream->out, stream->out.size);
                        break;
                }
                buffer_consume(&stream->out, (size_t) n);
        }
}

/* A resumed stream asks to be writable, so that what it holds already is looked at from the event loop. */
static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        FrameStream *stream = userdata;

        if ((events & EPOLLOUT) && stream->out.size > 0) {
                write_some(stream);
                if (stream->out.size == 0 && stream->handlers->drained)
                        stream->handlers->drained(stream, stream->userdata);
        }
        if (stream->source && stream->resumed && !stream->paused) {
                stream->resumed = false;
                handle_input(stream);
        }
        if (stream->source && (events & EPOLLIN) && !stream->paused)
                for (size_t i = 0; i < READS_AT_ONCE && read_some(stream);)
                        i++;
        else if (stream->source && (events & (EPOLLHUP | EPOLLERR))) {
                end(stream, FRAME_STREAM_CLOSED);
                if (stream->source) /* epoll would say so again and again */
                        (void) sd_event_source_set_enabled(stream->source, SD_EVENT_OFF);
        }
        update_events(stream);
        return 0;
}

int frame_stream_init(FrameStream *stream, sd_event *event, int fd, const FrameStreamHandlers *handlers,
                      void *userdata)
{
        _cleanup_close_ int socket = fd;
        int r;

        *stream = (FrameStream){ .handlers = handlers, .userdata = userdata, .fd = socket };
        r = fd_set_nonblock(socket, true);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &stream->source, socket, EPOLLIN, on_socket, stream);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(stream->source, true);
        if (r < 0) {
                stream->source = sd_event_source_disable_unref(stream->source);
                return r;
        }
        (void) TAKE_FD(socket);
        return 0;
}

void frame_stream_done(FrameStream *stream)
{
        stream->source = sd_event_source_disable_unref(stream->source);
        stream->fd = -EBADF;
        close_fds(stream);
        buffer_done(&stream->in);
        buffer_done(&stream->out);
}

void frame_stream_pause(FrameStream *stream, bool paused)
{
        /* Who resumes it twice resumes it. */
        stream->resumed = !paused && (stream->paused || stream->resumed);
        stream->paused = paused;
        update_events(stream);
}

void frame_stream_flush(FrameStream *stream)
{
        if (!stream->source)
                return;
        write_some(stream);
        update_events(stream);
}

int frame_stream_send(FrameStream *stream, FrameType type, uint16_t flags, const void *payload, size_t size)
{
        int r;

        if (!stream->source)
                return -ENOTCONN;
        r = frame_append(&stream->out, type, flags, payload, size, FRAME_STREAM_OUT_MAX);
        if (r < 0)
                return r;
        frame_stream_flush(stream);
        return 0;
}
