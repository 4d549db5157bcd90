/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image goes when nobody used it for long; or, where the disk runs out of room, when it is the one that
 * was used longest ago, one at a time. It stays, however old it is and however little room there is, while a
 * worker holds it (that is: while it is deployed for somebody here), while a guest runs in it, and for a
 * while after it was used or installed: so a worker that is just starting again, or is about to say that it
 * holds what it has just installed, finds it.
 *
 * When it was used is the time of its folder, and so outlives the daemon. */

#include "collector.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>

#define INTERVAL_USEC  (3600 * USEC_PER_SEC)
#define SOON_USEC      (10 * USEC_PER_SEC) /* after a use; while there is too little room */
#define GRACE_USEC     (3600 * USEC_PER_SEC)
#define TIMER_ACCURACY USEC_PER_SEC

bool collector_is_held(const Collector *collector, const char *digest)
{
        LIST_FOREACH(Hold, hold, &collector->holds, link)
                if (strv_contains(hold->digests, digest))
                        return true;
        return false;
}

static int look_after(Collector *collector, usec_t usec)
{
        int r = sd_event_source_set_time_relative(collector->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(collector->timer, SD_EVENT_ONESHOT);
}

/* The images that may go, and of these the one that was used longest ago. */
typedef struct Candidate {
        const char *digest; /* NULL: none */
        usec_t age;
} Candidate;

static void consider(const Collector *collector, const char *digest, usec_t now, Candidate *best)
{
        usec_t used, age, grace = MIN(GRACE_USEC, collector->config->image_age_usec);

        if (collector_is_held(collector, digest) || pool_image_is_running(collector->pool, digest) ||
            store_used(collector->store, digest, &used) != 0)
                return;
        age = now > used ? now - used : 0;
        if (age >= grace && (!best->digest || age > best->age))
                *best = (Candidate){ digest, age };
}

static int remove_image(Collector *collector, const Candidate *candidate, const char *why)
{
        int r;

        pool_retire(collector->pool, candidate->digest);
        r = store_remove(collector->store, candidate->digest);
        if (r == 0)
                log_struct(LOG_INFO, LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_IMAGE_COLLECTED }),
                           "Image %s is removed: nobody used it for %" PRIu64 " min%s", candidate->digest,
                           candidate->age / USEC_PER_SEC / 60, why);
        return MIN(r, 0);
}

/* Takes one away, where there is one to take; 1 where there may be another. */
static int collect_one(Collector *collector, bool *ret_needs_room)
{
        _cleanup_(strv_freep) char **digests = NULL;
        usec_t now = now_usec(CLOCK_REALTIME);
        Candidate best = {};
        uint64_t free_size;
        int r;

        r = store_free_size(collector->store, &free_size);
        if (r == 0)
                r = store_images(collector->store, &digests);
        if (r < 0)
                return r;
        *ret_needs_room = free_size < collector->config->image_free_bytes;
        for (char **digest = digests; digest && *digest; digest++)
                consider(collector, *digest, now, &best);
        if (!best.digest)
                return 0;
        if (best.age >= collector->config->image_age_usec)
                r = remove_image(collector, &best, "");
        else if (*ret_needs_room)
                r = remove_image(collector, &best, ", and the disk is running out of room");
        else
                return 0;
        return r < 0 ? r : 1;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Collector *collector = userdata;
        bool needs_room = false;
        int r = collect_one(collector, &needs_room);

        if (r < 0)
                log_warning("Images cannot be collected: %s", strerror(-r));
        /* What is removed gives its room back a little later. */
        if (r > 0 && !needs_room)
                return look_after(collector, 0);
        return look_after(collector,
                          needs_room ? SOON_USEC : MIN(INTERVAL_USEC, collector->config->image_age_usec));
}

int collector_init(Collector *collector, sd_event *event, Store *store, Pool *pool, const Config *config)
{
        int r;

        *collector = (Collector){ .store = store, .pool = pool, .config = config };
        list_init(&collector->holds);
        r = sd_event_add_time_relative(event, &collector->timer, CLOCK_MONOTONIC,
                                       MIN(SOON_USEC, config->image_age_usec), TIMER_ACCURACY, on_timer,
                                       collector);
        if (r >= 0) /* what is asked of the daemon comes first */
                r = sd_event_source_set_priority(collector->timer, SD_EVENT_PRIORITY_IDLE);
        return r < 0 ? r : 0;
}

void collector_done(Collector *collector)
{
        if (!collector->store)
                return;
        assert(collector->holds.n_members == 0);
        collector->timer = sd_event_source_disable_unref(collector->timer);
}

void collector_note(Collector *collector, const char *digest)
{
        int r = store_touch(collector->store, digest);

        if (r < 0)
                log_warning("Image %s seems older than it is: %s", digest, strerror(-r));
}

static void note_all(Collector *collector, char *const *digests)
{
        for (; digests && *digests; digests++)
                collector_note(collector, *digests);
}

int collector_hold(Collector *collector, char **digests, Hold **ret)
{
        Hold *hold = calloc(1, sizeof(Hold));

        if (!hold)
                return -ENOMEM;
        hold->digests = digests;
        list_append(&collector->holds, &hold->link);
        note_all(collector, digests);
        *ret = hold;
        return 0;
}

Hold *collector_release(Collector *collector, Hold *hold)
{
        if (!hold)
                return NULL;
        note_all(collector, hold->digests);
        list_remove(&collector->holds, &hold->link);
        strv_free(hold->digests);
        free(hold);
        return NULL;
}
