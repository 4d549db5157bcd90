/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that the build service has. One build runs at a time: so no two share an id, and each has what the
 * host gives to builds. */

#include "box.h"
#include "build-config.h"

#include "basic/list.h"
#include "rootless/child.h"
#include "rootless/fitness.h"
#include "rootless/service.h"

typedef struct Build Build;

typedef struct Manager {
        sd_event *event;
        BuildConfig config;
        Identity identity;
        const char *folder;
        int cache_fd;
        ScopeManager *scopes;
        OrderServer server;
        sd_event_source *measure_timer, *next, *reap;
        List waiting;   /* builds whose order is complete */
        List dead;      /* builds to be freed */
        Build *current; /* or NULL */
        char *settling; /* the folder that is put in order; NULL: none */
        Child *settle, *measure;
        uint64_t *measured; /* shared with the child that measures */
        Fitness fitness;
} Manager;

/* Copies the settings and the identity, and borrows the rest for as long as the manager is there. */
int manager_init(Manager *manager, const Service *service) _warn_unused_;
void manager_done(Manager *manager);

/* Puts a track's folder in order after its build; then the next one begins. */
int manager_settle(Manager *manager, const char *name) _warn_unused_;
/* The next build begins from the event loop, if none runs. */
void manager_wake(Manager *manager);

/* Frees a build that is over, from the event loop: mostly one of its own handlers ended it. */
void manager_retire(Manager *manager, ListLink *build);

/* order-build.c: */

/* Begins the build that has waited longest. */
void build_begin(Manager *manager, Build *build);
Build *build_from_link(ListLink *link);
void build_free(Build *build);
/* What its folder takes now, or CACHE_ENDLESS. */
void build_set_written(Build *build, uint64_t bytes);
/* There is hardly any room left, whoever took it. */
void build_end_for_disk(Build *build);
const char *build_folder(const Build *build);
