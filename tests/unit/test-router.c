/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's core: routing, credit, times, workers that die. */

#include "router-expect.h"

#include "basic/string-util.h"

#define YAML                                      \
        "queue_length: 4\n"                       \
        "workers:\n"                              \
        "  test_runners:\n"                       \
        "    ruby: {worker_versions: [v1, v2]}\n" \
        "    python: {worker_versions: [v1]}\n"   \
        "    c: {worker_versions: [v1]}\n"

static int set_up(void **state)
{
        return expect_set_up(state, YAML);
}

/* Requests "1" to so many of client "a", for ruby. */
static void submit_many(World *w, int n)
{
        for (int i = 0; i < n; i++)
                world_submit(w, "a", (char[]){ (char) ('1' + i), 0 }, "ruby", "");
}

/* Routing */

static void test_a_scoped_worker_comes_before_a_generic_one(void **state)
{
        World *w = *state;

        world_add_worker(w, "any-1", "", 1);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "2", "ruby", "");
        assert_given(w, "ruby-1", "1");
        assert_given(w, "any-1", "2");
}

static void test_a_scoped_worker_gets_no_other_track(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "python", "");
        assert_int_equal(number_of(detail(w, "a", 503), "current_worker_count"), 0);
        assert_given_nothing(w, "ruby-1");
}

static void test_nobody_is_answered_at_once(void **state)
{
        World *w = *state;
        usec_t before = w->now;

        world_submit(w, "a", "1", "ruby", "");
        assert_int_equal(number_of(detail(w, "a", 503), "current_worker_count"), 0);
        assert_int_equal(w->now, before);
}

static void test_least_recently_used_first(void **state)
{
        World *w = *state;
        static const char *const order[] = { "ruby-1", "ruby-2", "ruby-3", "ruby-1" };

        for (size_t i = 0; i < 3; i++)
                world_add_worker(w, order[i], "'ruby'", 1);
        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                Given g;

                world_submit(w, "a", "1", "ruby", "");
                g = given(w, order[i]);
                finish(w, "a", &g, 200);
        }
}

static void test_several_topics(void **state)
{
        World *w = *state;

        world_add_worker(w, "two-1", "'ruby','python'", 2);
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "2", "python", "");
        world_submit(w, "c", "3", "c", "");
        assert_given(w, "two-1", "1");
        assert_given(w, "two-1", "2");
        reply(w, "c", 503);
}

static void test_never_more_than_its_slots(void **state)
{
        World *w = *state;
        Given first;

        world_add_worker(w, "ruby-1", "'ruby'", 2);
        submit_many(w, 4);
        first = given(w, "ruby-1");
        assert_given(w, "ruby-1", "2");
        assert_given_nothing(w, "ruby-1");
        end(w, &first, 200);
        assert_given(w, "ruby-1", "3");
        assert_given_nothing(w, "ruby-1");
}

static void test_a_heartbeat_says_how_many_slots_there_are_now(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        beat(w, "ruby-1", 0, 0);
        world_submit(w, "a", "1", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        beat(w, "ruby-1", 1, 0);
        assert_given(w, "ruby-1", "1");
}

static void test_the_queue_is_bounded(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        submit_many(w, 5);
        assert_int_equal(number_of(detail(w, "a", 503), "current_worker_count"), 1);
        assert_unanswered(w, "a");
}

static void submit_as_operator(World *w, const char *id)
{
        world_ask(w, &w->operator, "operator",
                  "{'action':'test_solution','id':'%s','track_slug':'ruby','exercise_slug':'two-fer',"
                  "'s3_uri':'s3://b/p/','container_version':'v1'}",
                  id);
}

static void test_principals_take_turns(void **state)
{
        static const char *const order[] = { "2", "5", "3", "6", "4" };
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        submit_many(w, 4);
        submit_as_operator(w, "5");
        g = given(w, "ruby-1");
        assert_string_equal(g.id, "1");
        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                end(w, &g, 200);
                g = given(w, "ruby-1");
                assert_string_equal(g.id, order[i]);
                if (i == 0)
                        submit_as_operator(w, "6");
        }
        assert_given_nothing(w, "ruby-1");
}

static void test_a_part_of_the_queue_is_for_others(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        submit_many(w, 5);
        detail(w, "a", 503);
        submit_as_operator(w, "6");
        assert_unanswered(w, "operator");
        submit_as_operator(w, "7");
        detail(w, "operator", 503);
}

static void test_a_generic_worker_takes_the_oldest_of_any_track(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "any-1", "", 1);
        world_submit(w, "a", "1", "ruby", "");
        g = given(w, "any-1");
        world_submit(w, "b", "2", "python", "");
        world_pass(w, USEC_PER_MSEC);
        world_submit(w, "c", "3", "ruby", "");
        end(w, &g, 200);
        g = given(w, "any-1");
        assert_string_equal(g.id, "2");
        end(w, &g, 200);
        assert_given(w, "any-1", "3");
}

