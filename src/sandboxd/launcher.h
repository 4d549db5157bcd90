/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process that forks those which become the OCI runtime.
 *
 * The daemon could, but its memory is large: the kernel would copy its page tables for each sandbox, and
 * then, page by page, what the daemon writes to. And the daemon is a system service, whose children a user
 * manager moves to a scope only by asking the system's manager; the launcher's it moves by itself, for the
 * launcher is in a scope of it. */

#include "rootless/identity.h"
#include "rootless/scope.h"
#include "runtime.h"

typedef struct Launcher Launcher;

/* It can launch, or can no more. */
typedef void (*LauncherHandler)(Launcher *launcher, bool is_ready, void *userdata);

/* `runtime` is borrowed. */
int launcher_new(sd_event *event, ScopeManager *scopes, const Runtime *runtime, LauncherHandler handler,
                 void *userdata, Launcher **ret) _warn_unused_;
Launcher *launcher_free(Launcher *launcher);
DEFINE_CLEANUP(Launcher *, launcher_free)

/* Starts its process, now that there is a user manager; and again whenever it ends or cannot be started,
 * until launcher_stop(). The handler hears. */
void launcher_start(Launcher *launcher);
/* The handler hears nothing of it. */
void launcher_stop(Launcher *launcher);

typedef struct LaunchOptions {
        const char *folder; /* of the bundle; the runtime's state goes below it */
        const char *name;   /* of the container */
        const Identity *identity;
        uint32_t guest;
} LaunchOptions;

/* A child of the daemon; all is owned by who launched it. */
typedef struct Launched {
        pid_t pid;
        int release_fd; /* it waits until a byte is written here; closed, it ends */
        int errors_fd;  /* what it has to say when it fails; does not block */
        int init_fd;    /* the socket whose other end pipeline-init gets */
} Launched;

/* Has a process forked that waits to be released and then becomes the runtime. crun's waits in a user
 * namespace that has the images' ids and this guest's alone: the daemon, which may, writes the maps, so that
 * no newuidmap has to be executed for each container. -ENOTCONN where it is not ready. */
int launcher_launch(Launcher *launcher, const LaunchOptions *options, Launched *ret) _warn_unused_;
