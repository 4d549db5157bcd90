/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The router's one ROUTER socket and what it listens on: sockets that systemd hands over, or its own. */

#include "basic/macro.h"

/* A ROUTER socket with every option set. */
int listen_new_socket(void *context, void **ret) _warn_unused_;

/* Adopts what systemd handed over. Returns how many sockets that were, -EPERM for one beyond loopback
 * (logged). */
int listen_adopt(void *socket) _warn_unused_;
/* Binds an address as ZeroMQ writes it (ipc:// or tcp:// on loopback). -EPERM beyond loopback (logged). */
int listen_bind(void *socket, const char *address) _warn_unused_;
