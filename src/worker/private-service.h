/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A pipeline-sandboxd of the worker's own, for a worker that was started by hand: below its folder, as the
 * same user. */

#include "settings.h"

#include <systemd/sd-event.h>

typedef struct PrivateSandbox PrivateSandbox;

/* Starts it and waits until it listens at `settings->sandbox`. One that an earlier worker left behind is
 * used again. What goes wrong was logged. When it ends, so does the event loop. `settings` is borrowed. */
int private_sandbox_new(sd_event *event, const WorkerSettings *settings, PrivateSandbox **ret) _warn_unused_;
/* Ends it, and what runs in it. */
PrivateSandbox *private_sandbox_free(PrivateSandbox *sandbox);
DEFINE_CLEANUP(PrivateSandbox *, private_sandbox_free)

/* Where it listens, of the worker with this folder: a new string. */
char *private_sandbox_address(const char *worker_folder);
