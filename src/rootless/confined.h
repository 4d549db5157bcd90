/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A process that works on an image's bytes: root of a user namespace that holds the images' ids and nothing
 * else, with a PID, network and mount namespace of its own in which the store is one folder: its own. */

#include "identity.h"

/* Runs in the process, in its folder; writes its result to `result_fd`. What it returns is the exit status.
 */
typedef int (*ConfinedMain)(int result_fd, void *userdata);

typedef struct ConfinedOptions {
        const Identity *identity;
        const char *hidden; /* the folder that it must not see, */
        const char *folder; /* but for this one below it; belongs to root of the namespace */
        ConfinedMain main;
        void *userdata;
} ConfinedOptions;

/* Runs it to its end; blocks. Everything it started ends with it, and it with the caller. `ret` is what it
 * wrote (NUL added), at most `size_max` bytes. Returns its exit status, 256 + a signal, or -errno. */
int confined_run(const ConfinedOptions *options, size_t size_max, char **ret,
                 size_t *ret_size) _warn_unused_;
