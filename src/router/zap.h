/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ZAP handler (ZeroMQ RFC 27): libzmq asks it about each connection before it takes a message from it.
 * It must be there before the first listener is: without one, libzmq lets everybody in. */

#include "principal.h"

#include <systemd/sd-event.h>

typedef struct Zap Zap;

/* Binds inproc://zeromq.zap.01 in the ZeroMQ context. `principals` is borrowed. */
int zap_new(sd_event *event, void *context, Principals *principals, Zap **ret) _warn_unused_;
Zap *zap_free(Zap *zap);
/* Connections that were not let in. */
uint64_t zap_n_refused(const Zap *zap);

DEFINE_CLEANUP(Zap *, zap_free)
