/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A process that works on what others made: root of a user namespace that holds the images' ids and nothing
 * else, with a PID, network and mount namespace of its own in which the store is one folder: its own. It has
 * a /proc of its PID namespace, and its own /run, /tmp, /var/tmp and /dev/shm. What these cover stays
 * covered even for who may mount. */

#include "identity.h"

#include <errno.h>

/* Runs in the process, in its folder; writes its result to `result_fd`. What it returns is
 * the exit status. */
typedef int (*ConfinedMain)(int result_fd, void *userdata);

typedef struct ConfinedOptions {
        const Identity *identity;
        const char *hidden; /* the folder that it must not see, */
        const char *folder; /* but for this one below it; belongs to root of the namespace */
        ConfinedMain main;
        void *userdata;
        /* Beside those to write files of any owner. */
        uint64_t more_capabilities;
        /* Bytes of memory of its own that each process in it may have; 0: no limit. */
        uint64_t memory_max;
} ConfinedOptions;

typedef struct ConfinedProcess {
        pid_t pid; /* 0: there is none, or it was reaped by the caller */
        int release_fd;
        int result_fd; /* to read what it writes */
} ConfinedProcess;

#define CONFINED_PROCESS_INIT                             \
        (ConfinedProcess)                                 \
        {                                                 \
                .release_fd = -EBADF, .result_fd = -EBADF \
        }

/* Makes it; it begins when confined_release() is called. Everything it starts ends with it, and it with the
 * caller. */
int confined_start(const ConfinedOptions *options, ConfinedProcess *ret) _warn_unused_;
int confined_release(ConfinedProcess *process) _warn_unused_;
/* Kills and reaps it where that was not done. */
void confined_process_done(ConfinedProcess *process);

/* Runs it to its end; blocks. Everything it started ends with it, and it with the caller. `ret` is what it
 * wrote (NUL added), at most `size_max` bytes. Returns its exit status, 256 + a signal, or -errno. */
int confined_run(const ConfinedOptions *options, size_t size_max, char **ret,
                 size_t *ret_size) _warn_unused_;
