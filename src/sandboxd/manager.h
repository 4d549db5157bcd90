/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that the daemon has: one of each. */

#include "collector.h"
#include "pool.h"
#include "rootless/fitness.h"
#include "rootless/order-server.h"
#include "seccomp-profile.h"

#include "basic/hashmap.h"

/* All borrowed, for as long as the manager is there. */
typedef struct ManagerOptions {
        const char *folder;  /* of the image store */
        const char *runtime; /* for its sandboxes; emptied at the start */
        const char *init_program;
        const int *doors; /* listening sockets; taken over */
        size_t n_doors;
        bool by_hand; /* nobody waits for a user manager to come: without one the daemon ends */
} ManagerOptions;

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

/* Everything but the identity's namespace, which must have been entered with `identity`. `config` and
 * `identity` are copied. */
int manager_init(Manager *manager, sd_event *event, const ManagerOptions *options, const Config *config,
                 const Identity *identity) _warn_unused_;
void manager_done(Manager *manager);

/* The compiled programs of a profile, borrowed; compiled when it is asked for first. Conditions and error of
 * seccomp_profile_load(). */
int manager_profile(Manager *manager, const char *name, const SeccompPrograms **ret,
                    char **ret_error) _warn_unused_;
