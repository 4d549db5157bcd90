/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One image on its way from the registry to the sandbox service. */

#include "entrypoint.h"
#include "settings.h"

#include <systemd/sd-event.h>

typedef struct Install Install;

typedef struct InstallRequest {
        sd_event *event;                /* borrowed, like the next */
        const WorkerSettings *settings; /* and alive as long as the install */
        const char *track, *version;    /* borrowed while install_new() runs, like the next */
        const char *digest;             /* NULL: to be looked up */
} InstallRequest;

/* < 0 ends the event loop. */
typedef struct InstallHandlers {
        /* The image comes; sizes are 0 where they are not known. */
        int (*fetching)(uint64_t done_size, uint64_t total_size, void *userdata);
        int (*unpacking)(void *userdata);
        /* The sandbox service has it; both are borrowed. May free the install, like the next. */
        int (*succeeded)(const char *digest, Entrypoint *entrypoint, void *userdata);
        /* The code is that of jobs which want it. Takes `error`. */
        int (*failed)(unsigned code, char *error, void *userdata);
} InstallHandlers;

/* `handlers` and `userdata` are borrowed. */
int install_new(const InstallRequest *request, const InstallHandlers *handlers, void *userdata,
                Install **ret) _warn_unused_;
/* Ends it. NULL is allowed. */
Install *install_free(Install *install);
DEFINE_CLEANUP(Install *, install_free)
