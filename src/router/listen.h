/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The router's one ROUTER socket and what it listens on: sockets that systemd hands over, or its own. */

#include "basic/macro.h"

/* A ROUTER socket with every option set. */
int listen_new_socket(void *context, void **ret) _warn_unused_;

/* Adopts a descriptor that systemd handed over. `secret` is the router's key, or NULL. -EPERM for one beyond
 * loopback without a key (logged). */
int listen_adopt(void *socket, const char *secret, int fd) _warn_unused_;
/* Binds an address as ZeroMQ writes it, ipc:// or tcp://. -EPERM beyond loopback without a key (logged). */
int listen_bind(void *socket, const char *secret, const char *address) _warn_unused_;
