/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's core as a whole: any sequence of messages of clients, workers and strangers, and of time.
 * The input is a program: each byte an order, those behind it what it needs. Job ids, tokens and
 * questions that the core gave out can be said back to it, to the right and to the wrong one. The store
 * is one in memory. */

#include "fuzz.h"

#include "router/router.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/peer-message.h"
#include "shared/log.h"

#include <errno.h>
#include <stdio.h>

#define N_PEERS      6U
#define N_LEARNT_MAX 8U
#define N_ORDERS_MAX 400U

#define YAML                                                                                        \
        "queue_length: 4\nrequest_memory: 1M\nanswer_memory: 20K\n"                                 \
        "workers: {test_runners: {ruby: {worker_versions: [v1, v2]}, c: {worker_versions: [v1]}}, " \
        "representers: {ruby: {worker_versions: [v1]}}}"

/* The store */

struct Store {
        StoreConfig *config;
};

static StoreConfig *parse_config(void)
{
        _cleanup_(conf_error_done) ConfError error = {};
        StoreConfig *config;

        if (store_config_parse(YAML, strlen(YAML), &config, &error) != 0)
                abort();
        return config;
}

int store_open(const char *path, const char *seed, Store **ret, char **ret_error)
{
        *ret = calloc(1, sizeof(Store));
        if (!*ret)
                return -ENOMEM;
        (*ret)->config = parse_config();
        return 0;
}

Store *store_free(Store *store)
{
        store_config_free(store->config);
        free(store);
        return NULL;
}

const StoreConfig *store_config(const Store *store)
{
        return store->config;
}

bool store_is_stale(const Store *store)
{
        return false;
}

int store_reload(Store *store, char **ret_error)
{
        store_config_free(store->config);
        store->config = parse_config();
        return 0;
}

int store_set_versions(Store *store, Channel channel, const char *track, const VersionList *versions,
                       char **ret_error)
{
        StoreTrack *known = (StoreTrack *) store_config_track(store->config, channel, track);
        VersionList copy = {};

        if (!known) {
                *ret_error = strdup("no such track here");
                return STORE_BAD;
        }
        for (size_t i = 0; i < versions->n_items; i++)
                if (version_list_add(&copy, &versions->items[i]) < 0)
                        abort();
        version_list_done(&known->versions);
        known->versions = copy;
        return 0;
}

/* The world */

typedef struct World {
        Router *router;
        usec_t now;
        char learnt[N_LEARNT_MAX][80]; /* a job with its token, or a question */
        char key[65];
        size_t n_learnt;
        unsigned gone;                /* bits of peers */
        unsigned n_asked, n_answered; /* of the one client that sends requests only */
        const uint8_t *data;
        size_t size;
} World;

static const char *const peers[N_PEERS] = { "client", "strange", "ruby-1", "ruby-2", "any-1", "thief" };

static const Principal principals[] = {
        { .name = (char *) "loopback", .roles = ROLE_SUBMIT },
        { .name = (char *) "uid:0", .roles = ROLE_ALL },
        { .name = (char *) "uid:990", .roles = ROLE_WORKER },
        { .name = (char *) "uid:991", .roles = ROLE_WORKER },
};

static usec_t world_now(void *userdata)
{
        return ((World *) userdata)->now;
}

static void learn(World *w, json_object *body)
{
        const char *job = json_text(body, "job"), *token = json_text(body, "token"),
                   *query = json_text(body, "query"), *key = json_text(body, "resend_key");
        char *place = w->learnt[w->n_learnt++ % N_LEARNT_MAX];

        if (key)
                (void) snprintf(w->key, sizeof(w->key), "%s", key);
        if (query)
                (void) snprintf(place, sizeof(w->learnt[0]), "\"query\":\"%s\"", query);
        else
                (void) snprintf(place, sizeof(w->learnt[0]), "\"job\":\"%s\",\"token\":\"%s\"", job ?: "",
                                token ?: "");
}

