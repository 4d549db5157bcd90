/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has happened, counted, and how things stand, as text for scrapers (docs/METRICS.md). Labels have a
 * bound: so many tracks have numbers of their own, the rest are one; so many workers are shown. Counting is
 * constant work a job. */

#include "router-private.h"

#include "basic/string-util.h"

#include <errno.h>
#include <stdio.h>

#define N_TRACKS_MAX  500U
#define N_WORKERS_MAX 500U
#define REST          "_other" /* no track has this name */

static const char *const limit_names[_PEER_LIMIT_MAX] = { "requests", "memory", "rate" };
static const char *const scope_names[_PEER_SCOPE_MAX] = { "peer", "connection" };

/* Of one track. */
struct TrackStats {
        Channel channel;
        char *track;
        uint64_t n_ended[N_CODES]; /* by code - CODE_MIN */
        Histogram duration;        /* from the request to its answer */
        usec_t cpu_usec;           /* that guests used */
        ListLink link;
};

int stats_init(Stats *stats)
{
        list_init(&stats->tracks);
        stats->by_name = hashmap_new();
        return stats->by_name ? 0 : -ENOMEM;
}

void stats_done(Stats *stats)
{
        if (stats->by_name)
                LIST_FOREACH(TrackStats, track, &stats->tracks, link) {
                        free(track->track);
                        free(track);
                }
        stats->by_name = hashmap_free(stats->by_name);
}

/* Counting */

static TrackStats *track_new(Stats *stats, Channel channel, const char *name, const char *key)
{
        TrackStats *track = calloc(1, sizeof(TrackStats));

        if (!track)
                return NULL;
        track->channel = channel;
        track->track = strdup(name);
        if (!track->track || hashmap_put_str(stats->by_name, key, track) < 0) {
                free(track->track);
                free(track);
                return NULL;
        }
        list_append(&stats->tracks, &track->link);
        return track;
}

/* NULL without memory: then a number is missing, that is all. */
static TrackStats *track_get(Stats *stats, Channel channel, const char *name)
{
        _cleanup_free_ char *key = string_format("%s/%s", channel_to_string(channel), name);
        TrackStats *track = key ? hashmap_get_str(stats->by_name, key) : NULL;

        if (track || !key)
                return track;
        if (stats->tracks.n_members >= N_TRACKS_MAX && !streq(name, REST))
                return track_get(stats, channel, REST);
        return track_new(stats, channel, name, key);
}

void stats_job_given(Router *router, const RouterJob *job)
{
        if (job->attempt == 1)
                histogram_add(&router->stats.waited[job->ask->request.channel],
                              router_now(router) - job->ask->start_usec);
        else
                router->stats.n_retried++;
}

void stats_job_ended(Router *router, const RouterJob *job, StatusCode code)
{
        const Request *request = &job->ask->request;
        TrackStats *track = track_get(&router->stats, request->channel, request->track);

        if (!track || code < CODE_MIN || code >= CODE_MIN + N_CODES)
                return;
        track->n_ended[code - CODE_MIN]++;
        histogram_add(&track->duration, router_now(router) - job->ask->start_usec);
}

void stats_job_used(Router *router, const RouterJob *job, usec_t cpu_usec)
{
        const Request *request = &job->ask->request;
        TrackStats *track = track_get(&router->stats, request->channel, request->track);

        if (track)
                track->cpu_usec += cpu_usec;
}

/* Text */

static void write_jobs(MetricWriter *w, const Router *router)
{
        metric_family(w, "pipeline_jobs", "counter", NULL, "Jobs that have ended, by their status code.");
        LIST_FOREACH(TrackStats, track, &router->stats.tracks, link)
                for (unsigned i = 0; i < N_CODES; i++) {
                        char code[16];

                        if (track->n_ended[i] == 0)
                                continue;
                        (void) snprintf(code, sizeof(code), "%u", CODE_MIN + i);
                        metric_counter(w,
                                       METRIC_LABELS({ "channel", channel_to_string(track->channel) },
                                                     { "track", track->track }, { "code", code }),
                                       track->n_ended[i]);
                }
        metric_family(w, "pipeline_job_duration_seconds", "histogram", "seconds",
                      "From a job's request to its answer.");
        LIST_FOREACH(TrackStats, track, &router->stats.tracks, link)
                metric_histogram(w,
                                 METRIC_LABELS({ "channel", channel_to_string(track->channel) },
                                               { "track", track->track }),
                                 &track->duration);
        metric_family(w, "pipeline_job_cpu_seconds", "counter", "seconds", "CPU time that guests used.");
        LIST_FOREACH(TrackStats, track, &router->stats.tracks, link)
                metric_counter_usec(w,
                                    METRIC_LABELS({ "channel", channel_to_string(track->channel) },
                                                  { "track", track->track }),
                                    track->cpu_usec);
}

