/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The orders that sandboxd takes. */

#include "manager.h"
#include "rootless/connection.h"

extern const OrderType order_run, order_install, order_images, order_hold, order_remove, order_status;

static inline Manager *manager_of(const Connection *connection)
{
        return connection->server->userdata;
}