static int world_send(void *userdata, const Bytes *frames, size_t n_frames)
{
        bool is_reply = frames[1].size == 0;
        _cleanup_json_ json_object *body = NULL;
        _cleanup_free_ char *error = NULL;
        World *w = userdata;

        for (size_t i = 0; i < N_PEERS; i++)
                if (strlen(peers[i]) == frames[0].size &&
                    memcmp(peers[i], frames[0].data, frames[0].size) == 0 && w->gone & 1U << i)
                        return ROUTER_GONE;
        if (n_frames < 3 || json_object_from_bytes(frames[is_reply ? 2 : 3].data,
                                                   frames[is_reply ? 2 : 3].size, &body, &error) != 0)
                abort();
        if (!is_reply)
                learn(w, body);
        else if (frames[0].size == strlen(peers[0]) && memcmp(frames[0].data, peers[0], frames[0].size) == 0)
                w->n_answered++;
        return 0;
}

static int world_restart(void *userdata)
{
        return 0;
}

static uint8_t next(World *w)
{
        if (w->size == 0)
                return 0;
        w->size--;
        return *w->data++;
}

static void say(World *w, const Principal *principal, size_t peer, const Bytes *frames, size_t n_frames)
{
        Bytes all[ROUTER_N_FRAMES_MAX] = { { peers[peer], strlen(peers[peer]) } };

        for (size_t i = 0; i < n_frames; i++)
                all[i + 1] = frames[i];
        if (router_on_message(w->router, principal, all, n_frames + 1, false) < 0)
                abort();
}

static Bytes text(const char *s)
{
        return (Bytes){ s, strlen(s) };
}

/* Orders */

static void ask(World *w)
{
        static const char *const requests[] = {
                "'test_solution','track_slug':'ruby','exercise_slug':'x','s3_uri':'s3://a/"
                "','container_version':'v1'",
                "'test_solution','track_slug':'ruby','exercise_slug':'x','s3_uri':'s3://a/"
                "','container_version':'v2'",
                "'test_solution','track_slug':'c','exercise_slug':'x','s3_uri':'s3://a/"
                "','container_version':'v1'",
                "'represent','track_slug':'ruby','exercise_slug':'x','s3_uri':'s3://a/"
                "','container_version':'v1'",
                "'cancel'",
                "'describe_workers'",
                "'router_status'",
                "'current_worker_status'",
                "'deployment_check','channel':'test_runners','track_slug':'ruby'",
                "'list_available_containers','channel':'test_runners','track_slug':'ruby'",
                "'deploy_container_version','channel':'test_runners','track_slug':'ruby','new_version':'v3'",
                "'update_container_versions','channel':'test_runners','track_slug':'c','versions':['v1','v4'"
                "]",
                "'unload_container_version','channel':'test_runners','track_slug':'ruby','new_version':'v1'",
                "'reload_config'",
                "'restart_workers'",
                "'restart_router'",
                "'test_solution'",
                "'dance'",
        };
        static const char *const more[] = { "",
                                            ",'resend':true",
                                            ",'timeout':1",
                                            ",'execution_timeout':0.5",
                                            ",'resend':1",
                                            ",'request_id':'q'" };
        uint8_t which = next(w), how = next(w);
        _cleanup_free_ char *request =
                string_format("{'id':'%c','action':%s%s}", "abc"[how % 3],
                              requests[which % ARRAY_SIZE(requests)], more[how / 3 % ARRAY_SIZE(more)]);

        for (char *s = request; *s != '\0'; s++)
                *s = *s == '\'' ? '"' : *s;
        w->n_asked++;
        say(w, &principals[how / 64 % 2], 0, (const Bytes[]){ { "", 0 }, text(request) }, 2);
}