static void write_queue(MetricWriter *w, const Router *router)
{
        metric_family(w, "pipeline_job_wait_seconds", "histogram", "seconds",
                      "From a job's request until a worker got it.");
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                metric_histogram(w, METRIC_LABELS({ "channel", channel_to_string(channel) }),
                                 &router->stats.waited[channel]);
        metric_family(w, "pipeline_jobs_waiting", "gauge", NULL, "Jobs that wait for a worker.");
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                metric_gauge(w, METRIC_LABELS({ "channel", channel_to_string(channel) }),
                             router->channels[channel].n_waiting);
        metric_family(w, "pipeline_jobs_retried", "counter", NULL,
                      "Jobs given out once more, as their worker was lost.");
        metric_counter(w, NULL, router->stats.n_retried);
}

static void write_requests(MetricWriter *w, const Router *router)
{
        const StoreConfig *config = store_config(router->store);

        metric_family(w, "pipeline_requests", "counter", NULL,
                      "Requests answered, jobs among them, by status code.");
        for (unsigned i = 0; i < ANSWER_CODES_MAX; i++) {
                char code[16];

                (void) snprintf(code, sizeof(code), "%u", i);
                if (router->n_answered[i] > 0)
                        metric_counter(w, METRIC_LABELS({ "code", code }), router->n_answered[i]);
        }
        metric_family(w, "pipeline_requests_limited", "counter", NULL,
                      "Requests refused as their peer was at a limit.");
        for (PeerScope scope = 0; scope < _PEER_SCOPE_MAX; scope++)
                for (PeerLimit limit = 0; limit < _PEER_LIMIT_MAX; limit++)
                        metric_counter(w,
                                       METRIC_LABELS({ "scope", scope_names[scope] },
                                                     { "limit", limit_names[limit] }),
                                       router->stats.n_limited[scope][limit]);
        metric_family(w, "pipeline_request_memory_bytes", "gauge", "bytes", "Of requests under way.");
        metric_gauge(w, NULL, router->memory_size);
        metric_family(w, "pipeline_request_memory_max_bytes", "gauge", "bytes", "The most there may be.");
        metric_gauge(w, NULL, config->memory_bytes);
        metric_family(w, "pipeline_answer_memory_bytes", "gauge", "bytes",
                      "Of answers kept for those who send again.");
        metric_gauge(w, NULL, router->kept_size);
}

/* Workers */

typedef struct ChannelCount {
        uint64_t online, away, slots, busy, running;
        uint64_t held, queued, fetching, unpacking, failed;
} ChannelCount;

static const struct {
        const char *state;
        size_t offset;
} installs[] = {
        { "held", offsetof(ChannelCount, held) },         { "queued", offsetof(ChannelCount, queued) },
        { "fetching", offsetof(ChannelCount, fetching) }, { "unpacking", offsetof(ChannelCount, unpacking) },
        { "failed", offsetof(ChannelCount, failed) },
};

static uint64_t *member_of(ChannelCount *count, size_t offset)
{
        return (uint64_t *) (void *) ((char *) count + offset);
}

static void count_worker(const Worker *worker, ChannelCount *count)
{
        bool is_online = worker_is_online(worker);

        count->online += is_online;
        count->away += !is_online;
        count->slots += is_online ? worker->hello.slots : 0;
        count->busy += is_online ? worker->hello.slots - worker_free_slots(worker) : 0;
        count->running += worker->jobs.n_members;
        count->held += worker->configured.held.n_items;
        for (size_t i = 0; i < worker->configured.installing.n_items; i++)
                for (size_t k = 0; k < ARRAY_SIZE(installs); k++)
                        if (streq(worker->configured.installing.items[i].state ?: "", installs[k].state))
                                (*member_of(count, installs[k].offset))++;
}

