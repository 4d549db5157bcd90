/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's core: requests that are sent again, workers that come back, routers that begin anew. */

#include "router-expect.h"

#define YAML                                  \
        "workers:\n"                          \
        "  test_runners:\n"                   \
        "    ruby: {worker_versions: [v1]}\n" \
        "    python: {worker_versions: [v1]}\n"

#define RESEND ",'resend':true"

static int set_up(void **state)
{
        return expect_set_up(state, YAML);
}

/* Until the router waits for hellos no more; this worker says that it lives. */
static void settle(World *w, const char *worker)
{
        for (usec_t passed = 0; passed < WORLD_SETTLES_USEC; passed += USEC_PER_SEC) {
                world_tell(w, worker, PEER_HEARTBEAT, "{'slots':1,'running':0}");
                world_pass(w, USEC_PER_SEC);
        }
}

static void hello(World *w, const char *worker, const char *jobs, const char *unacknowledged)
{
        world_hello(w, &w->workers, worker, worker, string_after(worker, "ruby") ? "'ruby'" : "'python'", 1,
                    jobs, unacknowledged);
}

static void configured(World *w, const char *worker)
{
        world_tell(w, worker, PEER_CONFIGURED, "{'held':{'ruby':{'v1':null}},'installing':{}}");
}

/* What a worker says when it comes to a router: that nothing is under way, that it runs this job, or that it
 * keeps its outcome. */

static void arrive(World *w, const char *worker)
{
        hello(w, worker, "", "");
        configured(w, worker);
}

static void arrive_running(World *w, const char *worker, const Given *g)
{
        _cleanup_free_ char *key = g->key[0] ? string_format(",'resend_key':'%s'", g->key) : strdup("");
        _cleanup_free_ char *jobs = string_format("{'job':'%s','token':'%s'%s}", g->job, g->token, key);

        hello(w, worker, jobs, "");
        configured(w, worker);
}

static void arrive_keeping(World *w, const char *worker, const Given *g)
{
        _cleanup_free_ char *unacknowledged = string_format("'%s'", g->job);

        hello(w, worker, "", unacknowledged);
        configured(w, worker);
}

/* An outcome with the key of its request, as it is told to a router that may not know the job. */
static void outcome_with_key(World *w, const char *worker, const Given *g, unsigned code)
{
        _cleanup_free_ char *more = string_format(",'resend_key':'%s'", g->key);

        world_outcome(w, worker, g->job, g->token, code, more);
}

/* Sending again */

static void test_the_same_request_joins_its_running_job(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 2);
        world_submit(w, "a", "1", "ruby", RESEND);
        g = given(w, "ruby-1");
        world_submit(w, "b", "1", "ruby", RESEND ",'request_id':'other'");
        world_submit(w, "c", "1", "ruby", ",'request_id':'x','resend':true,'execution_timeout':1");
        assert_int_equal(given(w, "ruby-1").wall_usec, USEC_PER_SEC); /* another request: another job */
        assert_given_nothing(w, "ruby-1");
        finish(w, "a", &g, 200);
        assert_string_equal(text_of(reply(w, "b", 200), "request_id"), "other");
        assert_unanswered(w, "c");
}

static void test_without_resend_each_request_is_a_job(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 2);
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "1", "ruby", "");
        given(w, "ruby-1");
        given(w, "ruby-1");
}

static void test_another_principal_joins_nothing(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 2);
        world_submit(w, "a", "1", "ruby", RESEND);
        world_ask(w, &w->operator, "b",
                  "{'action':'test_solution','id':'1','track_slug':'ruby','exercise_slug':'two-fer',"
                  "'s3_uri':'s3://b/p/','container_version':'v1','resend':true}");
        given(w, "ruby-1");
        given(w, "ruby-1");
}

static void test_an_answer_is_kept(void **state)
{
        World *w = *state;
        Given g = begin_job(w, RESEND);

        finish(w, "a", &g, 513);
        world_submit(w, "a", "1", "ruby", RESEND);
        reply(w, "a", 513);
        assert_given_nothing(w, "ruby-1");
}

static void test_what_was_a_matter_of_the_moment_is_tried_anew(void **state)
{
        World *w = *state;
        Given g;

        world_submit(w, "a", "1", "ruby", RESEND);
        reply(w, "a", 503);
        g = begin_job(w, RESEND);
        finish(w, "a", &g, 512);
        world_submit(w, "a", "1", "ruby", RESEND);
        given(w, "ruby-1");
}

/* A router that begins anew in mid-job */