/* A worker's message of any type, with any of what was learnt. */
static void tell(World *w)
{
        static const char *const bodies[] = {
                "{'version':1,'name':'ruby-1','channel':'test_runners','topics':['ruby'],'slots':2,'held':{}"
                ","
                "'jobs':[],'unacknowledged':[]}",
                "{'version':1,'name':'ruby-1','channel':'test_runners','topics':['ruby','c'],'slots':1,'"
                "held':{},"
                "'jobs':[{%s}],'unacknowledged':[]}",
                "{'version':1,'name':'any-1','channel':'test_runners','topics':[],'slots':1,'held':{},"
                "'jobs':[{%s,'resend_key':'%s'},{%s,'resend_key':'%s'}],'unacknowledged':[]}",
                "{'held':{'ruby':{'v1':null,'v2':null},'c':{'v1':null}},'installing':{}}",
                "{'held':{'c':{'v1':null}},'installing':{'ruby':{'v1':{'state':'fetching'},'v2':{'state':'"
                "failed'}}}}",
                "{%s,'status_code':200}",
                "{%s,'status_code':510,'resend_key':'%s'}",
                "{%s,'status_code':403,'resend_key':'%s'}",
                "{%s,'digest':'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}",
                "{%s,'code':400,'error':'no'}",
                "{%s,'images':{}}",
                "{'slots':2,'running':0}",
                "{'slots':2,'running':1}",
                "{'reason':'x'}",
        };
        static const PeerType types[] = { PEER_HELLO,      PEER_HELLO,    PEER_HELLO,   PEER_CONFIGURED,
                                          PEER_CONFIGURED, PEER_OUTCOME,  PEER_OUTCOME, PEER_OUTCOME,
                                          PEER_RESOLVED,   PEER_RESOLVED, PEER_LISTED,  PEER_HEARTBEAT,
                                          PEER_HEARTBEAT,  PEER_GOODBYE };
        uint8_t which = next(w) % ARRAY_SIZE(bodies), who = next(w), what = next(w);
        const char *learnt = w->learnt[what % N_LEARNT_MAX], *type = peer_type_to_string(types[which]);
        _cleanup_(buffer_done) Buffer body = {};
        size_t n = 0;

        for (const char *s = bodies[which]; *s != '\0'; s++) {
                const char *put = s[0] != '%' ? NULL : n++ % 2 == 0 ? learnt : w->key;
                int r = put ? buffer_append(&body, put, strlen(put), SIZE_MAX)
                            : buffer_append(&body, *s == '\'' ? "\"" : s, 1, SIZE_MAX);

                if (r < 0)
                        abort();
                s += put ? 1 : 0;
        }
        say(w, &principals[who / 16 % ARRAY_SIZE(principals)], who % N_PEERS,
            (const Bytes[]){ text(PEER_MAGIC),
                             text(type),
                             { body.data, body.size },
                             text("{}"),
                             text("{}"),
                             text("") },
            types[which] == PEER_OUTCOME ? 6 : 3);
}

static void say_anything(World *w)
{
        Bytes frames[ROUTER_N_FRAMES_MAX - 1];
        uint8_t how = next(w);
        size_t n = how % ARRAY_SIZE(frames);

        for (size_t i = 0; i < n; i++) {
                size_t size = MIN((size_t) next(w), w->size);

                frames[i] = how & 64 && i == 0 ? text(PEER_MAGIC) : (Bytes){ w->data, size };
                w->data += size;
                w->size -= size;
        }
        say(w, &principals[how / 16 % ARRAY_SIZE(principals)], 1 + how % (N_PEERS - 1), frames, n);
}

static void pass(World *w)
{
        static const usec_t spans[] = { 0, USEC_PER_MSEC, USEC_PER_SEC, 5 * USEC_PER_SEC,
                                        60 * USEC_PER_SEC };
        usec_t end = w->now + spans[next(w) % ARRAY_SIZE(spans)], when;

        for (unsigned n = 0; (when = router_next_time(w->router)) <= end; n++) {
                w->now = MAX(w->now, when);
                if (router_on_time(w->router) < 0 || n > 100000)
                        abort();
        }
        w->now = end;
}

static void lose(World *w)
{
        w->gone ^= 1U << (1 + next(w) % (N_PEERS - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const orders[])(World *) = { ask, ask, tell, tell, tell, pass, lose, say_anything };
        World w = { .now = USEC_PER_SEC, .data = data, .size = size };
        const RouterPort port = { .userdata = &w,
                                  .now = world_now,
                                  .now_realtime = world_now,
                                  .send = world_send,
                                  .restart = world_restart,
                                  .can_restart = true };
        Store *store;

        log_set_max_level(-1);
        if (store_open("", NULL, &store, NULL) != 0)
                abort();
        if (router_new(&port, store, size > 0 && data[0] & 128, &w.router) < 0)
                abort();
        for (size_t i = 0; i < N_ORDERS_MAX && w.size > 0; i++)
                orders[next(&w) % ARRAY_SIZE(orders)](&w);
        /* Each request gets one answer. */
        for (int i = 0; i < 4; i++) {
                w.data = (const uint8_t[]){ 4 };
                w.size = 1;
                pass(&w);
        }
        if (w.n_asked != w.n_answered)
                abort();
        router_free(w.router);
        store_free(store);
        return 0;
}
