/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A version goes from queued over fetching and unpacking to held; from any of these it can fail, and is then
 * queued again after a while, a longer one each time. One at a time is under way. */

#include "holdings.h"

#include "install.h"
#include "keeper.h"

#include "basic/list.h"
#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>

#define RETRY_USEC_MIN   USEC_PER_SEC
#define RETRY_USEC_MAX   (300 * USEC_PER_SEC)
#define ERROR_LENGTH_MAX 1000U
#define RETRY_DOUBLINGS  9U
#define TIMER_ACCURACY   (100 * USEC_PER_MSEC)
#define PROGRESS_USEC    USEC_PER_SEC /* so often the router is told */

typedef enum VersionState {
        VERSION_QUEUED,
        VERSION_FETCHING,
        VERSION_UNPACKING,
        VERSION_HELD,
        VERSION_FAILED,
} VersionState;

static const char *const state_names[] = {
        [VERSION_QUEUED] = "queued",
        [VERSION_FETCHING] = "fetching",
        [VERSION_UNPACKING] = "unpacking",
        [VERSION_FAILED] = "failed",
};

typedef struct Version {
        ListLink link;
        char *track, *version;
        char *digest;     /* NULL until it was looked up */
        bool has_setting; /* the track says what runs, so the image need not */
        VersionState state;
        char *error;       /* failed */
        unsigned code;     /* failed: of its jobs */
        unsigned n_failed; /* in a row */
        usec_t retry_usec; /* failed */
        Entrypoint entrypoint;
        uint64_t done_size, total_size; /* fetching; 0: not known */
        bool is_wanted;                 /* while a new configuration is compared */
} Version;

struct Holdings {
        sd_event *event; /* borrowed, like the next */
        const WorkerSettings *settings;
        HoldingsHandler on_change;
        void *userdata;
        List versions; /* owns its members */
        sd_event_source *timer;
        Keeper *keeper;
        /* The install under way. */
        Version *current;
        Install *install;
        usec_t shown_usec; /* its progress */
};

static Version *version_free(Version *version)
{
        if (!version)
                return NULL;
        free(version->track);
        free(version->version);
        free(version->digest);
        free(version->error);
        entrypoint_done(&version->entrypoint);
        free(version);
        return NULL;
}

DEFINE_CLEANUP(Version *, version_free)

static void install_done(Holdings *h)
{
        h->install = install_free(h->install);
        h->current = NULL;
}

static void forget(Holdings *h, Version *version)
{
        if (h->current == version)
                install_done(h);
        list_remove(&h->versions, &version->link);
        version_free(version);
}

Holdings *holdings_free(Holdings *h)
{
        if (!h)
                return NULL;
        LIST_FOREACH(Version, version, &h->versions, link)
                forget(h, version);
        sd_event_source_disable_unref(h->timer);
        keeper_free(h->keeper);
        free(h);
        return NULL;
}

/* Runs the queue from the event loop, at a time. */
static int wake_at(Holdings *h, usec_t usec)
{
        int r = sd_event_source_set_time(h->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

/* All that have a digest shall stay with the sandbox service, whatever their state is. */
static int keep_all(Holdings *h)
{
        _cleanup_(strv_freep) char **digests = NULL;

        LIST_FOREACH(Version, version, &h->versions, link) {
                int r = version->digest && !strv_contains(digests, version->digest)
                                ? strv_extend(&digests, version->digest)
                                : 0;

                if (r < 0)
                        return r;
        }
        return keeper_want(h->keeper, digests);
}

static int set_state(Holdings *h, Version *version, VersionState state)
{
        version->state = state;
        version->done_size = version->total_size = 0;
        if (state != VERSION_FAILED) {
                free(version->error);
                version->error = NULL;
        }
        if (state == VERSION_HELD)
                version->n_failed = 0;
        return h->on_change(h, h->userdata);
}

/* The end of an install, one way or the other; the next one begins. */

static int install_succeed(Holdings *h)
{
        Version *version = h->current;

        install_done(h);
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_INSTALLED },
                              { "PIPELINE_WORKER", h->settings->name }, { "PIPELINE_TRACK", version->track },
                              { "PIPELINE_VERSION", version->version },
                              { "PIPELINE_DIGEST", version->digest }),
                   "%s %s is installed (%s)", version->track, version->version, version->digest);
        if (wake_at(h, 0) < 0)
                return -EIO;
        return set_state(h, version, VERSION_HELD);
}

