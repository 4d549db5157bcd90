/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All sandboxes of the host: those that jobs have, and those made ahead that wait for one. */

#include "sandbox.h"
#include "store.h"

typedef struct Pool {
        SandboxContext *context;
        const Store *store;
        List running; /* of jobs */
        List idle;    /* parked or becoming so; the least recently used image first */
        List dead;    /* to be freed, and those that are dying */
        sd_event_source *reap;
} Pool;

int pool_init(Pool *pool, SandboxContext *context, const Store *store) _warn_unused_;
/* Kills and frees every sandbox; no job has one any more. */
void pool_done(Pool *pool);

/* A sandbox of an image for a job: a parked one, one that is about to park, or a new one. Conditions:
 * STORE_BAD_DIGEST and STORE_MISSING of store_find(), and POOL_FULL. -ENOTCONN without a user manager. */
enum {
        POOL_FULL = 503,
};
int pool_acquire(Pool *pool, const char *image, const Limits *limits, const SandboxHandlers *handlers,
                 void *owner, Sandbox **ret) _warn_unused_;
/* The job is over: the sandbox is ended, and the next one of its image parked where there is room, for a job
 * with the same limits. */
void pool_release(Pool *pool, Sandbox *sandbox, const Limits *limits);

/* Ends those that wait, of one image or (NULL) of all. */
void pool_retire(Pool *pool, const char *image);
bool pool_image_is_running(const Pool *pool, const char *image);
