/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The worker's side of the socket of a service that takes orders, sandboxd or buildd: one connection is one
 * order, freeing it ends what it started. */

#include "proto/frame.h"
#include "proto/json-fields.h"

#include <systemd/sd-event.h>

typedef struct Order Order;

/* What waits to be sent is at most this; `fill` is asked for more when all of it is gone. */
#define ORDER_SEND_SIZE_MAX (512U * 1024U)

typedef struct OrderService {
        const char *name; /* a literal; errors call it "the NAME service" */
        const char *socket_path;
} OrderService;

#define SANDBOX_SERVICE(socket_path) (&(const OrderService){ "sandbox", (socket_path) })
#define BUILD_SERVICE(socket_path)   (&(const OrderService){ "build", (socket_path) })

typedef struct OrderHandlers {
        /* Everything was sent: append more frames to `out` (at most ORDER_SEND_SIZE_MAX), or nothing where
         * there is no more: then it is not asked again. A descriptor for the first of them may be given; it
         * is taken over. < 0 ends the event loop. */
        int (*fill)(Order *order, Buffer *out, int *ret_fd, void *userdata);
        /* A frame that is not the answer. It is borrowed. < 0 ends the event loop. May be NULL. */
        int (*frame)(Order *order, const Frame *frame, void *userdata);
        /* The end, once: the answer's object, or NULL and why there is none; both are borrowed. The handler
         * may free the order. < 0 ends the event loop. */
        int (*ended)(Order *order, json_object *answer, const char *error, void *userdata);
} OrderHandlers;

/* Connects to the service and sends `body` as the ORDER frame. Where there is nobody, `ended` says so, from
 * the event loop. `handlers` is borrowed. -E2BIG where the body does not fit into a frame. */
int order_new(sd_event *event, const OrderService *service, json_object *body, const OrderHandlers *handlers,
              void *userdata, Order **ret) _warn_unused_;
Order *order_free(Order *order);
DEFINE_CLEANUP(Order *, order_free)
