/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every daemon does alike: an event loop that ends on SIGTERM and SIGINT, the watchdog, readiness. */

#include "basic/macro.h"
#include "basic/time-util.h"

#include <systemd/sd-event.h>

/* A new event loop with the watchdog on; SIGTERM, SIGINT and SIGCHLD are blocked (so call it before a thread
 * is made) and, where `on_stop` is NULL, end the loop with 0; otherwise call it. SIGPIPE is ignored. */
int daemon_event_new(sd_event_signal_handler_t on_stop, void *userdata, sd_event **ret) _warn_unused_;

/* READY=1, and STOPPING=1 when the variable goes out of scope:
 * `_cleanup_(daemon_notify_stop) const char *stop = daemon_notify_ready();` */
const char *daemon_notify_ready(void);
void daemon_notify_stop(const char **message);

/* Replaces STATUS=. */
void daemon_notify_status(const char *format, ...) _printf_(1, 2);
/* RELOADING=1 with MONOTONIC_USEC=, before READY=1 is sent anew. */
void daemon_notify_reloading(void);
/* EXTEND_TIMEOUT_USEC=, for work that goes on before READY=1. */
void daemon_notify_extend(usec_t usec);
