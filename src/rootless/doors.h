/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sockets that a service listens at. */

#include "basic/macro.h"

/* The listening sockets that systemd passed, else one of our own at `path` (may be NULL), for our own user.
 * -EDESTADDRREQ where there is neither. */
int doors_find(const char *path, size_t n_max, int *doors, size_t *ret_n) _warn_unused_;