static void test_a_resend_after_a_restart_joins_the_running_job(void **state)
{
        World *w = *state;
        Given g = begin_job(w, RESEND);

        world_restart_router(w, false);
        arrive_running(w, "ruby-1", &g);
        world_submit(w, "b", "1", "ruby", RESEND);
        world_submit(w, "c", "1", "ruby", RESEND);
        world_pass(w, USEC_PER_SEC);
        assert_given_nothing(w, "ruby-1");
        finish(w, "b", &g, 200);
        reply(w, "c", 200);
        assert_unanswered(w, "b");
}

static void test_a_resend_that_is_there_before_the_worker_joins_too(void **state)
{
        World *w = *state;
        Given g = begin_job(w, RESEND);

        world_restart_router(w, false);
        world_submit(w, "b", "1", "ruby", RESEND);
        arrive(w, "ruby-2");
        assert_given_nothing(w, "ruby-2");
        arrive_running(w, "ruby-1", &g);
        assert_unanswered(w, "b");
        finish(w, "b", &g, 200);
        assert_given_nothing(w, "ruby-2");
        assert_non_null(world_next_of(w, "ruby-1", PEER_OUTCOME_ACK));
}

static void test_a_resend_after_a_restart_finds_the_kept_outcome(void **state)
{
        World *w = *state;
        Given g = begin_job(w, RESEND);

        world_restart_router(w, false);
        world_submit(w, "b", "1", "ruby", RESEND);
        arrive_keeping(w, "ruby-1", &g);
        outcome_with_key(w, "ruby-1", &g, 200);
        assert_non_null(world_next_of(w, "ruby-1", PEER_OUTCOME_ACK));
        reply(w, "b", 200);
        world_submit(w, "c", "1", "ruby", RESEND);
        reply(w, "c", 200);
        world_pass(w, 2 * USEC_PER_SEC);
        assert_given_nothing(w, "ruby-1");
}

static void test_a_resend_that_nobody_runs_is_run(void **state)
{
        World *w = *state;
        Given g;

        world_restart_router(w, false);
        world_submit(w, "b", "1", "ruby", RESEND);
        arrive(w, "ruby-1");
        settle(w, "ruby-1");
        g = given(w, "ruby-1");
        finish(w, "b", &g, 200);
}

static void test_after_a_restart_workers_are_waited_for(void **state)
{
        World *w = *state;

        world_restart_router(w, false);
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "2", "python", "");
        assert_unanswered(w, "a");
        arrive(w, "ruby-1");
        given(w, "ruby-1");
        settle(w, "ruby-1");
        reply(w, "b", 503);
        world_submit(w, "c", "3", "python", "");
        reply(w, "c", 503);
}

/* A worker's claim counts only for what it could have been given. */
static void test_a_claim_for_another_track_counts_for_nothing(void **state)
{
        World *w = *state;
        Given g = begin_job(w, RESEND);

        world_restart_router(w, false);
        arrive_running(w, "python-1", &g);
        arrive(w, "ruby-1");
        world_submit(w, "b", "1", "ruby", RESEND);
        outcome_with_key(w, "python-1", &g, 200);
        assert_unanswered(w, "b");
        settle(w, "ruby-1");
        g = given(w, "ruby-1");
        outcome_with_key(w, "python-1", &g, 200);
        assert_unanswered(w, "b");
        finish(w, "b", &g, 401);
        world_submit(w, "c", "1", "ruby", RESEND);
        reply(w, "c", 401);
}

