/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The core's frame: its life, its timers, and who a message is from. A message whose second frame is empty
 * is a client's, any other a worker's. */

#include "router-private.h"

#include "basic/string-util.h"

#include <errno.h>
#include <string.h>

/* What was asked before a restart is waited for as long; a job that takes longer goes on at its worker, and
 * is found by who sends again. */
#define RESTART_PATIENCE_USEC (30 * USEC_PER_SEC)

usec_t router_now(const Router *router)
{
        return router->port.now(router->port.userdata);
}

int timer_set(Router *router, Timer *timer, usec_t usec)
{
        return prioq_put(&router->timers, &timer->link, usec);
}

void timer_stop(Router *router, Timer *timer)
{
        prioq_remove(&router->timers, &timer->link);
}

/* Restarting */

static int restart_now(Router *router, Timer *timer)
{
        int r = router->port.restart(router->port.userdata);

        return r < 0 ? r : 0;
}

int router_restart_soon(Router *router)
{
        usec_t now = router_now(router);

        if (router->restart.link.place != 0)
                return 0; /* asked for before */
        router->generation++;
        router->n_asks_before = router->n_asks;
        return timer_set(router, &router->restart,
                         router->n_asks_before == 0 ? now : now + RESTART_PATIENCE_USEC);
}

/* Life */

static int make_maps(Router *router)
{
        Hashmap **const maps[] = { &router->workers,     &router->workers_by_key, &router->jobs,
                                   &router->jobs_by_key, &router->jobs_by_client, &router->foreign,
                                   &router->holders,     &router->places,         &router->queries,
                                   &router->lines,       &router->kept,           &router->restarted,
                                   &router->accounts };

        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                *maps[i] = hashmap_new();
                if (!*maps[i])
                        return -ENOMEM;
        }
        return 0;
}

int router_new(const RouterPort *port, Store *store, bool force_worker_restart, Router **ret)
{
        _cleanup_(router_freep) Router *router = calloc(1, sizeof(Router));
        int r;

        if (!router)
                return -ENOMEM;
        router->port = *port;
        router->store = store;
        router->force_worker_restart = force_worker_restart;
        router->settled_usec = router_now(router) + store_config(store)->times.dead_usec;
        router->restart.fire = restart_now;
        list_init(&router->kept_order);
        list_init(&router->idle_accounts);
        places_init(router);
        router->start_usec = router_now(router);
        r = make_maps(router);
        if (r == 0)
                r = stats_init(&router->stats);
        if (r == 0)
                *ret = TAKE_PTR(router);
        return r;
}

/* The next member of a map from which the one before was removed: another may have moved to its place. */
static void *next_of(const Hashmap *map, size_t *cursor)
{
        *cursor -= *cursor > 0;
        return map ? hashmap_next(map, cursor) : NULL;
}

Router *router_free(Router *router)
{
        void *member;

        if (!router)
                return NULL;
        for (size_t at = 0; (member = next_of(router->jobs, &at));)
                job_free(router, member);
        for (size_t at = 0; (member = next_of(router->queries, &at));)
                registry_query_free(router, member);
        for (size_t at = 0; (member = next_of(router->kept, &at));)
                kept_free(router, member);
        for (size_t at = 0; (member = next_of(router->workers, &at));)
                worker_free(router, member);
        timer_stop(router, &router->restart);
        peer_forget_all(router);
        assert(router->timers.n_members == 0 && router->memory_size == 0);
        assert(!router->places || hashmap_size(router->places) == 0);
        assert(!router->holders || hashmap_size(router->holders) == 0);
        hashmap_free(router->workers);
        hashmap_free(router->workers_by_key);
        hashmap_free(router->jobs);
        hashmap_free(router->jobs_by_key);
        hashmap_free(router->jobs_by_client);
        hashmap_free(router->foreign);
        hashmap_free(router->holders);
        hashmap_free(router->lines);
        hashmap_free(router->places);
        hashmap_free(router->queries);
        hashmap_free(router->kept);
        hashmap_free(router->restarted);
        hashmap_free(router->accounts);
        stats_done(&router->stats);
        prioq_done(&router->timers);
        free(router);
        return NULL;
}

