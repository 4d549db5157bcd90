/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deploys and listings: the router sees no registry, so it asks a worker that serves the track, else
 * any of the channel; where that one is lost, another. A deploy changes nothing until each of its
 * versions has a digest; then it is worked into what is deployed at that moment, saved, and pushed to
 * the workers at once. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

RegistryQuery *registry_query_free(Router *router, RegistryQuery *query)
{
        timer_stop(router, &query->timer);
        (void) hashmap_remove_str(router->queries, query->id);
        ask_free(router, query->ask);
        version_list_done(&query->versions);
        free(query);
        return NULL;
}

static int query_fail(Router *router, RegistryQuery *query, StatusCode code, const char *error)
{
        int r = ask_fail(router, query->ask, code, error, NULL);

        registry_query_free(router, query);
        return r;
}

void registry_forget_worker(Router *router, const Worker *worker)
{
        HASHMAP_FOREACH(RegistryQuery, query, router->queries)
                if (query->worker == worker) {
                        _unused_ int r = timer_set(router, &query->timer, router_now(router));

                        assert(r == 0); /* it has its place there already */
                        query->worker = NULL;
                }
}

/* Scoped before generic before any of the channel. */
static Worker *pick_worker(const Router *router, Channel channel, const char *track)
{
        Worker *best = NULL;
        int best_rank = 0;

        HASHMAP_FOREACH(Worker, worker, router->workers) {
                bool is_generic = !worker->hello.topics || !worker->hello.topics[0];
                int rank = worker->hello.channel != channel || worker->is_leaving ? 0
                           : !worker_serves(worker, channel, track)               ? 1
                           : is_generic                                           ? 2
                                                                                  : 3;

                if (rank > best_rank) {
                        best = worker;
                        best_rank = rank;
                }
        }
        return best;
}

/* The next version without a digest, or NULL. */
static VersionItem *next_unresolved(const RegistryQuery *query)
{
        for (size_t i = 0; i < query->versions.n_items; i++)
                if (!query->versions.items[i].digest)
                        return &query->versions.items[i];
        return NULL;
}

static const char no_worker[] = "no worker is online that could look into the registry";

/* Asks what is to be known next; those found gone are passed over. */
static int query_ask(Router *router, RegistryQuery *query)
{
        const Request *request = &query->ask->request;
        const VersionItem *item = next_unresolved(query);
        Query message = {
                .query = query->id,
                .channel = request->channel,
                .track = request->track,
                .version = item ? item->version : NULL,
        };
        int r;

        for (;;) {
                if (!query->worker)
                        query->worker = pick_worker(router, request->channel, request->track);
                if (!query->worker)
                        return query_fail(router, query, STATUS_NO_WORKER, no_worker);
                r = worker_say(router, query->worker, item ? PEER_RESOLVE : PEER_LIST,
                               query_to_json(&message));
                if (r != ROUTER_GONE)
                        break;
                query->worker = NULL;
        }
        return r < 0 ? r : timer_set(router, &query->timer, query->deadline);
}

/* Its time is over, or its worker is lost. */
static int query_on_time(Router *router, Timer *timer)
{
        RegistryQuery *query = CONTAINER_OF(timer, RegistryQuery, timer);

        if (router_now(router) < query->deadline)
                return query_ask(router, query);
        return query_fail(router, query, STATUS_NO_WORKER, "the registry was not looked into in time");
}

/* Takes the ask; without a worker, or with too many questions, it is answered. *ret is NULL then. */
static int query_new(Router *router, Ask *ask, RegistryQuery **ret)
{
        Worker *worker = pick_worker(router, ask->request.channel, ask->request.track);
        const char *refusal = !worker ? no_worker
                              : hashmap_size(router->queries) >= N_QUERIES_MAX
                                      ? "too many questions about the registry are open; try again later"
                                      : NULL;
        RegistryQuery *query = refusal ? NULL : calloc(1, sizeof(RegistryQuery));
        uint8_t bytes[(TOKEN_SIZE - 1) / 2];
        int r;

        *ret = NULL;
        if (!query) {
                r = refusal ? ask_fail(router, ask, STATUS_NO_WORKER, refusal, NULL) : -ENOMEM;
                ask_free(router, ask);
                return r;
        }
        ask_let_lie(ask);
        query->ask = ask;
        query->worker = worker;
        query->timer.fire = query_on_time;
        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                abort(); /* so few bytes always come */
        hex_encode(bytes, sizeof(bytes), query->id);
        query->deadline = router_now(router) + store_config(router->store)->times.registry_usec;
        r = hashmap_put_str(router->queries, query->id, query);
        if (r < 0) {
                registry_query_free(router, query);
                return r;
        }
        *ret = query;
        return 0;
}

int registry_list(Router *router, Ask *ask)
{
        RegistryQuery *query;
        int r = query_new(router, ask, &query);

        return r < 0 || !query ? r : query_ask(router, query);
}

static int on_listed(Router *router, RegistryQuery *query, const Answer *answer)
{
        json_object *response = json_object_new_object();
        int r;

        if (!response || json_add(response, "list_images", json_object_get(answer->images)) < 0) {
                json_object_put(response);
                response = NULL;
        }
        r = ask_succeed(router, query->ask, response);
        registry_query_free(router, query);
        return r;
}

/* What is deployed once it is resolved, in its order */

static int add_wanted(VersionList *list, const char *track, const char *version)
{
        if (version_list_find(list, track, version))
                return 0;
        return version_list_add(list,
                                &(VersionItem){ .track = (char *) track, .version = (char *) version });
}

