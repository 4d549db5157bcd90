/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control group of one sandbox, read and killed by descriptor: no path is looked up twice. */

#include "basic/macro.h"
#include "basic/time-util.h"

#include <sys/types.h>

/* What the processes of a sandbox may use together. */
typedef struct CgroupLimits {
        uint64_t memory_bytes, processes, cpu_percent;
} CgroupLimits;

typedef struct Cgroup {
        int folder_fd;
        int events_fd;                        /* cgroup.events */
        int memory_events_fd, pids_events_fd; /* negative where the controllers are missing */
} Cgroup;

#define CGROUP_INIT                                                                   \
        (Cgroup)                                                                      \
        {                                                                             \
                .folder_fd = -EBADF, .events_fd = -EBADF, .memory_events_fd = -EBADF, \
                .pids_events_fd = -EBADF                                              \
        }

/* Opens the group that a process is in; it must be that of the unit `name`, else -ESTALE. */
int cgroup_open(pid_t pid, const char *name, Cgroup *ret) _warn_unused_;
void cgroup_done(Cgroup *cgroup);
static inline bool cgroup_is_open(const Cgroup *cgroup)
{
        return cgroup->folder_fd >= 0;
}

/* Whether the kernel holds these limits. CGROUP_NOT_LIMITED. */
enum {
        CGROUP_NOT_LIMITED = 1,
};
int cgroup_check_limits(const Cgroup *cgroup, const CgroupLimits *limits) _warn_unused_;

/* How often a process was killed for want of memory, and how often one was refused for there
 * being too many. */
uint64_t cgroup_oom_kills(const Cgroup *cgroup);
uint64_t cgroup_refused_processes(const Cgroup *cgroup);
/* 0 where the kernel does not say. */
uint64_t cgroup_memory_peak(const Cgroup *cgroup);
uint64_t cgroup_processes_peak(const Cgroup *cgroup);
usec_t cgroup_cpu_usec(const Cgroup *cgroup);

/* Kills every process in it at once. */
int cgroup_kill(const Cgroup *cgroup) _warn_unused_;
/* Whether any process is left. */
bool cgroup_is_populated(const Cgroup *cgroup);

/* Whether a group (its path below the mount) may limit memory, processes and CPU. Says which are missing, as
 * a new string, NULL where none is. */
int cgroup_missing_controllers(const char *path, char **ret_missing) _warn_unused_;
