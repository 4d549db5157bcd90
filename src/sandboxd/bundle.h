/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the OCI runtime gets to run: a folder with a config.json. All of it is decided here, nothing by a
 * plan. */

#include "rootless/identity.h"

typedef struct Bundle {
        const char *rootfs;       /* absolute */
        const char *init_program; /* absolute */
        const Identity *identity;
        uint32_t guest;     /* which of the guests' ids */
        bool is_entered;    /* the runtime is started in the container's user namespace, and makes none */
        const char *cgroup; /* below the mount, where the runtime wants one; NULL: it has what it is in */
} Bundle;

/* Pure: the text of config.json, a new string. */
int bundle_format(const Bundle *bundle, char **ret) _warn_unused_;
/* Makes the folder, with config.json in it. */
int bundle_write(const Bundle *bundle, const char *folder) _warn_unused_;
