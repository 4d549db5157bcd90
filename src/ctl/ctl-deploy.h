/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Deploying a version, with what each worker makes of it. */

#include "ctl-ask.h"

#define CTL_DEPLOY_WAIT_USEC (600 * USEC_PER_SEC)

typedef struct CtlDeploy {
        const char *channel, *track, *version;
        usec_t wait_usec; /* for the workers to hold it; 0: not at all */
} CtlDeploy;

/* A CtlExit that was said, or -errno. `ret` is the router's reply. */
int ctl_deploy(const Ctl *ctl, const CtlVerb *verb, const CtlDeploy *what, ClientReply *ret) _warn_unused_;
