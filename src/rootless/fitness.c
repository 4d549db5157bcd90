/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fitness.h"

#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>

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
        int r;

        *fitness = (Fitness){ .event = event, .work = work, .allows_unenforced = allows_unenforced };
        r = fitness_set(fitness, "waiting for the user manager");
        if (r < 0 || !by_hand)
                return r;
        return sd_event_add_time_relative(event, &fitness->patience, CLOCK_MONOTONIC, PATIENCE_USEC, 0,
                                          on_patience, fitness);
}

void fitness_done(Fitness *fitness)
{
        sd_event_source_disable_unref(fitness->patience);
        free(fitness->unfit);
        *fitness = (Fitness){};
}

int fitness_set(Fitness *fitness, const char *why)
{
        char *copy = why ? strdup(why) : NULL;

        if (why && !copy)
                return -ENOMEM;
        free(fitness->unfit);
        fitness->unfit = copy;
        if (why)
                daemon_notify_status("%s", why);
        else
                daemon_notify_status("taking %s", fitness->work);
        return 0;
}

void fitness_lose(Fitness *fitness, const char *why)
{
        if (fitness_set(fitness, why) < 0)
                log_warning("No memory");
}

void fitness_on_manager(Fitness *fitness, bool is_there)
{
        fitness->patience = sd_event_source_disable_unref(fitness->patience);
        if (!is_there)
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_MANAGER_LOST }),
                           "The user manager is lost; no %s until it is back", fitness->work);
        fitness_lose(fitness, is_there ? "the user manager is there" : "there is no user manager");
}

int fitness_check(Fitness *fitness, const ScopeManager *scopes)
{
        _cleanup_free_ char *missing = NULL, *why = NULL;
        const char *group = scope_manager_cgroup(scopes);
        int r = group ? cgroup_missing_controllers(group, &missing) : -ENODATA;

        if (r < 0) {
                fitness_lose(fitness, "the controllers of the user manager cannot be read");
                return log_errno(r, "Cannot read the controllers of the user manager");
        }
        fitness->limits_enforced = !missing;
        if (!missing)
                return fitness_set(fitness, NULL);
        log_struct(fitness->allows_unenforced ? LOG_WARNING : LOG_ERR,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_NO_LIMITS }),
                   "The control group %s lacks controllers: %s. Boot with cgroup v2 alone and let "
                   "user@.service have them (Delegate=cpu memory pids)",
                   group, missing);
        if (fitness->allows_unenforced)
                return fitness_set(fitness, NULL);
        why = string_format("the kernel limits no %s for the user manager", missing);
        return why ? fitness_set(fitness, why) : -ENOMEM;
}
