/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel tells of a control group: that a limit was hit, that its last process is gone. */

#include "cgroup.h"

#include <systemd/sd-event.h>

/* A limit that was hit. */
typedef enum CgroupFault {
        CGROUP_FAULT_MEMORY,    /* a process was killed for want of memory */
        CGROUP_FAULT_PROCESSES, /* a process was refused */
        _CGROUP_FAULT_MAX,
} CgroupFault;

/* Whether the kernel has counted one, though no event said so yet: none in a group that is not open. */
bool cgroup_check_fault(const Cgroup *cgroup, CgroupFault *ret);

/* The watch may be ended in any of them, and the group closed; their memory stays. */
typedef struct CgroupWatchHandlers {
        void (*fault)(CgroupFault fault, void *userdata);
        void (*empty)(void *userdata); /* NULL: not watched */
} CgroupWatchHandlers;

/* Zero-initialised it watches nothing. */
typedef struct CgroupWatch {
        const Cgroup *cgroup; /* borrowed, like the handlers */
        const CgroupWatchHandlers *handlers;
        void *userdata;
        sd_event_source *memory, *processes, *events;
} CgroupWatch;

/* Watches an open group; what its missing controllers would tell is not watched. Where it fails, the watch
 * is still to be ended. */
int cgroup_watch_init(CgroupWatch *watch, sd_event *event, const Cgroup *cgroup,
                      const CgroupWatchHandlers *handlers, void *userdata) _warn_unused_;
/* From now on for its end alone: no fault is told of any more. */
void cgroup_watch_end_faults(CgroupWatch *watch);
/* Before the group is closed. May be called again. */
void cgroup_watch_done(CgroupWatch *watch);
