/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The build itself, in a confined process: everything it reads is hostile, and so is everything it runs. */

#include "proto/build-plan.h"

/* In the track's folder: what is kept, and what goes with the build. */
#define BUILD_STORAGE "storage"
#define BUILD_WORK    "work"

/* Descriptors that the process keeps; all are regular files but the first and the last. */
typedef struct BuildInside {
        const BuildPlan *plan;
        /* Frames go here: STDOUT, then FILE and DATA of the image, INPUT_END, EXIT; or FAILED. */
        int socket_fd;
        int dockerfile_fd, context_fd;
        int base_fds[BUILD_BASES_MAX];
        int egress_fd; /* a connection to pipeline-egress; < 0: steps have no network */
} BuildInside;

/* A ConfinedMain; `userdata` is a BuildInside. Stays until the socket's other end closes. */
int build_inside(int result_fd, void *userdata);
