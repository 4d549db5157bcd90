/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /etc/pipeline/build.conf: the ceilings of builds, and how many layers are kept. */

#include "proto/build-plan.h"

typedef struct BuildConfig {
        BuildLimits ceilings;       /* no plan may ask for more */
        uint64_t cache_bytes;       /* layers of all tracks */
        uint64_t track_cache_bytes; /* of one */
        uint64_t waiting_max;       /* orders, beside the one that is built */
        bool unenforced_limits;     /* build although the kernel enforces no limits */
} BuildConfig;

/* Reads a file over the defaults. SETTINGS_BAD with what is wrong: a new string. */
int build_config_read(const char *path, BuildConfig *ret, char **ret_error) _warn_unused_;
/* Pure: the same from text (which is taken apart). `name` is what errors call it. */
int build_config_parse(char *text, const char *name, BuildConfig *ret, char **ret_error) _warn_unused_;