/* Takes `error`, which may have the words of others in it. */
static int install_fail(Holdings *h, unsigned code, char *error)
{
        _cleanup_free_ char *said = error;
        Version *version = h->current;
        unsigned n_doublings = MIN(version->n_failed, RETRY_DOUBLINGS);
        usec_t delay = MIN(RETRY_USEC_MIN << n_doublings, RETRY_USEC_MAX);

        install_done(h);
        error = said ? string_escape(said, strlen(said), ERROR_LENGTH_MAX) : NULL;
        if (!error)
                return -ENOMEM;
        free(version->error);
        version->error = error;
        version->code = code;
        version->n_failed++;
        version->retry_usec = now_usec(CLOCK_MONOTONIC) + delay;
        log_struct(LOG_WARNING,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_INSTALL_FAILED },
                              { "PIPELINE_WORKER", h->settings->name }, { "PIPELINE_TRACK", version->track },
                              { "PIPELINE_VERSION", version->version }),
                   "%s %s cannot be installed: %s; tried again in %" PRIu64 " s", version->track,
                   version->version, error, delay / USEC_PER_SEC);
        if (wake_at(h, 0) < 0)
                return -EIO;
        return set_state(h, version, VERSION_FAILED);
}

/* The install. */

static int on_fetching(uint64_t done_size, uint64_t total_size, void *userdata)
{
        Holdings *h = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        h->current->done_size = done_size;
        h->current->total_size = total_size;
        if (now < h->shown_usec + PROGRESS_USEC)
                return 0;
        h->shown_usec = now;
        return h->on_change(h, h->userdata);
}

static int on_unpacking(void *userdata)
{
        Holdings *h = userdata;

        return set_state(h, h->current, VERSION_UNPACKING);
}

static int on_succeeded(const char *digest, Entrypoint *entrypoint, void *userdata)
{
        Holdings *h = userdata;
        Version *version = h->current;

        if (!version->digest) {
                version->digest = strdup(digest);
                if (!version->digest)
                        return -ENOMEM;
                if (keep_all(h) < 0)
                        return -ENOMEM;
        }
        entrypoint_done(&version->entrypoint);
        version->entrypoint = *entrypoint;
        *entrypoint = (Entrypoint){};
        if (!version->entrypoint.command && !version->has_setting)
                return install_fail(h, STATUS_SETUP_FAILED, strdup(version->entrypoint.missing));
        return install_succeed(h);
}

static int on_failed(unsigned code, char *error, void *userdata)
{
        return install_fail(userdata, code, error);
}

static const InstallHandlers install_handlers = { on_fetching, on_unpacking, on_succeeded, on_failed };

static int install_start(Holdings *h, Version *version)
{
        const InstallRequest request = {
                .event = h->event,
                .settings = h->settings,
                .track = version->track,
                .version = version->version,
                .digest = version->digest,
        };
        int r;

        h->current = version;
        r = set_state(h, version, VERSION_FETCHING);
        return r < 0 ? r : install_new(&request, &install_handlers, h, &h->install);
}

/* The next one to install: what was never tried first, then what may be tried again. */
static Version *next_version(Holdings *h, usec_t now, usec_t *ret_later)
{
        Version *again = NULL;

        *ret_later = USEC_INFINITY;
        LIST_FOREACH(Version, version, &h->versions, link) {
                if (version->state == VERSION_QUEUED)
                        return version;
                if (version->state != VERSION_FAILED)
                        continue;
                if (version->retry_usec <= now)
                        again = again ?: version;
                else
                        *ret_later = MIN(*ret_later, version->retry_usec);
        }
        return again;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Holdings *h = userdata;
        usec_t later;
        Version *next;

        if (h->current)
                return 0;
        next = next_version(h, now_usec(CLOCK_MONOTONIC), &later);
        if (next)
                return install_start(h, next);
        return later == USEC_INFINITY ? 0 : wake_at(h, later);
}

