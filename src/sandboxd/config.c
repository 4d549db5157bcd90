/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the file, and what holds without it. */

#include "config.h"

#include <errno.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static const Config defaults = {
        .ceilings = {
                .wall_usec = 600 * USEC_PER_SEC,
                .memory_bytes = 16 * GIB,
                .processes = 8192,
                .cpu_percent = 1600,
                .output_bytes = 16 * MIB,
                .result_bytes = 4 * MIB,
                .written_bytes = 4 * GIB,
                .inodes = 1000000,
                .open_files = 65536,
        },
        .running_max = 64,
        .parked_max = 8,
        .parked_bytes = 512 * MIB,
        .parked_usec = 600 * USEC_PER_SEC,
        .connections_max = 256,
        .runtime = "/usr/bin/crun",
        .image_age_usec = 7 * 24 * 3600 * USEC_PER_SEC,
        .image_free_bytes = 2 * GIB,
};

static int parse_runtime(const char *value, void *ret)
{
        if (value[0] != '/' || strlen(value) >= CONFIG_PATH_SIZE)
                return -EINVAL;
        (void) strcpy(ret, value);
        return 0;
}

static const SettingKey keys[] = {
        { "Running", setting_number, offsetof(Config, running_max), "a number" },
        { "Parked", setting_number, offsetof(Config, parked_max), "a number" },
        { "ParkedMemory", setting_bytes, offsetof(Config, parked_bytes), "bytes, such as 512M" },
        { "ParkedAge", setting_span, offsetof(Config, parked_usec), "a time, such as 10min" },
        { "Connections", setting_number, offsetof(Config, connections_max), "a number" },
        { "Runtime", parse_runtime, offsetof(Config, runtime), "an absolute path" },
        { "ImageAge", setting_span, offsetof(Config, image_age_usec), "a time, such as 7d" },
        { "ImageFreeSpace", setting_bytes, offsetof(Config, image_free_bytes), "bytes, such as 2G" },
        { "UnenforcedLimits", setting_switch, offsetof(Config, unenforced_limits), "yes or no" },
        { "MaxWallTime", setting_span, offsetof(Config, ceilings.wall_usec), "a time, such as 10min" },
        { "MaxMemory", setting_bytes, offsetof(Config, ceilings.memory_bytes), "bytes, such as 8G" },
        { "MaxProcesses", setting_number, offsetof(Config, ceilings.processes), "a number" },
        { "MaxCPUPercent", setting_number, offsetof(Config, ceilings.cpu_percent), "a number" },
        { "MaxOutput", setting_bytes, offsetof(Config, ceilings.output_bytes), "bytes, such as 16M" },
        { "MaxResult", setting_bytes, offsetof(Config, ceilings.result_bytes), "bytes, such as 4M" },
        { "MaxWritten", setting_bytes, offsetof(Config, ceilings.written_bytes), "bytes, such as 4G" },
        { "MaxInodes", setting_number, offsetof(Config, ceilings.inodes), "a number" },
        { "MaxOpenFiles", setting_number, offsetof(Config, ceilings.open_files), "a number" },
};

const SettingsTable sandbox_settings = SETTINGS_TABLE(keys, defaults);
