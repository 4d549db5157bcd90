/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How things stand, for people: which jobs run and wait, and the figures of the router. Who is no
 * administrator sees their own jobs alone. Looking is bounded, however many wait. */

#include "router-private.h"

#include <errno.h>
#include <stdio.h>

#define N_SHOWN_MAX     1000U
#define N_LOOKED_AT_MAX 10000U

typedef struct Listing {
        Router *router;
        const Principal *principal;
        json_object *jobs; /* owned */
        size_t n_looked_at;
        usec_t now;
} Listing;

static const char *const states[] = {
        [JOB_WAITING] = "waiting",
        [JOB_RUNNING] = "running",
        [JOB_ABANDONED] = "ending",
};

static json_object *job_info(const RouterJob *job, usec_t now)
{
        const Request *request = &job->ask->request;
        json_object *info = json_object_new_object();

        if (info && json_add_text(info, "job", job->id) == 0 &&
            json_add_text(info, "id", request->id) == 0 &&
            json_add_text(info, "channel", channel_to_string(request->channel)) == 0 &&
            json_add_text(info, "track", request->track) == 0 &&
            json_add_text(info, "exercise", request->exercise) == 0 &&
            json_add_text(info, "version", request->version) == 0 &&
            json_add_text(info, "state", states[job->state]) == 0 &&
            json_add_text(info, "worker", job->worker ? job->worker->hello.name : NULL) == 0 &&
            json_add_text(info, "peer", job->ask->principal->name) == 0 &&
            json_add_uint(info, "attempt", job->attempt) == 0 &&
            json_add_uint(info, "age_milliseconds", (now - job->ask->start_usec) / USEC_PER_MSEC) == 0)
                return info;
        json_object_put(info);
        return NULL;
}

static bool listing_is_full(const Listing *listing)
{
        return json_object_array_length(listing->jobs) >= N_SHOWN_MAX ||
               listing->n_looked_at >= N_LOOKED_AT_MAX;
}

static int listing_add(Listing *listing, const RouterJob *job)
{
        json_object *info;

        listing->n_looked_at++;
        if (job->ask->principal != listing->principal && !(listing->principal->roles & ROLE_ADMIN))
                return 0;
        info = job_info(job, listing->now);
        if (info && json_object_array_add(listing->jobs, info) == 0)
                return 0;
        json_object_put(info);
        return -ENOMEM;
}

static int add_running(Listing *listing)
{
        int r = 0;

        HASHMAP_FOREACH(Worker, worker, listing->router->workers)
                LIST_FOREACH(RouterJob, job, &worker->jobs, in_worker)
                        if (r == 0 && !listing_is_full(listing))
                                r = listing_add(listing, job);
        return r;
}

static int add_waiting(Listing *listing, const Place *channel)
{
        LIST_FOREACH(Line, line, &channel->lines, link)
                LIST_FOREACH(Stand, stand, &line->jobs, link) {
                        int r = listing_is_full(listing) ? 0 : listing_add(listing, stand->job);

                        if (r < 0 || listing_is_full(listing))
                                return r;
                }
        return 0;
}

int describe_jobs(Router *router, Ask *ask)
{
        Listing listing = { router, ask->principal, json_object_new_array(), 0, router_now(router) };
        json_object *response = json_object_new_object();
        int r = listing.jobs && response ? add_running(&listing) : -ENOMEM;

        for (Channel channel = 0; channel < _CHANNEL_MAX && r == 0; channel++)
                r = add_waiting(&listing, &router->channels[channel]);
        if (r == 0)
                r = json_add_bool(response, "is_cut", listing_is_full(&listing));
        if (r == 0)
                r = json_add(response, "jobs_info", TAKE_PTR(listing.jobs));
        if (r == 0)
                r = ask_succeed(router, ask, TAKE_PTR(response));
        json_object_put(listing.jobs);
        json_object_put(response);
        ask_free(router, ask);
        return r;
}

/* router_status */

static int add_answered(const Router *router, json_object *status)
{
        json_object *codes = json_object_new_object();
        int r = codes ? 0 : -ENOMEM;

        for (unsigned code = 0; r == 0 && code < ANSWER_CODES_MAX; code++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "%u", code);
                if (router->n_answered[code] > 0)
                        r = json_add_uint(codes, name, router->n_answered[code]);
        }
        if (r == 0)
                return json_add(status, "answered", codes);
        json_object_put(codes);
        return r;
}

static int add_workers(const Router *router, json_object *status)
{
        uint64_t n_online[_CHANNEL_MAX] = {}, n_slots = 0, n_busy = 0;
        json_object *workers = json_object_new_object();
        int r = workers ? 0 : -ENOMEM;

        HASHMAP_FOREACH(Worker, worker, router->workers)
                if (worker_is_online(worker)) {
                        n_online[worker->hello.channel]++;
                        n_slots += worker->hello.slots;
                        n_busy += worker->hello.slots - worker_free_slots(worker);
                }
        for (Channel channel = 0; r == 0 && channel < _CHANNEL_MAX; channel++)
                r = json_add_uint(workers, channel_to_string(channel), n_online[channel]);
        if (r < 0) {
                json_object_put(workers);
                return r;
        }
        r = json_add(status, "workers", workers);
        if (r == 0)
                r = json_add_uint(status, "slots", n_slots);
        return r < 0 ? r : json_add_uint(status, "slots_busy", n_busy);
}

static uint64_t oldest_waiting_msec(const Router *router)
{
        usec_t now = router_now(router), oldest = now;

        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                LIST_FOREACH(Line, line, &router->channels[channel].lines, link) {
                        const Stand *stand = CONTAINER_OF(list_first(&line->jobs), Stand, link);

                        oldest = MIN(oldest, stand->job->ask->start_usec);
                }
        return (now - oldest) / USEC_PER_MSEC;
}

static int add_figures(const Router *router, json_object *status)
{
        const struct {
                const char *name;
                uint64_t value;
        } figures[] = {
                { "uptime_seconds", (router_now(router) - router->start_usec) / USEC_PER_SEC },
                { "queued", router->n_waiting },
                { "queued_oldest_milliseconds", oldest_waiting_msec(router) },
                { "running", router->n_running },
                { "retried", router->stats.n_retried },
                { "workers_lost", router->stats.n_workers_lost },
                { "tracks", store_config(router->store)->n_tracks },
                { "request_memory_bytes", router->memory_size },
                { "request_memory_max_bytes", store_config(router->store)->memory_bytes },
                { "answer_memory_bytes", router->kept_size },
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(figures) && r == 0; i++)
                r = json_add_uint(status, figures[i].name, figures[i].value);
        return r;
}

int router_status(Router *router, Ask *ask)
{
        json_object *status = json_object_new_object(), *response = json_object_new_object();
        int r = status && response ? json_add_text(status, "version", PROJECT_VERSION) : -ENOMEM;

        if (r == 0)
                r = add_workers(router, status);
        if (r == 0)
                r = add_figures(router, status);
        if (r == 0)
                r = add_answered(router, status);
        if (r == 0)
                r = json_add(response, "router_status", TAKE_PTR(status));
        if (r == 0)
                r = ask_succeed(router, ask, TAKE_PTR(response));
        json_object_put(status);
        json_object_put(response);
        ask_free(router, ask);
        return r;
}
