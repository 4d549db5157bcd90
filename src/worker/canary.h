/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The canary: a job whose answer is known, which a worker gives itself when it begins, and when a job ended
 * through no fault of its guest. While it fails, the worker takes nothing. */

#include "run.h"

typedef struct Canary Canary;

/* Whether jobs may be taken has changed, or why not. < 0 ends the event loop. */
typedef int (*CanaryHandler)(Canary *canary, void *userdata);

/* `host` is borrowed. */
int canary_new(const RunHost *host, CanaryHandler on_change, void *userdata, Canary **ret) _warn_unused_;
Canary *canary_free(Canary *canary);
DEFINE_CLEANUP(Canary *, canary_free)

/* What the router said: each track's settings. Takes it over (zeroed). */
void canary_configure(Canary *canary, Configure *configure);
/* Versions came or went: the first one that is held is tried. */
int canary_when_held(Canary *canary) _warn_unused_;
/* A job is over: tries again where that was nothing that a guest can do. */
int canary_when_ended(Canary *canary, const RunRecord *record) _warn_unused_;

/* Jobs may be offered: it sang, or there is nothing to try. */
bool canary_is_well(const Canary *canary);
/* Why jobs that come all the same are not taken; NULL while it is not known to fail. */
const char *canary_error(const Canary *canary);
