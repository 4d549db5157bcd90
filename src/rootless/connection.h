/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection is one order: it is read, carried out, and answered; when it closes, what
 * it started ends. */

#include "frame-stream.h"
#include "order-server.h"

#include "proto/json-fields.h"

typedef struct Connection Connection;

/* A kind of order. The functions end it with connection_answer() or connection_refuse(). */
struct OrderType {
        const char *name;
        /* The order was read; `state` of the connection is the order's own. */
        void (*start)(Connection *connection, json_object *order);
        /* A further frame of the worker. NULL: there is none. As `frame` of FrameStreamHandlers. */
        void (*frame)(Connection *connection, const Frame *frame, int *fd);
        /* All frames to the worker were sent. May be NULL. */
        void (*drained)(Connection *connection);
        /* The order is over, answered or not; also called where `start` refused. May be NULL. */
        void (*done)(Connection *connection);
};

struct Connection {
        OrderServer *server; /* borrowed */
        FrameStream stream;
        int door;              /* the listening socket it came by */
        const OrderType *type; /* NULL: no order yet, or it is over */
        void *state;
        bool answered;
        sd_event_source *timer;
        ListLink link;
};

/* Takes over a socket that was accepted at `door`. */
int connection_new(OrderServer *server, int door, int fd) _warn_unused_;
/* Ends the order and closes the socket; the rest is freed later, from the event loop. */
void connection_close(Connection *connection);
Connection *connection_free(Connection *connection);

/* The last word of an order: ends it, and closes the connection once it is read. `answer` is taken (NULL: no
 * memory). */
void connection_answer(Connection *connection, json_object *answer);
/* The same with a status code and an error. */
void connection_refuse(Connection *connection, int code, const char *format, ...) _printf_(3, 4);
/* The same where one of our own functions failed (< 0). */
void connection_fail(Connection *connection, int error, const char *what);