static void write_channel_gauge(MetricWriter *w, ChannelCount *counts, const char *name, const char *help,
                                size_t offset)
{
        metric_family(w, name, "gauge", NULL, help);
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                metric_gauge(w, METRIC_LABELS({ "channel", channel_to_string(channel) }),
                             *member_of(&counts[channel], offset));
}

static void write_channels(MetricWriter *w, const Router *router)
{
        ChannelCount counts[_CHANNEL_MAX] = {};

        HASHMAP_FOREACH(Worker, worker, router->workers)
                count_worker(worker, &counts[worker->hello.channel]);
        write_channel_gauge(w, counts, "pipeline_workers_online", "Workers that take jobs.",
                            offsetof(ChannelCount, online));
        write_channel_gauge(w, counts, "pipeline_workers_away",
                            "Workers that are known and take no jobs: not ready yet, or leaving.",
                            offsetof(ChannelCount, away));
        write_channel_gauge(w, counts, "pipeline_worker_slots",
                            "Jobs that the online workers may run at once.", offsetof(ChannelCount, slots));
        write_channel_gauge(w, counts, "pipeline_worker_slots_busy", "Of these, taken.",
                            offsetof(ChannelCount, busy));
        write_channel_gauge(w, counts, "pipeline_jobs_running", "Jobs at a worker.",
                            offsetof(ChannelCount, running));
        metric_family(w, "pipeline_installs", "gauge", NULL, "Versions at workers, by how far they are.");
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                for (size_t i = 0; i < ARRAY_SIZE(installs); i++)
                        metric_gauge(w,
                                     METRIC_LABELS({ "channel", channel_to_string(channel) },
                                                   { "state", installs[i].state }),
                                     *member_of(&counts[channel], installs[i].offset));
}

/* A number that each worker says in its heartbeat. */
static void write_worker_gauge(MetricWriter *w, const Router *router, const char *name, const char *help,
                               size_t offset)
{
        size_t n = 0;

        metric_family(w, name, "gauge", NULL, help);
        HASHMAP_FOREACH(Worker, worker, router->workers) {
                const uint64_t *value = (const void *) ((const char *) &worker->heartbeat + offset);

                if (worker->heartbeat.sandbox && n++ < N_WORKERS_MAX)
                        metric_gauge(w,
                                     METRIC_LABELS({ "channel", channel_to_string(worker->hello.channel) },
                                                   { "worker", worker->hello.name }),
                                     *value);
        }
}

static void write_workers(MetricWriter *w, const Router *router)
{
        size_t n = 0;

        metric_family(w, "pipeline_worker_sandbox_up", "gauge", NULL,
                      "Whether the sandbox service of a worker's host answers it.");
        HASHMAP_FOREACH(Worker, worker, router->workers)
                if (n++ < N_WORKERS_MAX)
                        metric_gauge(w,
                                     METRIC_LABELS({ "channel", channel_to_string(worker->hello.channel) },
                                                   { "worker", worker->hello.name }),
                                     worker->heartbeat.sandbox);
        write_worker_gauge(w, router, "pipeline_sandboxes_parked",
                           "Sandboxes that wait for a job on a worker's host.", offsetof(Heartbeat, parked));
        write_worker_gauge(w, router, "pipeline_sandboxes_running",
                           "Sandboxes that run a job on a worker's host.", offsetof(Heartbeat, sandboxes));
        metric_family(w, "pipeline_workers_lost", "counter", NULL,
                      "Workers that fell silent or whose connection broke.");
        metric_counter(w, NULL, router->stats.n_workers_lost);
}

void router_write_metrics(const Router *router, MetricWriter *w)
{
        metric_family(w, "pipeline_router", "info", NULL, "The router's version.");
        metric_info(w, METRIC_LABELS({ "version", PROJECT_VERSION }));
        write_jobs(w, router);
        write_queue(w, router);
        write_requests(w, router);
        write_channels(w, router);
        write_workers(w, router);
}
