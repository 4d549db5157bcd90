/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which images stay, and which are taken away by themselves. */

#include "config.h"
#include "pool.h"

#include "basic/list.h"

/* Images that somebody says he wants: they stay for as long as this is in the list. */
typedef struct Hold {
        char **digests; /* owned */
        ListLink link;
} Hold;

typedef struct Collector {
        Store *store; /* borrowed, like the next two */
        Pool *pool;
        const Config *config;
        List holds;
        sd_event_source *timer;
} Collector;

int collector_init(Collector *collector, sd_event *event, Store *store, Pool *pool,
                   const Config *config) _warn_unused_;
/* Every hold has ended. One that was never begun is allowed. */
void collector_done(Collector *collector);

/* Takes over the digests; they were used now, and are again when it ends. */
int collector_hold(Collector *collector, char **digests, Hold **ret) _warn_unused_;
Hold *collector_release(Collector *collector, Hold *hold);
bool collector_is_held(const Collector *collector, const char *digest);

/* An image was used, or is new: looks at the store soon. */
void collector_note(Collector *collector, const char *digest);
