/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A worker: it says hello to the router, holds what it is told to hold, and runs what it is given. */

#include "settings.h"
#include "task.h"

#include <systemd/sd-event.h>

typedef struct Manager Manager;

typedef enum ManagerMode {
        MANAGER_LISTEN,    /* until it is stopped */
        MANAGER_CONFIGURE, /* until every version is installed, or has failed */
        MANAGER_DRYRUN,    /* until the router has said what to hold; nothing is installed */
} ManagerMode;

typedef struct ManagerOptions {
        ManagerMode mode;
        bool waits;           /* a track without a deployed version is waited for, and no error */
        const TaskType *task; /* what it does with a job; NULL: it runs it */
        const void *task_userdata;
} ManagerOptions;

/* Locks the worker's folder (made where missing). `settings` is borrowed. -EBUSY where another worker has
 * the folder. */
int manager_new(sd_event *event, const WorkerSettings *settings, const ManagerOptions *options,
                Manager **ret) _warn_unused_;
Manager *manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free)

/* Connects to the router, and runs the event loop to its end. What that returns; an error was said. */
int manager_run(Manager *manager) _warn_unused_;
/* No more jobs; what runs is finished, then the event loop ends. Said twice, it ends at once. */
int manager_drain(Manager *manager) _warn_unused_;
/* The same as a handler of daemon_event_new(): `userdata` is a Manager **. Where there is none yet, the
 * event loop ends at once. */
int manager_on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata);

/* Of the event loop: MANAGER_FAILED where a version could not be installed, or a track is not known. */
enum {
        MANAGER_FAILED = 1,
};
