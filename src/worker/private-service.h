/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A service of a worker's own, for one that was started by hand: pipeline-sandboxd (`sandbox`), or
 * pipeline-buildd (`build`). It runs below the worker's folder, as the same user. */

#include "basic/macro.h"

#include <systemd/sd-event.h>

typedef struct PrivateService PrivateService;

/* Starts it and waits until it listens at `socket`. One that an earlier worker left behind is used again.
 * What goes wrong was logged. When it ends, so does the event loop. */
int private_service_new(sd_event *event, const char *name, const char *worker_folder, const char *socket,
                        PrivateService **ret) _warn_unused_;
/* Ends it, and what runs in it. */
PrivateService *private_service_free(PrivateService *service);
DEFINE_CLEANUP(PrivateService *, private_service_free)

/* Where it listens: a new string. */
char *private_service_address(const char *worker_folder, const char *name);
