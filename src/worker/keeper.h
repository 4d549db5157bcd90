/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the sandbox service which images this worker wants, so that it keeps them. */

#include "settings.h"

#include <systemd/sd-event.h>

typedef struct Keeper Keeper;

/* `settings` is borrowed. */
int keeper_new(sd_event *event, const WorkerSettings *settings, Keeper **ret) _warn_unused_;
Keeper *keeper_free(Keeper *keeper);
DEFINE_CLEANUP(Keeper *, keeper_free)

/* All that are wanted from now on; copied. Nothing is said where they are what they were. */
int keeper_want(Keeper *keeper, char *const *digests) _warn_unused_;
