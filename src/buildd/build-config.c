/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the file, and what holds without it. */

#include "build-config.h"

#define MIB (UINT64_C(1024) * 1024)
#define GIB (MIB * 1024)

static const BuildConfig defaults = {
        .ceilings = {
                .wall_usec = 3600 * USEC_PER_SEC,
                .memory_bytes = 16 * GIB,
                .processes = 8192,
                .cpu_percent = 1600,
                .output_bytes = 64 * MIB,
                .written_bytes = 32 * GIB,
                .image_bytes = 8 * GIB,
        },
        .cache_bytes = 20 * GIB,
        .track_cache_bytes = 4 * GIB,
        .waiting_max = 64,
};

static const SettingKey keys[] = {
        { "Waiting", setting_number, offsetof(BuildConfig, waiting_max), "a number" },
        { "Cache", setting_bytes, offsetof(BuildConfig, cache_bytes), "bytes, such as 20G" },
        { "TrackCache", setting_bytes, offsetof(BuildConfig, track_cache_bytes), "bytes, such as 4G" },
        { "UnenforcedLimits", setting_switch, offsetof(BuildConfig, unenforced_limits), "yes or no" },
        { "MaxWallTime", setting_span, offsetof(BuildConfig, ceilings.wall_usec), "a time, such as 30min" },
        { "MaxMemory", setting_bytes, offsetof(BuildConfig, ceilings.memory_bytes), "bytes, such as 8G" },
        { "MaxProcesses", setting_number, offsetof(BuildConfig, ceilings.processes), "a number" },
        { "MaxCPUPercent", setting_number, offsetof(BuildConfig, ceilings.cpu_percent), "a number" },
        { "MaxOutput", setting_bytes, offsetof(BuildConfig, ceilings.output_bytes), "bytes, such as 64M" },
        { "MaxWritten", setting_bytes, offsetof(BuildConfig, ceilings.written_bytes), "bytes, such as 32G" },
        { "MaxImage", setting_bytes, offsetof(BuildConfig, ceilings.image_bytes), "bytes, such as 8G" },
};

const SettingsTable build_settings = SETTINGS_TABLE(keys, defaults);
