/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The orders that buildd takes. */

#include "manager.h"
#include "rootless/connection.h"

extern const OrderType *const build_orders[];