static void test_nothing_before_it_is_configured(void **state)
{
        World *w = *state;

        world_hello(w, &w->workers, "ruby-1", "ruby-1", "'ruby'", 1, "", "");
        world_submit(w, "a", "1", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        world_tell(w, "ruby-1", PEER_CONFIGURED, "{'held':{'ruby':{'v1':null}},'installing':{}}");
        assert_given(w, "ruby-1", "1");
}

static void test_who_holds_the_version_is_waited_for(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_tell(w, "ruby-2", PEER_CONFIGURED,
                   "{'held':{},'installing':{'ruby':{'v1':{'state':'failed','error':'bad'}}}}");
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "2", "ruby", "");
        g = given(w, "ruby-1");
        assert_given_nothing(w, "ruby-2");
        end(w, &g, 200);
        assert_given(w, "ruby-1", "2");
        /* With the only one that has it gone, whoever is there is asked, and says that it has it not. */
        world_submit(w, "c", "3", "ruby", "");
        world_lose(w, "ruby-1");
        world_pass(w, 4 * USEC_PER_SEC);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_tell(w, "ruby-2", PEER_CONFIGURED, "{'held':{},'installing':{}}");
        given(w, "ruby-2");
}

static void test_a_version_that_is_being_installed_is_waited_for(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_tell(w, "ruby-1", PEER_CONFIGURED,
                   "{'held':{},'installing':{'ruby':{'v1':{'state':'fetching'}}}}");
        world_submit(w, "a", "1", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        world_tell(w, "ruby-1", PEER_CONFIGURED, "{'held':{'ruby':{'v1':null}},'installing':{}}");
        assert_given(w, "ruby-1", "1");
}

/* Times */

static void test_waiting_ends_with_503(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        world_submit(w, "b", "2", "ruby", "");
        LIVE(w, 10 * USEC_PER_SEC - 1, "ruby-1");
        assert_unanswered(w, "b");
        world_pass(w, 1);
        assert_int_equal(number_of(detail(w, "b", 503), "current_worker_count"), 1);
}

/* 10 s of queue, 10 s of set-up, 20 s, 2 s more. */
static void test_no_answer_ends_with_504_and_a_cancel(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        LIVE(w, 42 * USEC_PER_SEC - 1, "ruby-1");
        assert_unanswered(w, "a");
        world_pass(w, 1);
        reply(w, "a", 504);
        assert_string_equal(text_of(world_next_of(w, "ruby-1", PEER_CANCEL)->body, "job"), g.job);
        /* Its slot is free when it says so, not before. */
        world_submit(w, "b", "2", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        end(w, &g, 403);
        assert_given(w, "ruby-1", "2");
        assert_unanswered(w, "a");
}

static void test_a_request_may_say_when_504_is(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", ",'timeout':1.5");
        world_submit(w, "b", "2", "ruby", ",'timeout':2");
        world_pass(w, 1500 * USEC_PER_MSEC);
        reply(w, "a", 504);
        world_pass(w, 500 * USEC_PER_MSEC);
        reply(w, "b", 504);
}

static void test_the_execution_timeout_is_capped(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 3);
        world_submit(w, "a", "1", "ruby", ",'execution_timeout':3");
        world_submit(w, "a", "2", "ruby", ",'execution_timeout':0.25");
        world_submit(w, "a", "3", "ruby", ",'execution_timeout':3600");
        assert_int_equal(given(w, "ruby-1").wall_usec, 3 * USEC_PER_SEC);
        assert_int_equal(given(w, "ruby-1").wall_usec, 250 * USEC_PER_MSEC);
        assert_int_equal(given(w, "ruby-1").wall_usec, 60 * USEC_PER_SEC);
}

/* From the beginning of time to far away, while one job runs and one waits: hearts, queue, attempts and the
 * end are by the other clock. */
static void test_a_jump_of_the_clock_moves_no_deadline(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        world_submit(w, "b", "2", "ruby", "");
        w->realtime = 0;
        LIVE(w, 5 * USEC_PER_SEC, "ruby-1");
        w->realtime = 2 * UINT64_C(1700000000000000);
        LIVE(w, 5 * USEC_PER_SEC - 1, "ruby-1");
        assert_unanswered(w, "b");
        world_pass(w, 1);
        assert_int_equal(number_of(at(reply(w, "b", 503), "/context/timing"), "duration_milliseconds"),
                         10000);
        w->realtime = 0;
        LIVE(w, 32 * USEC_PER_SEC - 1, "ruby-1");
        assert_unanswered(w, "a");
        assert_given_nothing(w, "ruby-1");
        world_pass(w, 1);
        reply(w, "a", 504);
        end(w, &g, 403);
        world_submit(w, "c", "3", "ruby", "");
        assert_given(w, "ruby-1", "3");
        /* One that says nothing is dead after the same time. */
        w->realtime = 2 * UINT64_C(1700000000000000);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        LIVE(w, 3 * USEC_PER_SEC, "ruby-2");
        assert_given_nothing(w, "ruby-2");
        w->realtime = 0;
        LIVE(w, USEC_PER_SEC, "ruby-2");
        assert_int_equal(given(w, "ruby-2").attempt, 2);
}

/* Workers that die */

static void test_a_dead_workers_job_is_given_out_once_more(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        assert_int_equal(g.attempt, 1);
        world_pass(w, USEC_PER_SEC);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        LIVE(w, 3 * USEC_PER_SEC, "ruby-2");
        g = given(w, "ruby-2");
        assert_int_equal(g.attempt, 2);
        assert_unanswered(w, "a");
        world_lose(w, "ruby-2");
        world_pass(w, 4 * USEC_PER_SEC);
        reply(w, "a", 510);
}

static void test_a_lost_job_that_nobody_takes_is_510(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        world_pass(w, 4 * USEC_PER_SEC);
        assert_unanswered(w, "a");
        world_pass(w, 10 * USEC_PER_SEC);
        reply(w, "a", 510);
}

static void test_a_lost_job_without_time_left_is_510(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", ",'timeout':22");
        LIVE(w, 3 * USEC_PER_SEC, "ruby-2");
        world_pass(w, USEC_PER_SEC);
        reply(w, "a", 510);
        assert_given_nothing(w, "ruby-2");
}

static void test_a_worker_that_is_gone_when_it_is_given_a_job(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_lose(w, "ruby-1");
        world_submit(w, "a", "1", "ruby", "");
        assert_int_equal(given(w, "ruby-2").attempt, 1);
}

static void test_a_failing_worker_is_as_a_dead_one(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        end(w, &g, 510);
        g = given(w, "ruby-1");
        assert_int_equal(g.attempt, 2);
        finish(w, "a", &g, 510);
}

static void test_a_worker_that_cannot_take_a_job_is_asked_again(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        for (int i = 0; i < 3; i++) {
                g = given(w, "ruby-1");
                assert_int_equal(g.attempt, 1);
                end(w, &g, 503);
                assert_given_nothing(w, "ruby-1");
                world_pass(w, USEC_PER_SEC);
        }
        g = given(w, "ruby-1");
        finish(w, "a", &g, 200);
        world_submit(w, "b", "2", "ruby", "");
        for (int i = 0; i < 1000 && !world_next(w, "b"); i++) {
                Sent *sent = world_next_of(w, "ruby-1", PEER_JOB);

                beat(w, "ruby-1", 1, 0);
                world_pass(w, 100 * USEC_PER_MSEC);
                if (sent)
                        world_outcome(w, "ruby-1", text_of(sent->body, "job"), text_of(sent->body, "token"),
                                      503, "");
        }
        world_ask(w, &w->loopback, "c", "{'action':'router_status'}");
        assert_int_equal(number_of(at(response(w, "c"), "/router_status"), "queued"), 0);
}

/* Outcomes */

static void test_a_stale_attempt_counts_for_nothing(void **state)
{
        World *w = *state;
        Given first, second;

        first = begin_job(w, "");
        world_pass(w, 4 * USEC_PER_SEC);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        second = given(w, "ruby-1");
        assert_string_equal(first.job, second.job);
        assert_string_not_equal(first.token, second.token);
        end(w, &first, 200);
        assert_unanswered(w, "a");
        assert_non_null(world_next_of(w, "ruby-1", PEER_OUTCOME_ACK));
        finish(w, "a", &second, 200);
}

static void test_an_outcome_for_anothers_job_counts_for_nothing(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        g = given(w, "ruby-1");
        world_outcome(w, "ruby-2", g.job, g.token, 200, "");
        assert_unanswered(w, "a");
        finish(w, "a", &g, 200);
        end(w, &g, 200);
        assert_unanswered(w, "a");
}

static void test_a_malformed_outcome_is_the_workers_fault(void **state)
{
        World *w = *state;
        const char *frames[] = { PEER_MAGIC, "outcome", NULL, "{\"a\": NaN}", "{}", "" };
        _cleanup_free_ char *body = NULL;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        for (int i = 0; i < 2; i++) {
                Given g = given(w, "ruby-1");

                free(body);
                body = string_format("{\"job\":\"%s\",\"token\":\"%s\",\"status_code\":200}", g.job,
                                     g.token);
                frames[2] = body;
                world_say(w, &w->workers, "ruby-1", frames, ARRAY_SIZE(frames));
        }
        reply(w, "a", 510);
}

static void test_the_parts_are_the_reply(void **state)
{
        World *w = *state;
        json_object *got;
        Given g = begin_job(w, ",'request_id':'q-7'");

        end(w, &g, 200);
        got = reply(w, "a", 200);
        assert_string_equal(text_of(got, "request_id"), "q-7");
        assert_int_equal(number_of(at(got, "/response"), "x"), 1);
        assert_int_equal(number_of(at(got, "/context"), "y"), 2);
}

/* Cancelling */

static void test_cancel_reaches_the_worker(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "same", "ruby", "");
        world_submit(w, "b", "same", "ruby", "");
        world_submit(w, "c", "other", "ruby", "");
        g = given(w, "ruby-1");
        world_ask(w, &w->operator, "d", "{'action':'cancel','id':'same'}");
        assert_int_equal(number_of(response(w, "d"), "cancelled"), 0);
        world_ask(w, &w->loopback, "d", "{'action':'cancel','id':'same'}");
        assert_int_equal(number_of(response(w, "d"), "cancelled"), 2);
        assert_string_equal(text_of(detail(w, "a", 403), "limit"), "cancelled");
        reply(w, "b", 403);
        assert_string_equal(text_of(world_next_of(w, "ruby-1", PEER_CANCEL)->body, "token"), g.token);
        end(w, &g, 403);
        assert_given(w, "ruby-1", "other");
        assert_unanswered(w, "a");
}

