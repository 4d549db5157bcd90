/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where jobs and workers meet. A worker has a seat at the place of each of its tracks, or, generic, at that
 * of its channel; the seats of those with a free slot are in a list, least recently used first. A job that
 * waits does so at its track and at its channel (router-queue.c), so that whichever worker becomes free
 * finds the next job it may take without looking at another.
 *
 * How a worker stands to a job's version decides too: one that is about to have it is better waited for, and
 * so is another that has it; where nobody has it, whoever is asked says so. Nothing here depends on how many
 * workers or waiting jobs there are. */

#include "router-private.h"

#include "basic/string-util.h"

#include <errno.h>

#define N_LOOKED_AT_MAX 64U /* members of a list, for one that fits */

/* Places */

static void place_init(Place *place)
{
        list_init(&place->idle);
        list_init(&place->lines);
}

void places_init(Router *router)
{
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++)
                place_init(&router->channels[channel]);
}

Place *place_get(Router *router, Channel channel, const char *track)
{
        _cleanup_free_ char *key = string_format("%s/%s", channel_to_string(channel), track);
        Place *place = key ? hashmap_get_str(router->places, key) : NULL;

        if (!place && key) {
                place = calloc(1, sizeof(Place));
                if (!place)
                        return NULL;
                place_init(place);
                if (hashmap_put_str(router->places, key, place) < 0) {
                        free(place);
                        return NULL;
                }
                place->key = TAKE_PTR(key);
        }
        if (place)
                place->n_refs++;
        return place;
}

/* Those of channels, which have no key, stay. */
Place *place_unref(Router *router, Place *place)
{
        if (!place || !place->key || --place->n_refs > 0)
                return NULL;
        (void) hashmap_remove_str(router->places, place->key);
        free(place->key);
        free(place);
        return NULL;
}

int worker_take_places(Router *router, Worker *worker)
{
        size_t n_topics = strv_length(worker->hello.topics);

        worker->seats = calloc(MAX(n_topics, 1U), sizeof(Seat));
        if (!worker->seats)
                return -ENOMEM;
        for (size_t i = 0; i < MAX(n_topics, 1U); i++) {
                Place *place = n_topics == 0
                                       ? &router->channels[worker->hello.channel]
                                       : place_get(router, worker->hello.channel, worker->hello.topics[i]);

                if (!place)
                        return -ENOMEM;
                worker->seats[i] = (Seat){ .worker = worker, .place = place };
                worker->n_seats++;
                place->n_workers++;
        }
        return 0;
}

void worker_leave_seats(Worker *worker)
{
        for (size_t i = 0; i < worker->n_seats; i++)
                list_remove(&worker->seats[i].place->idle, &worker->seats[i].link);
}

void worker_leave_places(Router *router, Worker *worker)
{
        worker_leave_seats(worker);
        for (size_t i = 0; i < worker->n_seats; i++) {
                worker->seats[i].place->n_workers--;
                place_unref(router, worker->seats[i].place);
        }
        free(worker->seats);
        worker->seats = NULL;
        worker->n_seats = 0;
}

void worker_take_seats(Worker *worker)
{
        for (size_t i = 0; i < worker->n_seats; i++) {
                Seat *seat = &worker->seats[i];

                list_remove(&seat->place->idle, &seat->link);
                if (worker_free_slots(worker) > 0)
                        list_append(&seat->place->idle, &seat->link);
        }
}

bool job_has_workers(const RouterJob *job)
{
        return job->track->n_workers + job->channel->n_workers > 0;
}

/* Holders */

Holder *holder_get(Router *router, Channel channel, const char *track, const char *version)
{
        _cleanup_free_ char *key = string_format("%s/%s/%s", channel_to_string(channel), track, version);
        Holder *holder = key ? hashmap_get_str(router->holders, key) : NULL;

        if (!holder && key) {
                holder = calloc(1, sizeof(Holder));
                if (!holder)
                        return NULL;
                if (hashmap_put_str(router->holders, key, holder) < 0) {
                        free(holder);
                        return NULL;
                }
                holder->key = TAKE_PTR(key);
        }
        if (holder)
                holder->n_refs++;
        return holder;
}

Holder *holder_unref(Router *router, Holder *holder)
{
        if (!holder || --holder->n_refs > 0)
                return NULL;
        (void) hashmap_remove_str(router->holders, holder->key);
        free(holder->key);
        free(holder);
        return NULL;
}

