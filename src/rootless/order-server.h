/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The listening sockets of a service that takes orders, and the connections that came by them. */

#include "basic/list.h"

#include <systemd/sd-event.h>

#define ORDER_DOORS_MAX 4U

typedef struct OrderType OrderType;

typedef struct OrderServer {
        sd_event *event;               /* borrowed, like the next two */
        const char *name;              /* what errors call the service */
        const OrderType *const *types; /* ended by NULL */
        uint64_t connections_max;      /* by one listening socket */
        void *userdata;                /* the orders' */
        sd_event_source *doors[ORDER_DOORS_MAX], *reap;
        List connections, closed; /* the second: to be freed */
} OrderServer;

/* The first five members are the caller's to set. `doors` are taken over. */
int order_server_start(OrderServer *server, const int *doors, size_t n_doors) _warn_unused_;
/* Ends every order. A server that was never started is allowed. */
void order_server_done(OrderServer *server);
