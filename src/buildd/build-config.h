/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /etc/pipeline/build.conf: the ceilings of builds, and how many layers are kept. */

#include "proto/build-plan.h"
#include "rootless/settings-file.h"

typedef struct BuildConfig {
        BuildLimits ceilings;       /* no plan may ask for more */
        uint64_t cache_bytes;       /* layers of all tracks */
        uint64_t track_cache_bytes; /* of one */
        uint64_t waiting_max;       /* orders, beside the one that is built */
        bool unenforced_limits;     /* build although the kernel enforces no limits */
} BuildConfig;

/* Of a BuildConfig. */
extern const SettingsTable build_settings;
