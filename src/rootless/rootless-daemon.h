/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How such a service begins: its identity, its sockets, its folders. */

#include "identity.h"

/* Enters the identity's namespace, before anything is read. Says why it cannot be; names `socket_unit` to
 * who is root. */
int rootless_enter(const char *socket_unit, Identity *ret) _warn_unused_;

/* The listening sockets that systemd passed, else one of our own at `path` (may be NULL), for our own user.
 * -EDESTADDRREQ where there is neither. */
int rootless_find_doors(const char *path, size_t n_max, int *doors, size_t *ret_n) _warn_unused_;

/* The folder to keep things in (an option, else $STATE_DIRECTORY) and the one for what runs (an option, else
 * $RUNTIME_DIRECTORY, else "run" in the first), as new strings. Both exist afterwards. Says what is wrong.
 */
int rootless_find_folders(const char *folder, const char *runtime, char **ret_folder,
                          char **ret_runtime) _warn_unused_;
