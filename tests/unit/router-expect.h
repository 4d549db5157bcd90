/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the router's core expect of it. */

#include "router-world.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What a worker was given. */
typedef struct Given {
        char job[33], token[17], id[65];
        uint64_t attempt, wall_usec;
} Given;

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

static inline Given given(World *w, const char *worker)
{
        Sent *sent = world_next_of(w, worker, PEER_JOB);
        Given g = {};

        if (!sent)
                fail_msg("%s was given nothing", worker);
        (void) snprintf(g.job, sizeof(g.job), "%s", text_of(sent->body, "job"));
        (void) snprintf(g.token, sizeof(g.token), "%s", text_of(sent->body, "token"));
        (void) snprintf(g.id, sizeof(g.id), "%s", text_of(sent->body, "id"));
        g.attempt = number_of(sent->body, "attempt");
        g.wall_usec = number_of(json_object_object_get(sent->body, "limits"), "wall_usec");
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

static inline json_object *reply(World *w, const char *client, unsigned code)
{
        Sent *sent = world_next(w, client);
        json_object *status;

        if (!sent)
                fail_msg("%s was answered nothing, not %u", client, code);
        assert_int_equal(sent->type, _PEER_TYPE_INVALID);
        status = json_object_object_get(sent->body, "status");
        if (number_of(status, "status_code") != code)
                fail_msg("not %u: %s", code, json_object_to_json_string(sent->body));
        return sent->body;
}

static inline json_object *detail(World *w, const char *client, unsigned code)
{
        return json_object_object_get(json_object_object_get(reply(w, client, code), "context"),
                                      "error_detail");
}

static inline void end(World *w, const char *worker, const Given *g, unsigned code)
{
        world_outcome(w, worker, g->job, g->token, code, "");
}