static void test_what_runs_for_a_router_that_is_no_more_takes_a_slot(void **state)
{
        World *w = *state;
        const Given g = { .worker = "ruby-1",
                          .job = "0123456789abcdef0123456789abcdef",
                          .token = "0123456789abcdef" };

        world_restart_router(w, false);
        arrive_running(w, "ruby-1", &g);
        world_submit(w, "a", "1", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        end(w, &g, 200);
        given(w, "ruby-1");
        assert_unanswered(w, "a");
}

/* Workers that come back */

static void test_a_worker_that_comes_back_keeps_its_job(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        arrive_running(w, "ruby-1", &g);
        assert_given_nothing(w, "ruby-1");
        finish(w, "a", &g, 200);
}

static void test_a_worker_that_comes_back_without_its_job_gets_it_anew(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        given(w, "ruby-1");
        arrive(w, "ruby-1");
        assert_int_equal(given(w, "ruby-1").attempt, 2);
}

static void test_an_unacknowledged_outcome_is_waited_for(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        arrive_keeping(w, "ruby-1", &g);
        assert_given_nothing(w, "ruby-1");
        finish(w, "a", &g, 200);
}

static void test_a_name_belongs_to_its_user(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_hello(w, &w->others, "thief", "ruby-1", "'ruby'", 9, "", "");
        assert_non_null(world_next_of(w, "thief", PEER_REFUSED));
        world_submit(w, "a", "1", "ruby", "");
        g = given(w, "ruby-1");
        /* Nor does a connection whose identity is that of a worker speak for it. */
        world_tell_as(w, &w->others, "ruby-1", PEER_OUTCOME, "{'job':'%s','token':'%s','status_code':200}",
                      g.job, g.token);
        assert_unanswered(w, "a");
        world_tell_as(w, &w->loopback, "ruby-1", PEER_OUTCOME, "{'job':'%s','token':'%s','status_code':200}",
                      g.job, g.token);
        assert_unanswered(w, "a");
        finish(w, "a", &g, 200);
}

static void test_who_says_no_hello_is_told_to(void **state)
{
        World *w = *state;

        beat(w, "ruby-1", 1, 0);
        assert_non_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        world_tell(w, "ruby-1", PEER_HELLO,
                   "{'version':2,'name':'ruby-1','channel':'test_runners','topics':[],'slots':1,'held':{},"
                   "'jobs':[],'unacknowledged':[]}");
        assert_non_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        world_ask(w, &w->operator, "c", "{'action':'describe_workers'}");
        assert_int_equal(json_object_array_length(at(response(w, "c"), "/workers_info")), 0);
}

static void test_a_worker_that_leaves_finishes(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 2);
        world_submit(w, "a", "1", "ruby", "");
        g = given(w, "ruby-1");
        world_tell(w, "ruby-1", PEER_GOODBYE, "{'reason':'it is being stopped'}");
        world_submit(w, "b", "2", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        finish(w, "a", &g, 200);
        assert_given_nothing(w, "ruby-1");
}

/* Orders to begin anew */

static void test_restart_workers_loses_nothing(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        world_submit(w, "b", "2", "ruby", "");
        world_ask(w, &w->operator, "c", "{'action':'restart_workers'}");
        reply(w, "c", 200);
        assert_non_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        arrive_running(w, "ruby-1", &g);
        finish(w, "a", &g, 200);
        assert_given(w, "ruby-1", "2");
}

static void test_forced_workers_begin_anew_once(void **state)
{
        World *w = *state;

        world_restart_router(w, true);
        hello(w, "ruby-1", "", "");
        assert_non_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        hello(w, "ruby-1", "", "");
        assert_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        configured(w, "ruby-1");
        world_submit(w, "a", "1", "ruby", "");
        given(w, "ruby-1");
}

static void test_restart_router_comes_after_what_was_asked_before(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        world_ask(w, &w->operator, "c", "{'action':'restart_router'}");
        reply(w, "c", 200);
        world_submit(w, "b", "2", "ruby", "");
        world_pass(w, USEC_PER_SEC);
        assert_int_equal(w->n_restarts, 0);
        finish(w, "a", &g, 200);
        world_pass(w, 0);
        assert_int_equal(w->n_restarts, 1);
}

static void test_restart_router_does_not_wait_for_ever(void **state)
{
        World *w = *state;

        world_ask(w, &w->operator, "c", "{'action':'restart_router'}");
        reply(w, "c", 200);
        world_pass(w, 0);
        assert_int_equal(w->n_restarts, 1);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        world_ask(w, &w->operator, "c", "{'action':'restart_router'}");
        for (int i = 0; i < 30; i++) {
                assert_int_equal(w->n_restarts, 1);
                world_pass(w, USEC_PER_SEC);
                beat(w, "ruby-1", 1, 1);
        }
        assert_int_equal(w->n_restarts, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_the_same_request_joins_its_running_job),
                TEST(test_without_resend_each_request_is_a_job),
                TEST(test_another_principal_joins_nothing),
                TEST(test_an_answer_is_kept),
                TEST(test_what_was_a_matter_of_the_moment_is_tried_anew),
                TEST(test_a_resend_after_a_restart_joins_the_running_job),
                TEST(test_a_resend_that_is_there_before_the_worker_joins_too),
                TEST(test_a_resend_after_a_restart_finds_the_kept_outcome),
                TEST(test_a_resend_that_nobody_runs_is_run),
                TEST(test_after_a_restart_workers_are_waited_for),
                TEST(test_a_claim_for_another_track_counts_for_nothing),
                TEST(test_what_runs_for_a_router_that_is_no_more_takes_a_slot),
                TEST(test_a_worker_that_comes_back_keeps_its_job),
                TEST(test_a_worker_that_comes_back_without_its_job_gets_it_anew),
                TEST(test_an_unacknowledged_outcome_is_waited_for),
                TEST(test_a_name_belongs_to_its_user),
                TEST(test_who_says_no_hello_is_told_to),
                TEST(test_a_worker_that_leaves_finishes),
                TEST(test_restart_workers_loses_nothing),
                TEST(test_forced_workers_begin_anew_once),
                TEST(test_restart_router_comes_after_what_was_asked_before),
                TEST(test_restart_router_does_not_wait_for_ever),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
