/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control group files signal a change with EPOLLPRI, until they are read; each must have been read once
 * before. After a handler nothing is touched: it may have ended the watch. */

#include "cgroup-watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_READ_SIZE 256U

bool cgroup_check_fault(const Cgroup *cgroup, CgroupFault *ret)
{
        if (!cgroup_is_open(cgroup))
                return false;
        if (cgroup_oom_kills(cgroup) > 0)
                *ret = CGROUP_FAULT_MEMORY;
        else if (cgroup_refused_processes(cgroup) > 0)
                *ret = CGROUP_FAULT_PROCESSES;
        else
                return false;
        return true;
}

static int on_limit_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        CgroupWatch *watch = userdata;
        CgroupFault fault;

        if (cgroup_check_fault(watch->cgroup, &fault))
                watch->handlers->fault(fault, watch->userdata);
        return 0;
}

static int on_group_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        CgroupWatch *watch = userdata;

        if (!cgroup_is_populated(watch->cgroup))
                watch->handlers->empty(watch->userdata);
        return 0;
}

static int watch_file(CgroupWatch *watch, sd_event *event, int fd, sd_event_io_handler_t handler,
                      sd_event_source **ret)
{
        char text[EVENTS_READ_SIZE];

        if (fd < 0)
                return 0;
        if (pread(fd, text, sizeof(text), 0) < 0)
                return -errno;
        return sd_event_add_io(event, ret, fd, EPOLLPRI, handler, watch);
}

int cgroup_watch_init(CgroupWatch *watch, sd_event *event, const Cgroup *cgroup,
                      const CgroupWatchHandlers *handlers, void *userdata)
{
        int r;

        *watch = (CgroupWatch){ .cgroup = cgroup, .handlers = handlers, .userdata = userdata };
        r = watch_file(watch, event, cgroup->memory_events_fd, on_limit_event, &watch->memory);
        if (r < 0)
                return r;
        r = watch_file(watch, event, cgroup->pids_events_fd, on_limit_event, &watch->processes);
        if (r < 0)
                return r;
        return handlers->empty ? watch_file(watch, event, cgroup->events_fd, on_group_event, &watch->events)
                               : 0;
}

void cgroup_watch_end_faults(CgroupWatch *watch)
{
        watch->memory = sd_event_source_disable_unref(watch->memory);
        watch->processes = sd_event_source_disable_unref(watch->processes);
}

void cgroup_watch_done(CgroupWatch *watch)
{
        cgroup_watch_end_faults(watch);
        watch->events = sd_event_source_disable_unref(watch->events);
}
