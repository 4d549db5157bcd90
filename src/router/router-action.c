/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What clients ask of the router itself: a table of actions. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* `{name: value}`, taking the value; NULL without memory. */
static json_object *object_of(const char *name, json_object *value)
{
        json_object *object = json_object_new_object();

        if (!object || !value || json_add(object, name, value) < 0) {
                json_object_put(object);
                return NULL;
        }
        return object;
}

static int answer(Router *router, Ask *ask, json_object *response)
{
        int r = ask_succeed(router, ask, response);

        ask_free(router, ask);
        return r;
}

static int current_config(Router *router, Ask *ask)
{
        return answer(router, ask, container_versions(router));
}

/* Workers */

static json_object *worker_info(const Router *router, const Worker *worker)
{
        json_object *info = configured_to_json(&worker->configured), *topics = json_object_new_array();

        for (char **topic = worker->hello.topics; topics && topic && *topic; topic++)
                json_object_array_add(topics, json_object_new_string(*topic));
        if (info && json_add_text(info, "name", worker->hello.name) == 0 &&
            json_add_text(info, "channel", channel_to_string(worker->hello.channel)) == 0 &&
            json_add(info, "topics", topics) == 0 &&
            json_add_bool(info, "online", worker_is_online(worker)) == 0 &&
            json_add_uint(info, "slots", worker->hello.slots) == 0 &&
            json_add_uint(info, "running", worker->jobs.n_members + worker->foreign.n_members) == 0 &&
            json_add_uint(info, "heard_milliseconds",
                          (router_now(router) - worker->heard_usec) / USEC_PER_MSEC) == 0)
                return info;
        json_object_put(info);
        return NULL;
}

static int describe_workers(Router *router, Ask *ask)
{
        json_object *workers = json_object_new_array();

        HASHMAP_FOREACH(Worker, worker, router->workers) {
                json_object *info = worker_info(router, worker);

                if (!info || json_object_array_add(workers, info) < 0) {
                        json_object_put(info);
                        json_object_put(workers);
                        return -ENOMEM;
                }
        }
        return answer(router, ask, object_of("workers_info", workers));
}

static void count_workers(const Router *router, Channel channel, size_t *ret_present, size_t *ret_online)
{
        *ret_present = *ret_online = 0;
        HASHMAP_FOREACH(Worker, worker, router->workers) {
                *ret_present += worker->hello.channel == channel;
                *ret_online += worker->hello.channel == channel && worker_is_online(worker);
        }
}

static int current_worker_status(Router *router, Ask *ask)
{
        _cleanup_json_ json_object *deployed = container_versions(router);
        json_object *status = json_object_new_object(), *channels;

        if (!status || !deployed)
                return -ENOMEM;
        channels = json_object_object_get(deployed, "container_versions");
        for (Channel channel = 0; channel < _CHANNEL_MAX; channel++) {
                json_object *versions = json_object_object_get(channels, channel_to_string(channel));
                json_object *entry = object_of("deployed_versions", versions ? json_object_get(versions)
                                                                             : json_object_new_object());
                size_t n_present, n_online;

                count_workers(router, channel, &n_present, &n_online);
                if (!entry || json_add_uint(entry, "present_workers", n_present) < 0 ||
                    json_add_uint(entry, "online_workers", n_online) < 0 ||
                    json_add(status, channel_to_string(channel), entry) < 0) {
                        json_object_put(status);
                        return -ENOMEM;
                }
        }
        return answer(router, ask, object_of("workers_status", status));
}

/* Held by every online worker of the track; no worker: by none. */
static bool is_held_by_all(const Router *router, Channel channel, const char *track, const char *version)
{
        bool is_held = true;
        size_t n = 0;

        HASHMAP_FOREACH(Worker, worker, router->workers)
                if (worker_is_online(worker) && worker_serves(worker, channel, track)) {
                        n++;
                        is_held = is_held && version_list_find(&worker->configured.held, track, version);
                }
        return n > 0 && is_held;
}

