/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* `workers_info` of the router, as structs that borrow from it. */

#include "ctl.h"

#include <json-c/json.h>

typedef struct CtlWorker {
        const char *name, *channel; /* "-" where missing */
        json_object *topics;        /* array, or NULL */
        bool is_online;
        uint64_t slots, running;
        json_object *held, *installing; /* {track: {version: …}}, or NULL */
} CtlWorker;

CtlWorker ctl_worker(json_object *info);
/* Whether it serves the track of the channel. */
bool ctl_worker_serves(const CtlWorker *worker, const char *channel, const char *track);
/* `held`, the state of an install, or NULL where it knows nothing of the version. An install that failed has
 * its reason in *ret_error (borrowed), which is NULL else. */
const char *ctl_worker_state(const CtlWorker *worker, const char *track, const char *version,
                             const char **ret_error);
/* How much of the image has come, in percent; -1 where that is not said. */
int ctl_worker_percent(const CtlWorker *worker, const char *track, const char *version);