/* Messages */

/* Answered as far as it was understood. */
static int answer_bad_request(Router *router, Ask *ask, RequestError *error)
{
        json_object *detail = NULL;
        int r = 0;

        if (error->missing) {
                detail = json_object_new_object();
                r = detail ? json_add(detail, "missing_params", TAKE_PTR(error->missing)) : -ENOMEM;
        }
        if (r < 0)
                json_object_put(detail);
        else
                r = ask_fail(router, ask, error->code, error->error, detail);
        ask_free(router, ask);
        return r;
}

static int on_request(Router *router, const Principal *principal, Bytes identity, Bytes text,
                      const char *shape_error)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};
        Ask *ask;
        int parsed, r;

        if (shape_error) {
                error = (RequestError){ .code = STATUS_MALFORMED_REQUEST, .error = strdup(shape_error) };
                parsed = error.error ? REQUEST_BAD : -ENOMEM;
        } else
                parsed = request_parse(text.data, text.size, &request, &error);
        if (parsed < 0)
                return parsed;
        r = ask_new(router, principal, identity, text, &request, &ask);
        if (r < 0)
                return r;
        r = peer_check(router, ask, parsed == 0 && action_waits(ask->request.action));
        if (r != 0) {
                ask_free(router, ask);
                return r < 0 ? r : 0;
        }
        return parsed == REQUEST_BAD ? answer_bad_request(router, ask, &error) : action_run(router, ask);
}

int router_on_message(Router *router, const Principal *principal, const Bytes *frames, size_t n_frames,
                      bool is_cut)
{
        if (n_frames < 2 || frames[0].size > IDENTITY_MAX)
                return 0; /* nowhere to answer to */
        if (frames[1].size > 0 && !is_cut && frames[1].size == strlen(PEER_MAGIC) &&
            memcmp(frames[1].data, PEER_MAGIC, frames[1].size) == 0)
                return worker_on_message(router, principal, frames[0], frames + 1, n_frames - 1);
        if (is_cut || n_frames != 3 || frames[1].size > 0)
                return on_request(router, principal, frames[0], (Bytes){},
                                  "a request is an empty frame and one frame of JSON");
        return on_request(router, principal, frames[0], frames[2], NULL);
}

/* Time */

usec_t router_next_time(const Router *router)
{
        const PrioqLink *link = prioq_first(&router->timers);

        return link ? link->priority : USEC_INFINITY;
}

int router_on_time(Router *router)
{
        usec_t now = router_now(router);
        PrioqLink *link;

        while ((link = prioq_first(&router->timers)) && link->priority <= now) {
                Timer *timer = CONTAINER_OF(link, Timer, link);
                int r;

                prioq_remove(&router->timers, link);
                r = timer->fire(router, timer);
                if (r < 0)
                        return r;
        }
        return 0;
}

int router_reload(Router *router, char **ret_error)
{
        int r = router->port.reload_keys ? router->port.reload_keys(router->port.userdata) : 0;

        if (r == 0)
                r = workers_dismiss_disallowed(router);
        if (r == 0)
                r = store_reload(router->store, ret_error);
        if (r != 0)
                return r;
        if (router->port.reloaded)
                router->port.reloaded(router->port.userdata, store_config(router->store));
        for (Channel channel = 0; channel < _CHANNEL_MAX && r == 0; channel++)
                r = workers_configure(router, channel, NULL);
        return r;
}

char *router_status_text(const Router *router)
{
        size_t n_online = 0;

        HASHMAP_FOREACH(Worker, worker, router->workers)
                n_online += worker_is_online(worker);
        return string_format("%zu workers, %zu jobs running, %zu waiting%s", n_online, router->n_running,
                             router->n_waiting,
                             store_is_stale(router->store) ? "; its file could not be reloaded" : "");
}
