/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fitness.h"

#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_USEC (5 * USEC_PER_SEC)

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Fitness *fitness = userdata;

        log_error("There is no systemd user manager for this user: %s run in scopes of it, or not at all. "
                  "Log in, or: loginctl enable-linger",
                  fitness->work);
        return sd_event_exit(fitness->event, -EHOSTUNREACH);
}

int fitness_init(Fitness *fitness, sd_event *event, const char *work, bool allows_unenforced, bool by_hand)
{
        *fitness = (Fitness){ .event = event, .work = work, .allows_unenforced = allows_unenforced };
        fitness_lose(fitness, "waiting for the user manager");
        return by_hand ? sd_event_add_time_relative(event, &fitness->patience, CLOCK_MONOTONIC,
                                                    PATIENCE_USEC, 0, on_patience, fitness)
                       : 0;
}

void fitness_done(Fitness *fitness)
{
        fitness->patience = sd_event_source_disable_unref(fitness->patience);
}

const char *fitness_problem(const Fitness *fitness)
{
        return fitness->problem[0] != '\0' ? fitness->problem : NULL;
}

void fitness_lose(Fitness *fitness, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(fitness->problem, sizeof(fitness->problem), format, arguments);
        va_end(arguments);
        daemon_notify_status("%s", fitness->problem);
}

void fitness_on_manager(Fitness *fitness, bool is_there)
{
        fitness->patience = sd_event_source_disable_unref(fitness->patience);
        if (!is_there)
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_MANAGER_LOST }),
                           "The user manager is lost; no %s until it is back", fitness->work);
        fitness_lose(fitness, "%s", is_there ? "getting ready" : "there is no user manager");
}

void fitness_check(Fitness *fitness, const ScopeManager *scopes)
{
        _cleanup_free_ char *missing = NULL;
        const char *group = scope_manager_cgroup(scopes);
        int r = group ? cgroup_missing_controllers(group, &missing) : -ENODATA;

        if (r < 0) {
                (void) log_errno(r, "Cannot read the controllers of the user manager");
                fitness_lose(fitness, "the controllers of the user manager cannot be read");
                return;
        }
        fitness->limits_enforced = !missing;
        if (missing)
                log_struct(fitness->allows_unenforced ? LOG_WARNING : LOG_ERR,
                           LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_NO_LIMITS }),
                           "The control group %s lacks controllers: %s. Boot with cgroup v2 alone and let "
                           "user@.service have them (Delegate=cpu memory pids)",
                           group, missing);
        if (missing && !fitness->allows_unenforced) {
                fitness_lose(fitness, "the kernel limits no %s for the user manager", missing);
                return;
        }
        fitness->problem[0] = '\0';
        daemon_notify_status("taking %s", fitness->work);
}
