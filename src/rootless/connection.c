/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose orders are taken is decided by who may open the socket it came by: the kernel checks that. (In the
 * daemon's user namespace it would name every other user 65534.) So peers are told apart by the door they
 * came through. One that says nothing, or does not read, is dropped after a while. */

#include "connection.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/time-util.h"
#include "proto/status.h"
#include "shared/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define ORDER_USEC (10 * USEC_PER_SEC) /* until the order is there */
#define READ_USEC  (30 * USEC_PER_SEC) /* until the answer is read */

static void order_over(Connection *connection)
{
        const OrderType *type = connection->type;

        connection->type = NULL;
        if (type && type->done)
                type->done(connection);
}

void connection_close(Connection *connection)
{
        OrderServer *server = connection->server;

        if (!frame_stream_is_open(&connection->stream))
                return;
        order_over(connection);
        frame_stream_done(&connection->stream);
        connection->timer = sd_event_source_disable_unref(connection->timer);
        list_remove(&server->connections, &connection->link);
        list_append(&server->closed, &connection->link);
        (void) sd_event_source_set_enabled(server->reap, SD_EVENT_ONESHOT);
}

Connection *connection_free(Connection *connection)
{
        free(connection);
        return NULL;
}

static int set_timer(Connection *connection, usec_t usec)
{
        int r = sd_event_source_set_time_relative(connection->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(connection->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        connection_close(userdata);
        return 0;
}

void connection_answer(Connection *connection, json_object *answer)
{
        _cleanup_json_ json_object *owned = answer;
        const char *text = answer ? json_object_text(answer) : NULL;
        size_t size = text ? strlen(text) : 0;

        if (connection->answered || !frame_stream_is_open(&connection->stream))
                return;
        connection->answered = true;
        if (!text || size > FRAME_PAYLOAD_MAX ||
            frame_stream_send(&connection->stream, FRAME_ANSWER, 0, text, size) < 0) {
                log_warning("An answer could not be sent: %s",
                            text ? "the worker does not read" : "no memory");
                connection_close(connection);
                return;
        }
        order_over(connection);
        frame_stream_pause(&connection->stream, true);
        if (connection->stream.out.size == 0 || set_timer(connection, READ_USEC) < 0)
                connection_close(connection);
}

void connection_refuse(Connection *connection, int code, const char *format, ...)
{
        _cleanup_json_ json_object *answer = json_object_new_object();
        _cleanup_free_ char *error = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&error, format, arguments) < 0)
                error = NULL;
        va_end(arguments);
        if (!answer || !error || json_add_uint(answer, "code", (uint64_t) code) < 0 ||
            json_add_text(answer, "error", error) < 0)
                connection_close(connection);
        else
                connection_answer(connection, TAKE_PTR(answer));
}

void connection_fail(Connection *connection, int error, const char *what)
{
        (void) log_errno(error, "Cannot %s", what);
        connection_refuse(connection, STATUS_INTERNAL_ERROR, "%s cannot %s", connection->server->name, what);
}

/* The order */

static const OrderType *find_type(const OrderType *const *types, json_object *order)
{
        const char *name = json_text(order, "order");

        for (const OrderType *const *type = types; name && *type; type++)
                if (streq((*type)->name, name))
                        return *type;
        return NULL;
}

static void take_order(Connection *connection, const Frame *frame)
{
        _cleanup_json_ json_object *order = NULL;
        _cleanup_free_ char *error = NULL;
        const OrderType *type;
        int r;

        if (frame->type != FRAME_ORDER) {
                connection_refuse(connection, STATUS_BAD_INPUT, "the first frame must be an order");
                return;
        }
        r = json_object_from_bytes(frame->payload, frame->size, &order, &error);
        if (r < 0)
                connection_fail(connection, r, "read the order");
        else if (r > 0)
                connection_refuse(connection, STATUS_BAD_INPUT, "the order: %s", error);
        if (r != 0)
                return;
        type = find_type(connection->server->types, order);
        if (!type) {
                connection_refuse(connection, STATUS_BAD_INPUT, "there is no such order");
                return;
        }
        connection->type = type;
        (void) sd_event_source_set_enabled(connection->timer, SD_EVENT_OFF);
        type->start(connection, order);
}

static void on_frame(FrameStream *stream, const Frame *frame, int *fd, void *userdata)
{
        Connection *connection = userdata;

        if (!connection->type)
                take_order(connection, frame);
        else if (connection->type->frame)
                connection->type->frame(connection, frame, fd);
        else
                connection_refuse(connection, STATUS_BAD_INPUT, "a frame that this order does not have");
}

static void on_drained(FrameStream *stream, void *userdata)
{
        Connection *connection = userdata;

        if (connection->answered)
                connection_close(connection);
        else if (connection->type && connection->type->drained)
                connection->type->drained(connection);
}

static void on_ended(FrameStream *stream, FrameStreamEnd end, void *userdata)
{
        if (end == FRAME_STREAM_MALFORMED)
                connection_refuse(userdata, STATUS_BAD_INPUT, "this is no frame");
        connection_close(userdata);
}

static const FrameStreamHandlers stream_handlers = { on_frame, on_drained, on_ended };

/* The beginning */

static size_t n_connections_by(const OrderServer *server, int door)
{
        size_t n = 0;

        LIST_FOREACH(Connection, connection, &server->connections, link)
                n += connection->door == door;
        return n;
}

/* Takes `fd` over. */
static int connection_open(Connection *connection, int fd)
{
        _cleanup_close_ int socket = fd;
        sd_event *event = connection->server->event;
        int r;

        r = sd_event_add_time_relative(event, &connection->timer, CLOCK_MONOTONIC, ORDER_USEC, 0, on_timer,
                                       connection);
        if (r < 0)
                return r;
        return frame_stream_init(&connection->stream, event, TAKE_FD(socket), &stream_handlers, connection);
}

int connection_new(OrderServer *server, int door, int fd)
{
        Connection *connection = calloc(1, sizeof(*connection));
        int r;

        if (!connection) {
                safe_close(fd);
                return -ENOMEM;
        }
        connection->server = server;
        connection->door = door;
        r = connection_open(connection, fd);
        if (r < 0) {
                sd_event_source_disable_unref(connection->timer);
                connection_free(connection);
                return r;
        }
        list_append(&server->connections, &connection->link);
        if (n_connections_by(server, door) > server->connections_max)
                connection_refuse(connection, STATUS_NO_WORKER, "more than %" PRIu64 " connections",
                                  server->connections_max);
        return 0;
}
