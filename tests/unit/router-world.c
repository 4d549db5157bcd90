/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "router-world.h"

#include "basic/string-util.h"
#include "basic/tree.h"
#include "proto/json-fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define REALTIME UINT64_C(1700000000000000)

/* What a test cannot go on without. */
#define MUST(condition)                                                                        \
        do {                                                                                   \
                if (!(condition)) {                                                            \
                        (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                               \
                }                                                                              \
        } while (0)

/* The port */

static usec_t port_now(void *userdata)
{
        return ((World *) userdata)->now;
}

static usec_t port_now_realtime(void *userdata)
{
        const World *w = userdata;

        return w->realtime + w->now;
}

static json_object *parse(Bytes bytes)
{
        _cleanup_free_ char *error = NULL;
        json_object *object = NULL;

        if (json_object_from_bytes(bytes.data, bytes.size, &object, &error) != 0)
                (void) fprintf(stderr, "not JSON: %s: %.*s\n", error, (int) bytes.size,
                               (const char *) bytes.data);
        MUST(object);
        return object;
}

static PeerType type_of(Bytes frame)
{
        for (PeerType type = 0; type < _PEER_TYPE_MAX; type++)
                if (strlen(peer_type_to_string(type)) == frame.size &&
                    memcmp(peer_type_to_string(type), frame.data, frame.size) == 0)
                        return type;
        return _PEER_TYPE_INVALID;
}

static int port_send(void *userdata, const Bytes *frames, size_t n_frames)
{
        World *w = userdata;
        Sent sent = { .type = _PEER_TYPE_INVALID };

        MUST(n_frames >= 3 && frames[0].size < sizeof(sent.identity));
        memcpy(sent.identity, frames[0].data, frames[0].size);
        if (strv_contains(w->gone, sent.identity))
                return ROUTER_GONE;
        if (frames[1].size > 0)
                sent.type = type_of(frames[2]);
        MUST(frames[1].size == 0 ? n_frames == 3 : sent.type != _PEER_TYPE_INVALID);
        sent.body = parse(frames[frames[1].size == 0 ? 2 : 3]);
        w->sent = reallocarray(w->sent, w->n_sent + 1, sizeof(Sent *));
        MUST(w->sent);
        w->sent[w->n_sent] = malloc(sizeof(Sent));
        MUST(w->sent[w->n_sent]);
        *w->sent[w->n_sent++] = sent;
        return 0;
}

static int port_restart(void *userdata)
{
        ((World *) userdata)->n_restarts++;
        return 0;
}

static void port_reloaded(void *userdata, const StoreConfig *config)
{
        ((World *) userdata)->n_reloads++;
}

/* Life */

static void open_router(World *w, bool force_worker_restart)
{
        const RouterPort port = {
                .userdata = w,
                .now = port_now,
                .now_realtime = port_now_realtime,
                .send = port_send,
                .restart = port_restart,
                .reloaded = port_reloaded,
                .can_restart = true,
        };
        _cleanup_free_ char *error = NULL;

        if (store_open(w->path, NULL, &w->store, &error) != 0)
                (void) fprintf(stderr, "%s\n", error ?: "cannot open");
        MUST(w->store);
        MUST(router_new(&port, w->store, force_worker_restart, &w->router) == 0);
}

static void close_router(World *w)
{
        router_free(w->router);
        store_free(w->store);
        w->router = NULL;
        w->store = NULL;
        for (size_t i = 0; i < w->n_sent; i++) {
                json_object_put(w->sent[i]->body);
                free(w->sent[i]);
        }
        free(w->sent);
        w->sent = NULL;
        w->n_sent = 0;
        strv_free(w->gone);
        w->gone = NULL;
}

void world_write_file(World *w, const char *yaml)
{
        MUST(write_file_atomic(w->path, yaml, strlen(yaml), 0600) == 0);
}

void world_init(World *w, const char *yaml)
{
        *w = (World){
                .loopback = { .name = (char *) "loopback", .roles = ROLE_SUBMIT },
                .operator= { .name = (char *) "uid:0", .roles = ROLE_ALL },
                .workers = { .name = (char *) "uid:990", .roles = ROLE_WORKER },
                .others = { .name = (char *) "uid:991", .roles = ROLE_WORKER },
                .now = 1000 * USEC_PER_SEC,
                .realtime = REALTIME,
                .folder = strdup("/tmp/test-router-XXXXXX"),
        };
        MUST(w->folder && mkdtemp(w->folder));
        w->path = string_format("%s/router.yml", w->folder);
        MUST(w->path);
        world_write_file(w, yaml);
        open_router(w, false);
        world_pass(w, WORLD_SETTLES_USEC);
}

void world_restart_router(World *w, bool force_worker_restart)
{
        close_router(w);
        open_router(w, force_worker_restart);
}

void world_done(World *w)
{
        close_router(w);
        (void) unlink(w->path);
        (void) rmdir(w->folder);
        free(w->path);
        free(w->folder);
}

void world_pass(World *w, usec_t span)
{
        usec_t end = w->now + span, next;

        while ((next = router_next_time(w->router)) <= end) {
                w->now = MAX(w->now, next);
                MUST(router_on_time(w->router) == 0);
        }
        w->now = end;
}

void world_lose(World *w, const char *identity)
{
        MUST(strv_extend(&w->gone, identity) == 0);
}

/* Saying */

void world_say(World *w, const Principal *principal, const char *identity, const char *const *frames,
               size_t n_frames)
{
        Bytes bytes[ROUTER_N_FRAMES_MAX + 1] = { { identity, strlen(identity) } };

        MUST(n_frames <= ROUTER_N_FRAMES_MAX);
        for (size_t i = 0; i < n_frames; i++)
                bytes[i + 1] = (Bytes){ frames[i], strlen(frames[i]) };
        MUST(router_on_message(w->router, principal, bytes, MIN(n_frames + 1, ROUTER_N_FRAMES_MAX),
                               n_frames + 1 > ROUTER_N_FRAMES_MAX) == 0);
}

static char *format_json(const char *format, va_list arguments)
{
        char *text = NULL;

        MUST(vasprintf(&text, format, arguments) >= 0);
        for (char *s = text; *s != '\0'; s++)
                if (*s == '\'')
                        *s = '"';
        return text;
}

void world_ask(World *w, const Principal *principal, const char *client, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = format_json(format, arguments);
        va_end(arguments);
        world_say(w, principal, client, (const char *[]){ "", text }, 2);
}

static void tell(World *w, const Principal *principal, const char *worker, PeerType type, const char *body)
{
        const char *frames[] = { PEER_MAGIC, peer_type_to_string(type), body, "{\"x\":1}", "{\"y\":2}", "" };

        world_say(w, principal, worker, frames, type == PEER_OUTCOME ? 6 : 3);
}

void world_tell_as(World *w, const Principal *principal, const char *worker, PeerType type,
                   const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = format_json(format, arguments);
        va_end(arguments);
        tell(w, principal, worker, type, text);
}

void world_tell(World *w, const char *worker, PeerType type, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = format_json(format, arguments);
        va_end(arguments);
        tell(w, &w->workers, worker, type, text);
}

/* Hearing */

Sent *world_next(World *w, const char *identity)
{
        for (size_t i = 0; i < w->n_sent; i++)
                if (!w->sent[i]->is_taken && streq(w->sent[i]->identity, identity)) {
                        w->sent[i]->is_taken = true;
                        return w->sent[i];
                }
        return NULL;
}

Sent *world_next_of(World *w, const char *identity, PeerType type)
{
        Sent *sent;

        while ((sent = world_next(w, identity)) && sent->type != type)
                ;
        return sent;
}

/* Whole steps */

void world_hello(World *w, const Principal *principal, const char *identity, const char *name,
                 const char *topics, unsigned slots, const char *jobs, const char *unacknowledged)
{
        world_tell_as(w, principal, identity, PEER_HELLO,
                      "{'version':1,'name':'%s','channel':'test_runners','topics':[%s],'slots':%u,'held':{},"
                      "'jobs':[%s],'unacknowledged':[%s]}",
                      name, topics, slots, jobs, unacknowledged);
}

void world_add_worker(World *w, const char *name, const char *topics, unsigned slots)
{
        world_hello(w, &w->workers, name, name, topics, slots, "", "");
        world_tell(w, name, PEER_CONFIGURED,
                   "{'held':{'ruby':{'v1':null,'v2':null},'python':{'v1':null}},'installing':{}}");
}

void world_outcome(World *w, const char *worker, const char *job, const char *token, unsigned code,
                   const char *more)
{
        world_tell(w, worker, PEER_OUTCOME, "{'job':'%s','token':'%s','status_code':%u%s}", job, token, code,
                   more);
}

void world_submit(World *w, const char *client, const char *id, const char *track, const char *more)
{
        world_ask(w, &w->loopback, client,
                  "{'action':'test_solution','id':'%s','track_slug':'%s','exercise_slug':'two-fer',"
                  "'s3_uri':'s3://b/p/','container_version':'v1'%s}",
                  id, track, more);
}
