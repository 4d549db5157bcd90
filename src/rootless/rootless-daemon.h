/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How such a service begins: its command line, its identity, its sockets, its folders. */

#include "identity.h"

typedef struct RootlessProgram {
        const char *name, *usage;
        const char *own_option; /* beside those that all have; NULL: none */
} RootlessProgram;

/* --socket=, --folder=, --runtime=, --config=, and the program's own; NULL where they are not said. */
typedef struct RootlessOptions {
        const char *socket, *folder, *runtime, *config, *own;
} RootlessOptions;

/* 0; an exit status + 1 where that is all: a help text, the version, or a command line that is wrong. The
 * values are the arguments'. */
int rootless_parse_options(const RootlessProgram *program, int argc, char **argv,
                           RootlessOptions *ret) _warn_unused_;

/* Enters the identity's namespace, before anything is read. Says why it cannot be; names `socket_unit` to
 * who is root. */
int rootless_enter(const char *socket_unit, Identity *ret) _warn_unused_;

/* The listening sockets that systemd passed, else one of our own at `path` (may be NULL), for our own user.
 * -EDESTADDRREQ where there is neither. */
int rootless_find_doors(const char *path, size_t n_max, int *doors, size_t *ret_n) _warn_unused_;

/* The folder to keep things in (an option, else $STATE_DIRECTORY) and the one for what runs (an
 * option, else $RUNTIME_DIRECTORY, else "run" in the first), as new strings. Both exist afterwards.
 * Says what is wrong. */
int rootless_find_folders(const char *folder, const char *runtime, char **ret_folder,
                          char **ret_runtime) _warn_unused_;
