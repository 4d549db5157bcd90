/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A function that runs in a forked child, for what would block the event loop; its end is an event. */

#include "basic/macro.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

typedef struct Child Child;

/* Runs in the child; what it returns is the exit status. */
typedef int (*ChildMain)(void *userdata);
/* Called once, from the event loop: the exit status, or -signal. May free the child. */
typedef void (*ChildHandler)(Child *child, int status, void *userdata);

/* The process must have one thread. The child keeps only the standard descriptors and `fds`, and dies with
 * its parent. */
int child_start(sd_event *event, ChildMain main, ChildHandler handler, void *userdata, const int *fds,
                size_t n_fds, Child **ret) _warn_unused_;
/* 0 once it has ended. */
pid_t child_pid(const Child *child);
/* Kills it if it still runs. NULL is allowed. */
Child *child_free(Child *child);
DEFINE_CLEANUP(Child *, child_free)
