/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI runtime as a process: from the fork until it makes a container. */

#include "rootless/identity.h"

typedef struct Runtime {
        const char *path; /* borrowed */
        bool is_crun;
        int program_fd; /* crun, in sealed memory */
} Runtime;

/* Knows crun, which is executed from sealed memory: nobody can write to it, least of all through
 * /proc/self/exe of a container, and it finds that it need not copy itself for every container. Any other is
 * taken to understand runc's command line, and executed from its file. */
int runtime_init(Runtime *runtime, const char *path) _warn_unused_;
void runtime_done(Runtime *runtime);

typedef struct RuntimeOptions {
        const Runtime *runtime;
        const char *folder; /* of the bundle; the runtime's state goes below it */
        const char *name;   /* of the container */
        const Identity *identity;
        uint32_t guest;
} RuntimeOptions;

/* All is owned by who forked it. */
typedef struct RuntimeProcess {
        pid_t pid;
        int release_fd; /* it waits until a byte is written here; closed, it ends */
        int errors_fd;  /* what it has to say when it fails; does not block */
        int init_fd;    /* the socket whose other end pipeline-init gets */
} RuntimeProcess;

/* Forks a process that waits to be released and then becomes the runtime. crun's waits in a user namespace
 * that has the images' ids and this guest's alone, and becomes root of it first; another runtime makes that
 * namespace itself. */
int runtime_fork(const RuntimeOptions *options, RuntimeProcess *ret) _warn_unused_;