static void test_a_worker_that_does_not_cancel_begins_anew(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        world_ask(w, &w->loopback, "b", "{'action':'cancel','id':'1'}");
        LIVE(w, 4 * USEC_PER_SEC, "ruby-1");
        assert_non_null(world_next_of(w, "ruby-1", PEER_REFUSED));
        world_submit(w, "c", "2", "ruby", "");
        assert_given_nothing(w, "ruby-1");
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        assert_given(w, "ruby-1", "2");
        end(w, &g, 200);
        assert_unanswered(w, "c");
}

static void test_a_version_unloaded_while_a_job_waits(void **state)
{
        World *w = *state;
        Given g = begin_job(w, "");

        world_submit(w, "b", "2", "ruby", "");
        world_ask(w, &w->operator, "c",
                  "{'action':'unload_container_version','channel':'test_runners','track_slug':'ruby',"
                  "'new_version':'v1'}");
        reply(w, "c", 200);
        finish(w, "a", &g, 200);
        reply(w, "b", 505);
        world_submit(w, "d", "3", "ruby", "");
        reply(w, "d", 505);
}

static void test_a_client_that_is_gone_harms_nobody(void **state)
{
        World *w = *state;
        Given g;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_submit(w, "a", "1", "ruby", "");
        world_lose(w, "a");
        g = given(w, "ruby-1");
        end(w, &g, 200);
        world_submit(w, "b", "2", "ruby", "");
        g = given(w, "ruby-1");
        finish(w, "b", &g, 200);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_scoped_worker_comes_before_a_generic_one),
                TEST(test_a_scoped_worker_gets_no_other_track),
                TEST(test_nobody_is_answered_at_once),
                TEST(test_least_recently_used_first),
                TEST(test_several_topics),
                TEST(test_never_more_than_its_slots),
                TEST(test_a_heartbeat_says_how_many_slots_there_are_now),
                TEST(test_the_queue_is_bounded),
                TEST(test_a_generic_worker_takes_the_oldest_of_any_track),
                TEST(test_nothing_before_it_is_configured),
                TEST(test_who_holds_the_version_is_waited_for),
                TEST(test_a_version_that_is_being_installed_is_waited_for),
                TEST(test_principals_take_turns),
                TEST(test_a_part_of_the_queue_is_for_others),
                TEST(test_waiting_ends_with_503),
                TEST(test_no_answer_ends_with_504_and_a_cancel),
                TEST(test_a_request_may_say_when_504_is),
                TEST(test_the_execution_timeout_is_capped),
                TEST(test_a_jump_of_the_clock_moves_no_deadline),
                TEST(test_a_dead_workers_job_is_given_out_once_more),
                TEST(test_a_lost_job_that_nobody_takes_is_510),
                TEST(test_a_lost_job_without_time_left_is_510),
                TEST(test_a_worker_that_is_gone_when_it_is_given_a_job),
                TEST(test_a_failing_worker_is_as_a_dead_one),
                TEST(test_a_worker_that_cannot_take_a_job_is_asked_again),
                TEST(test_a_stale_attempt_counts_for_nothing),
                TEST(test_an_outcome_for_anothers_job_counts_for_nothing),
                TEST(test_a_malformed_outcome_is_the_workers_fault),
                TEST(test_the_parts_are_the_reply),
                TEST(test_cancel_reaches_the_worker),
                TEST(test_a_worker_that_does_not_cancel_begins_anew),
                TEST(test_a_version_unloaded_while_a_job_waits),
                TEST(test_a_client_that_is_gone_harms_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