static int deployment_check(Router *router, Ask *ask)
{
        const Request *request = &ask->request;
        const StoreTrack *track =
                store_config_track(store_config(router->store), request->channel, request->track);
        json_object *status = json_object_new_object();

        for (size_t i = 0; status && track && i < track->versions.n_items; i++) {
                const char *version = track->versions.items[i].version;

                if (json_add_bool(status, version,
                                  is_held_by_all(router, request->channel, request->track, version)) < 0) {
                        json_object_put(status);
                        return -ENOMEM;
                }
        }
        return answer(router, ask, object_of("status", status));
}

/* Orders */

static int answer_message(Router *router, Ask *ask, const char *message)
{
        return answer(router, ask, object_of("message", json_object_new_string(message)));
}

static int answer_failure(Router *router, Ask *ask, StatusCode code, const char *error)
{
        int r = ask_fail(router, ask, code, error, NULL);

        ask_free(router, ask);
        return r;
}

static int reload_config(Router *router, Ask *ask)
{
        _cleanup_free_ char *error = NULL;
        int r = router_reload(router, &error);

        if (r == STORE_BAD) {
                log_struct(LOG_ERR, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_BAD }),
                           "Nothing is reloaded: %s", error);
                return answer_failure(
                        router, ask, STATUS_BAD_INPUT,
                        "the file has a fault and nothing was changed; the router's journal says where");
        }
        if (r < 0)
                return answer_failure(router, ask, STATUS_INTERNAL_ERROR, "the file cannot be read");
        return answer_message(router, ask, "the configuration was reloaded");
}

/* Each worker begins anew with a hello, in which it lists what it is at: nothing is lost. */
static int restart_workers(Router *router, Ask *ask)
{
        HASHMAP_FOREACH(Worker, worker, router->workers) {
                int r = worker_renew(router, worker, "begin anew, as restart_workers was asked for");

                if (r < 0)
                        return r;
        }
        return answer_message(router, ask, "every worker begins anew");
}

static int restart_router(Router *router, Ask *ask)
{
        int r;

        if (!router->port.can_restart)
                return answer_failure(router, ask, STATUS_BAD_INPUT,
                                      "this router was started by hand; nothing would start it again");
        r = answer_message(router, ask, "the router restarts");
        return r < 0 ? r : router_restart_soon(router);
}

static int cancel(Router *router, Ask *ask)
{
        size_t n = 0;
        int r = job_cancel_all(router, ask, &n);

        return r < 0 ? r : answer(router, ask, object_of("cancelled", json_object_new_uint64(n)));
}

static int (*const actions[_ACTION_MAX])(Router *, Ask *) = {
        [ACTION_TEST_SOLUTION] = job_accept,
        [ACTION_ANALYZE_ITERATION] = job_accept,
        [ACTION_REPRESENT] = job_accept,
        [ACTION_BUILD_CONTAINER] = job_accept,
        [ACTION_DEPLOY_CONTAINER_VERSION] = registry_deploy,
        [ACTION_UPDATE_CONTAINER_VERSIONS] = registry_deploy,
        [ACTION_UNLOAD_CONTAINER_VERSION] = registry_deploy,
        [ACTION_CURRENT_CONFIG] = current_config,
        [ACTION_LIST_AVAILABLE_CONTAINERS] = registry_list,
        [ACTION_DESCRIBE_WORKERS] = describe_workers,
        [ACTION_CURRENT_WORKER_STATUS] = current_worker_status,
        [ACTION_DEPLOYMENT_CHECK] = deployment_check,
        [ACTION_ROUTER_STATUS] = router_status,
        [ACTION_DESCRIBE_JOBS] = describe_jobs,
        [ACTION_RELOAD_CONFIG] = reload_config,
        [ACTION_RESTART_WORKERS] = restart_workers,
        [ACTION_RESTART_ROUTER] = restart_router,
        [ACTION_CANCEL] = cancel,
};

int action_run(Router *router, Ask *ask)
{
        Role needed = action_role(ask->request.action);

        if (!(ask->principal->roles & needed)) {
                _cleanup_free_ char *error =
                        string_format("not_allowed: this needs the role %s", role_to_string(needed));

                log_struct(LOG_NOTICE, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_NOT_ALLOWED }),
                           "%s asked for %s without the role %s", ask->principal->name,
                           action_to_string(ask->request.action), role_to_string(needed));
                return answer_failure(router, ask, STATUS_BAD_INPUT, error);
        }
        return actions[ask->request.action](router, ask);
}
