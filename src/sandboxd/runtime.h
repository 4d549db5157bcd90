/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI runtime: what it is, and how a process becomes it. */

#include "basic/macro.h"

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

/* Ends of what connects a runtime with the daemon. */
typedef enum RuntimeFd {
        RUNTIME_INIT,    /* a socket for pipeline-init */
        RUNTIME_RELEASE, /* a pipe: what it waits for is a byte */
        RUNTIME_ERRORS,  /* a pipe for what it has to say when it fails */
        _RUNTIME_FD_MAX,
} RuntimeFd;

/* Waits to be released and becomes the runtime, which makes a container of the bundle in `folder`. For a
 * process that was forked for it: crun's in a user namespace of its own, which has its maps when it is
 * released. `fds` by RuntimeFd; a release that is closed ends it. */
_Noreturn void runtime_run(const Runtime *runtime, const char *folder, const char *name, const int *fds);