static bool is_being_installed(const VersionItem *item)
{
        return item->state && !streq(item->state, "failed");
}

static int count_holders(Router *router, Worker *worker, const VersionList *versions, bool are_held)
{
        for (size_t i = 0; i < versions->n_items; i++) {
                const VersionItem *item = &versions->items[i];
                Holder *holder;

                if (!are_held && !is_being_installed(item))
                        continue;
                holder = holder_get(router, worker->hello.channel, item->track, item->version);
                if (!holder)
                        return -ENOMEM;
                holder->n_workers++;
                worker->holders[worker->n_holders++] = holder;
        }
        return 0;
}

int worker_count_holders(Router *router, Worker *worker)
{
        const Configured *configured = &worker->configured;
        int r;

        worker_forget_holders(router, worker);
        worker->holders =
                calloc(configured->held.n_items + configured->installing.n_items + 1, sizeof(Holder *));
        if (!worker->holders)
                return -ENOMEM;
        r = count_holders(router, worker, &configured->held, true);
        return r < 0 ? r : count_holders(router, worker, &configured->installing, false);
}

void worker_forget_holders(Router *router, Worker *worker)
{
        for (size_t i = 0; i < worker->n_holders; i++) {
                worker->holders[i]->n_workers--;
                holder_unref(router, worker->holders[i]);
        }
        free(worker->holders);
        worker->holders = NULL;
        worker->n_holders = 0;
}

/* Meeting */

typedef enum Fitness {
        FIT_NOT,     /* it will have it in a moment, or another has it */
        FIT_WITHOUT, /* as little as anybody else */
        FIT_HOLDS,
} Fitness;

/* What it was last told to hold it has not read yet. */
static bool worker_is_behind(const Worker *worker)
{
        return worker->configured.serial > 0 && worker->configured.serial < worker->n_configures;
}

static Fitness worker_fitness(const Worker *worker, const RouterJob *job)
{
        const Request *request = &job->ask->request;

        if (job->holder->n_workers == 0)
                return worker_is_behind(worker) ? FIT_NOT : FIT_WITHOUT;
        return version_list_find(&worker->configured.held, request->track, request->version) ? FIT_HOLDS
                                                                                             : FIT_NOT;
}

static Worker *place_pick(const Place *place, const RouterJob *job)
{
        size_t n = 0;

        for (ListLink *link = list_first(&place->idle);
             link && link != &place->idle.root && n < N_LOOKED_AT_MAX; link = link->next, n++) {
                Worker *worker = CONTAINER_OF(link, Seat, link)->worker;

                if (worker_fitness(worker, job) != FIT_NOT)
                        return worker;
        }
        return NULL;
}

Worker *job_pick_worker(const RouterJob *job)
{
        return place_pick(job->track, job) ?: place_pick(job->channel, job);
}

static RouterJob *line_first_for(const Line *line, const Worker *worker, size_t n_max)
{
        size_t n = 0;

        for (ListLink *link = list_first(&line->jobs); link && link != &line->jobs.root && n < n_max;
             link = link->next, n++) {
                RouterJob *job = CONTAINER_OF(link, Stand, link)->job;

                if (worker_fitness(worker, job) != FIT_NOT)
                        return job;
        }
        return NULL;
}

/* Of the principal whose turn it is, or the next that has one. */
static RouterJob *place_next_for(const Place *place, const Worker *worker)
{
        size_t n_lines = MIN(place->lines.n_members, N_LOOKED_AT_MAX), n = 0,
               n_each = n_lines > 0 ? N_LOOKED_AT_MAX / n_lines : 0;

        for (ListLink *link = list_first(&place->lines);
             link && link != &place->lines.root && n < N_LOOKED_AT_MAX; link = link->next, n += n_each) {
                RouterJob *job = line_first_for(CONTAINER_OF(link, Line, link), worker, n_each);

                if (job)
                        return job;
        }
        return NULL;
}

RouterJob *worker_pick_job(const Worker *worker)
{
        RouterJob *oldest = NULL;

        for (size_t i = 0; i < worker->n_seats; i++) {
                RouterJob *job = place_next_for(worker->seats[i].place, worker);

                if (job && (!oldest || job->ask->start_usec < oldest->ask->start_usec))
                        oldest = job;
        }
        return oldest;
}
