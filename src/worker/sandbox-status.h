/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the sandbox service of this host is, asked now and then: what the router is told in heartbeats. */

#include "basic/macro.h"

#include <systemd/sd-event.h>

typedef struct SandboxStatus SandboxStatus;

typedef struct SandboxFigures {
        bool answers;
        uint64_t parked, running;
} SandboxFigures;

/* `socket_path` is borrowed. */
int sandbox_status_new(sd_event *event, const char *socket_path, SandboxStatus **ret) _warn_unused_;
SandboxStatus *sandbox_status_free(SandboxStatus *status);
/* As it was when last asked; all zero before that. */
SandboxFigures sandbox_status_figures(const SandboxStatus *status);

DEFINE_CLEANUP(SandboxStatus *, sandbox_status_free)
