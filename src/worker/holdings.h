/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The container versions that this worker shall hold, as the router says, and how far it is with each. They
 * are installed one after the other; one that fails is tried again later and stops no other. */

#include "entrypoint.h"
#include "proto/peer-message.h"
#include "settings.h"

#include <systemd/sd-event.h>

typedef struct Holdings Holdings;

/* A version of a track, borrowed: valid until the event loop goes on. */
typedef struct HeldVersion {
        const char *digest;
        const Entrypoint *entrypoint;
} HeldVersion;

/* Something changed: tell the router and the manager. < 0 ends the event loop. */
typedef int (*HoldingsHandler)(Holdings *holdings, void *userdata);

/* `settings` is borrowed. */
int holdings_new(sd_event *event, const WorkerSettings *settings, HoldingsHandler on_change, void *userdata,
                 Holdings **ret) _warn_unused_;
Holdings *holdings_free(Holdings *holdings);
DEFINE_CLEANUP(Holdings *, holdings_free)

/* What shall be held from now on: the rest is forgotten, what failed is tried again. */
int holdings_configure(Holdings *holdings, const Configure *configure) _warn_unused_;

/* Where to find a version for a job. HOLDINGS_MISSING with the code the job ends with and why,
 * a new string. */
enum {
        HOLDINGS_MISSING = 1,
};
int holdings_find(const Holdings *holdings, const char *track, const char *version, HeldVersion *ret,
                  unsigned *ret_code, char **ret_error) _warn_unused_;

/* Whether jobs of this version can run now. */
bool holdings_has(const Holdings *holdings, const char *track, const char *version);

/* How it stands, for hello and configured. */
int holdings_describe(const Holdings *holdings, Configured *ret) _warn_unused_;

typedef struct HoldingsCount {
        size_t n_held, n_failed, n_under_way;
        const char *failed_track, *failed_version, *failed_error; /* of one that failed, or NULL; borrowed */
} HoldingsCount;
HoldingsCount holdings_count(const Holdings *holdings);
