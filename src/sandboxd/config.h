/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /etc/pipeline/sandbox.conf: how much may run, and the ceilings of every limit. */

#include "proto/job.h"
#include "rootless/settings-file.h"

#define CONFIG_PATH_SIZE 256U

typedef struct Config {
        Limits ceilings;                /* no plan may ask for more */
        uint64_t running_max;           /* jobs at once */
        uint64_t parked_max;            /* sandboxes that wait for a job; 0: none */
        uint64_t parked_bytes;          /* memory that those may use together */
        usec_t parked_usec;             /* age at which one retires */
        uint64_t connections_max;       /* by one listening socket */
        char runtime[CONFIG_PATH_SIZE]; /* the OCI runtime, an absolute path */
        usec_t image_age_usec;          /* unused for so long an image goes */
        uint64_t image_free_bytes;      /* with less room than this on the disk, sooner */
        bool unenforced_limits;         /* run jobs although the kernel enforces no limits */
} Config;

/* Of a Config. */
extern const SettingsTable sandbox_settings;