int holdings_new(sd_event *event, const WorkerSettings *settings, HoldingsHandler on_change, void *userdata,
                 Holdings **ret)
{
        _cleanup_(holdings_freep) Holdings *h = malloc(sizeof(Holdings));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (Holdings){
                .event = event, .settings = settings, .on_change = on_change, .userdata = userdata
        };
        list_init(&h->versions);
        r = sd_event_add_time(event, &h->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, h);
        if (r >= 0)
                r = keeper_new(event, settings, &h->keeper);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

/* What shall be held. */

static Version *find(const Holdings *h, const char *track, const char *version)
{
        LIST_FOREACH(Version, v, &h->versions, link)
                if (streq(v->track, track) && streq(v->version, version))
                        return v;
        return NULL;
}

static bool track_has_setting(const Configure *configure, const char *track)
{
        for (size_t i = 0; i < configure->n_settings; i++)
                if (streq(configure->settings[i].track, track))
                        return configure->settings[i].entrypoint && *configure->settings[i].entrypoint;
        return false;
}

static int add(Holdings *h, const VersionItem *item, Version **ret)
{
        _cleanup_(version_freep) Version *version = calloc(1, sizeof(Version));

        if (!version)
                return -ENOMEM;
        version->track = strdup(item->track);
        version->version = strdup(item->version);
        version->digest = item->digest ? strdup(item->digest) : NULL;
        if (!version->track || !version->version || (item->digest && !version->digest))
                return -ENOMEM;
        list_append(&h->versions, &version->link);
        *ret = TAKE_PTR(version);
        return 0;
}

static int want(Holdings *h, const Configure *configure, const VersionItem *item)
{
        Version *version = find(h, item->track, item->version);
        int r;

        if (version && item->digest && (!version->digest || !streq(version->digest, item->digest))) {
                forget(h, version);
                version = NULL;
        }
        if (!version) {
                r = add(h, item, &version);
                if (r < 0)
                        return r;
        }
        version->is_wanted = true;
        version->has_setting = track_has_setting(configure, item->track);
        if (version->state == VERSION_FAILED) {
                version->n_failed = 0;
                version->retry_usec = 0;
        }
        return 0;
}

int holdings_configure(Holdings *h, const Configure *configure)
{
        int r;

        for (size_t i = 0; i < configure->versions.n_items; i++) {
                r = want(h, configure, &configure->versions.items[i]);
                if (r < 0)
                        return r;
        }
        LIST_FOREACH(Version, version, &h->versions, link) {
                if (!version->is_wanted)
                        forget(h, version);
                else
                        version->is_wanted = false;
        }
        r = keep_all(h);
        return r < 0 ? r : wake_at(h, 0);
}

/* How it stands. */

int holdings_find(const Holdings *h, const char *track, const char *version, HeldVersion *ret,
                  unsigned *ret_code, char **ret_error)
{
        const Version *v = find(h, track, version);
        char *error;

        if (v && v->state == VERSION_HELD) {
                *ret = (HeldVersion){ v->digest, &v->entrypoint };
                return 0;
        }
        if (v && v->error)
                error = string_format("this worker could not install %s %s: %s", track, version, v->error);
        else
                error = string_format("this worker does not hold %s %s%s", track, version, v ? " yet" : "");
        if (!error)
                return -ENOMEM;
        *ret_code = v && v->error ? v->code : STATUS_VERSION_NOT_ON_WORKER;
        *ret_error = error;
        return HOLDINGS_MISSING;
}

bool holdings_has(const Holdings *h, const char *track, const char *version)
{
        const Version *v = find(h, track, version);

        return v && v->state == VERSION_HELD;
}

int holdings_describe(const Holdings *h, Configured *ret)
{
        Configured configured = {};

        LIST_FOREACH(Version, v, &h->versions, link) {
                VersionItem item = { .track = v->track, .version = v->version };
                bool is_held = v->state == VERSION_HELD;
                int r;

                item.digest = is_held ? v->digest : NULL;
                item.state = is_held ? NULL : (char *) state_names[v->state];
                item.error = v->error;
                item.done_size = v->done_size;
                item.total_size = v->total_size;
                r = version_list_add(is_held ? &configured.held : &configured.installing, &item);
                if (r < 0) {
                        configured_done(&configured);
                        return r;
                }
        }
        *ret = configured;
        return 0;
}

HoldingsCount holdings_count(const Holdings *h)
{
        HoldingsCount count = {};

        LIST_FOREACH(Version, v, &h->versions, link) {
                if (v->state == VERSION_HELD)
                        count.n_held++;
                else if (!v->error)
                        count.n_under_way++;
                else {
                        count.n_failed++;
                        count.failed_track = v->track;
                        count.failed_version = v->version;
                        count.failed_error = v->error;
                }
        }
        return count;
}
