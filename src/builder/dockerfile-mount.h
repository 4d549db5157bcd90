/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a RUN of a Dockerfile may mount: a list of what may be, since buildah follows the links and names
 * that strangers give it (CVE-2024-1753, CVE-2024-9407, CVE-2024-9675). Pure. */

#include "basic/macro.h"

/* Reads what stands behind `--mount=`, and writes it anew: with each word once, and a cache under a name
 * that is one plain component. `stages` are the names of the file's stages (NULL: none). 0, -ENOMEM, or
 * MOUNT_BAD with the reason, a literal. */
enum {
        MOUNT_BAD = 1,
};
int dockerfile_mount_rewrite(const char *text, char *const *stages, char **ret,
                             const char **ret_reason) _warn_unused_;