static int wanted_versions(const Request *request, VersionList *ret)
{
        int r = 0;

        if (request->action == ACTION_DEPLOY_CONTAINER_VERSION)
                return add_wanted(ret, request->track, request->version);
        for (char **version = request->versions; version && *version && r == 0; version++)
                r = add_wanted(ret, request->track, *version);
        return r;
}

/* What shall be deployed from now on: the versions asked for, behind those that are there and stay. */
static int versions_after(const Router *router, const RegistryQuery *query, VersionList *ret)
{
        const Request *request = &query->ask->request;
        const StoreTrack *track =
                store_config_track(store_config(router->store), request->channel, request->track);
        bool is_update = request->action == ACTION_UPDATE_CONTAINER_VERSIONS;
        int r = 0;

        for (size_t i = 0; track && !is_update && i < track->versions.n_items && r == 0; i++)
                if (!streq(track->versions.items[i].version, request->version))
                        r = version_list_add(ret, &track->versions.items[i]);
        for (size_t i = 0; i < query->versions.n_items && r == 0; i++)
                r = version_list_add(ret, &query->versions.items[i]);
        return r;
}

json_object *container_versions(const Router *router)
{
        const StoreConfig *config = store_config(router->store);
        json_object *response = json_object_new_object(), *channels = json_object_new_object();

        for (size_t i = 0; channels && i < config->n_tracks; i++) {
                const StoreTrack *track = config->tracks[i];
                const char *name = channel_to_string(track->channel);
                json_object *versions = json_object_new_array(), *channel;

                for (size_t k = 0; k < track->versions.n_items; k++)
                        json_object_array_add(versions,
                                              json_object_new_string(track->versions.items[k].version));
                if (!json_object_object_get_ex(channels, name, &channel)) {
                        channel = json_object_new_object();
                        json_object_object_add(channels, name, channel);
                }
                json_object_object_add(channel, track->settings.track, versions);
        }
        if (response && json_add(response, "container_versions", channels) == 0)
                return response;
        json_object_put(response);
        return NULL;
}

static int deploy_save(Router *router, RegistryQuery *query)
{
        const Request *request = &query->ask->request;
        _cleanup_(version_list_done) VersionList versions = {};
        _cleanup_free_ char *error = NULL;
        int r = versions_after(router, query, &versions);

        if (r == 0)
                r = store_set_versions(router->store, request->channel, request->track, &versions, &error);
        if (r == -E2BIG)
                return query_fail(router, query, STATUS_BAD_INPUT, "too many versions of this track");
        if (r != 0) {
                log_struct(LOG_ERR, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_BAD }),
                           "Cannot save what is deployed: %s", r == STORE_BAD ? error : strerror(-r));
                return query_fail(router, query, STATUS_INTERNAL_ERROR,
                                  "what is deployed cannot be saved; the router's journal says why");
        }
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_DEPLOYED },
                              { "PIPELINE_CHANNEL", channel_to_string(request->channel) },
                              { "PIPELINE_TRACK", request->track }),
                   "%s for %s %s by %s: %zu versions are deployed", action_to_string(request->action),
                   channel_to_string(request->channel), request->track, query->ask->principal->name,
                   versions.n_items);
        r = workers_configure(router, request->channel, request->track);
        if (r == 0)
                r = ask_succeed(router, query->ask, container_versions(router));
        registry_query_free(router, query);
        return r;
}

static int deploy_go_on(Router *router, RegistryQuery *query)
{
        return next_unresolved(query) ? query_ask(router, query) : deploy_save(router, query);
}

static int on_resolved(Router *router, RegistryQuery *query, const Answer *answer)
{
        VersionItem *item = next_unresolved(query);

        item->digest = strdup(answer->digest);
        return item->digest ? deploy_go_on(router, query) : -ENOMEM;
}

/* To unload one asks nobody. */
static int unload(Router *router, Ask *ask)
{
        RegistryQuery *query = calloc(1, sizeof(RegistryQuery));

        if (!query)
                return -ENOMEM;
        query->ask = ask;
        return deploy_save(router, query);
}

int registry_deploy(Router *router, Ask *ask)
{
        const StoreConfig *config = store_config(router->store);
        const StoreTrack *track = store_config_track(config, ask->request.channel, ask->request.track);
        RegistryQuery *query;
        int r;

        if (ask->request.action == ACTION_UNLOAD_CONTAINER_VERSION) {
                if (track && version_list_find(&track->versions, ask->request.track, ask->request.version))
                        return unload(router, ask);
                r = ask_fail(router, ask, STATUS_BAD_INPUT, "this version is not deployed", NULL);
                ask_free(router, ask);
                return r;
        }
        if (!store_track_name_is_valid(ask->request.track)) {
                r = ask_fail(router, ask, STATUS_BAD_INPUT, "no track can have this name", NULL);
                ask_free(router, ask);
                return r;
        }
        r = query_new(router, ask, &query);
        if (r < 0 || !query)
                return r;
        r = wanted_versions(&query->ask->request, &query->versions);
        return r < 0 ? r : deploy_go_on(router, query);
}

int registry_on_answer(Router *router, Worker *worker, const Answer *answer)
{
        RegistryQuery *query = hashmap_get_str(router->queries, answer->query);

        if (!query || query->worker != worker)
                return 0; /* too late, or not its own */
        if (answer->code != 0)
                return query_fail(router, query,
                                  answer->code == STATUS_BAD_INPUT ? STATUS_BAD_INPUT : STATUS_NO_WORKER,
                                  answer->error ?: "the registry has no such version");
        if (query->ask->request.action == ACTION_LIST_AVAILABLE_CONTAINERS)
                return answer->images ? on_listed(router, query, answer) : 0;
        return answer->digest && next_unresolved(query) ? on_resolved(router, query, answer) : 0;
}
