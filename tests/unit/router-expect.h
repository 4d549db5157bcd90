/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the router's core expect of it. */

#include "router-world.h"

#include "basic/string-util.h"

#include <json-c/json_pointer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What a worker was given. */
typedef struct Given {
        const char *worker;
        char job[33], token[17], key[65], id[65]; /* `key` where it may be sent again */
        uint64_t attempt, wall_usec;
} Given;

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, expect_tear_down)

static inline int expect_set_up(void **state, const char *yaml)
{
        World *w = malloc(sizeof(World));

        world_init(w, yaml);
        *state = w;
        return 0;
}

static inline int expect_tear_down(void **state)
{
        world_done(*state);
        free(*state);
        return 0;
}

static inline const char *text_of(json_object *object, const char *name)
{
        return json_object_get_string(json_object_object_get(object, name));
}

static inline uint64_t number_of(json_object *object, const char *name)
{
        return json_object_get_uint64(json_object_object_get(object, name));
}

/* What a JSON pointer leads to; NULL where there is nothing. */
static inline json_object *at(json_object *object, const char *path)
{
        json_object *found = NULL;

        return json_pointer_get(object, path, &found) == 0 ? found : NULL;
}

static inline void assert_json(json_object *object, const char *expected)
{
        assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), expected);
}

/* Workers */

static inline void beat(World *w, const char *worker, unsigned slots, unsigned running)
{
        world_tell(w, worker, PEER_HEARTBEAT, "{'slots':%u,'running':%u}", slots, running);
}

/* Lets time pass with the hearts of these workers, which are at work, beating. */
static inline void live(World *w, usec_t span, const char *const *workers)
{
        for (usec_t done = 0; done < span; done += USEC_PER_SEC) {
                world_pass(w, MIN(span - done, USEC_PER_SEC));
                for (size_t i = 0; workers[i]; i++)
                        beat(w, workers[i], 1, 1);
        }
}

#define LIVE(w, span, ...) live(w, span, (const char *[]){ __VA_ARGS__, NULL })

static inline Given given(World *w, const char *worker)
{
        Sent *sent = world_next_of(w, worker, PEER_JOB);
        Given g = { .worker = worker };

        if (!sent)
                fail_msg("%s was given nothing", worker);
        (void) snprintf(g.job, sizeof(g.job), "%s", text_of(sent->body, "job"));
        (void) snprintf(g.token, sizeof(g.token), "%s", text_of(sent->body, "token"));
        (void) snprintf(g.key, sizeof(g.key), "%s", text_of(sent->body, "resend_key") ?: "");
        (void) snprintf(g.id, sizeof(g.id), "%s", text_of(sent->body, "id"));
        g.attempt = number_of(sent->body, "attempt");
        g.wall_usec = number_of(at(sent->body, "/limits"), "wall_usec");
        return g;
}

static inline void assert_given(World *w, const char *worker, const char *id)
{
        assert_string_equal(given(w, worker).id, id);
}

static inline void assert_given_nothing(World *w, const char *worker)
{
        assert_null(world_next_of(w, worker, PEER_JOB));
}

static inline void end(World *w, const Given *g, unsigned code)
{
        world_outcome(w, g->worker, g->job, g->token, code, "");
}

/* Clients */

static inline json_object *reply(World *w, const char *client, unsigned code)
{
        Sent *sent = world_next(w, client);

        if (!sent)
                fail_msg("%s was answered nothing, not %u", client, code);
        assert_int_equal(sent->type, _PEER_TYPE_INVALID);
        if (number_of(at(sent->body, "/status"), "status_code") != code)
                fail_msg("not %u: %s", code, json_object_to_json_string(sent->body));
        return sent->body;
}

static inline json_object *response(World *w, const char *client)
{
        return at(reply(w, client, 200), "/response");
}

static inline json_object *detail(World *w, const char *client, unsigned code)
{
        return at(reply(w, client, code), "/context/error_detail");
}

static inline void assert_unanswered(World *w, const char *client)
{
        assert_null(world_next(w, client));
}

/* A job under way: request 1 of client "a", for ruby; its worker "ruby-1" has one slot. */
static inline Given begin_job(World *w, const char *more)
{
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", more);
        return given(w, "ruby-1");
}

/* The worker says that it has ended so, and its client is told. */
static inline void finish(World *w, const char *client, const Given *g, unsigned code)
{
        end(w, g, code);
        reply(w, client, code);
}
