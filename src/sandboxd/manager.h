/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that the daemon has: one of each. */

#include "collector.h"
#include "pool.h"
#include "rootless/fitness.h"
#include "rootless/service.h"
#include "seccomp-profile.h"

#include "basic/hashmap.h"

typedef struct Manager {
        sd_event *event;
        Config config;
        Identity identity;
        Store *store;
        ScopeManager *scopes;
        Runtime runtime;
        Launcher *launcher;
        SandboxContext context;
        Pool pool;
        Collector collector;
        Hashmap *profiles; /* name -> SeccompPrograms, owned */
        Fitness fitness;
        OrderServer server;
} Manager;

/* Copies the settings and the identity, and borrows the rest for as long as the manager is there. */
int manager_init(Manager *manager, const Service *service) _warn_unused_;
void manager_done(Manager *manager);

/* The compiled programs of a profile, borrowed; compiled when it is asked for first. Conditions and error of
 * seccomp_profile_load(). */
int manager_profile(Manager *manager, const char *name, const SeccompPrograms **ret,
                    char **ret_error) _warn_unused_;
