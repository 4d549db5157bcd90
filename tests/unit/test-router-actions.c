/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's core: what is asked of the router itself, deploys, malformed messages. */

#include "router-expect.h"

#define DIGEST_1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define DIGEST_2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

#define YAML                         \
        "loopback_roles: [submit]\n" \
        "workers:\n"                 \
        "  test_runners:\n"          \
        "    ruby: {worker_versions: [v1]}\n"

static int set_up(void **state)
{
        return expect_set_up(state, YAML);
}

static void assert_versions(World *w, const char *track, const char *expected)
{
        world_ask(w, &w->operator, "config", "{'action':'current_config'}");
        assert_json(
                json_object_object_get(at(response(w, "config"), "/container_versions/test_runners"), track),
                expected);
}

static void deploy(World *w, const char *client, const char *track, const char *version)
{
        world_ask(w, &w->operator, client,
                  "{'action':'deploy_container_version','channel':'test_runners','track_slug':'%s',"
                  "'new_version':'%s'}",
                  track, version);
}

static void unload(World *w, const char *client, const char *version)
{
        world_ask(w, &w->operator, client,
                  "{'action':'unload_container_version','channel':'test_runners','track_slug':'ruby',"
                  "'new_version':'%s'}",
                  version);
}

/* The question that a worker was asked. */
static void query_of(World *w, const char *worker, PeerType type, char ret[17])
{
        Sent *sent = world_next_of(w, worker, type);

        if (!sent)
                fail_msg("%s was asked nothing", worker);
        (void) snprintf(ret, 17, "%s", text_of(sent->body, "query"));
}

static void resolved(World *w, const char *worker, const char *query, const char *digest)
{
        world_tell(w, worker, PEER_RESOLVED, "{'query':'%s','digest':'%s'}", query, digest);
}

static void resolve(World *w, const char *worker, const char *digest)
{
        char query[17];

        query_of(w, worker, PEER_RESOLVE, query);
        resolved(w, worker, query, digest);
}

/* A worker is asked about a deploy, and cannot say. */
static void fail_to_resolve(World *w, const char *worker, unsigned code, const char *error)
{
        char query[17];

        query_of(w, worker, PEER_RESOLVE, query);
        world_tell(w, worker, PEER_RESOLVED, "{'query':'%s','code':%u,'error':'%s'}", query, code, error);
}

/* Deploys */

static void test_a_deploy_is_resolved_saved_and_pushed(void **state)
{
        World *w = *state;
        json_object *track;
        Sent *sent;

        world_add_worker(w, "any-1", "", 1);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "python-1", "'python'", 1);
        (void) world_next_of(w, "any-1", PEER_CONFIGURE);
        (void) world_next_of(w, "ruby-1", PEER_CONFIGURE);
        (void) world_next_of(w, "python-1", PEER_CONFIGURE);
        deploy(w, "a", "ruby", "v2");
        assert_unanswered(w, "a");
        assert_versions(w, "ruby", "[\"v1\"]");
        resolve(w, "ruby-1", DIGEST_1);
        (void) reply(w, "a", 200);
        assert_versions(w, "ruby", "[\"v1\",\"v2\"]");
        sent = world_next_of(w, "any-1", PEER_CONFIGURE);
        assert_non_null(sent);
        track = at(sent->body, "/tracks/ruby");
        assert_non_null(strstr(json_object_to_json_string(track), DIGEST_1));
        assert_non_null(world_next_of(w, "ruby-1", PEER_CONFIGURE));
        assert_null(world_next_of(w, "python-1", PEER_CONFIGURE));
        world_restart_router(w, false);
        assert_versions(w, "ruby", "[\"v1\",\"v2\"]");
}

static void test_a_job_just_after_a_deploy_waits_for_its_version(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_tell(w, "ruby-1", PEER_CONFIGURED, "{'serial':1,'held':{'ruby':{'v1':null}},'installing':{}}");
        deploy(w, "a", "ruby", "v2");
        resolve(w, "ruby-1", DIGEST_1);
        (void) reply(w, "a", 200);
        world_submit(w, "b", "1", "ruby", ",'container_version':'v2'");
        assert_given_nothing(w, "ruby-1");
        /* Said before it read what is deployed now. */
        world_tell(w, "ruby-1", PEER_CONFIGURED, "{'serial':1,'held':{'ruby':{'v1':null}},'installing':{}}");
        assert_given_nothing(w, "ruby-1");
        world_tell(
                w, "ruby-1", PEER_CONFIGURED,
                "{'serial':2,'held':{'ruby':{'v1':null}},'installing':{'ruby':{'v2':{'state':'queued'}}}}");
        assert_given_nothing(w, "ruby-1");
        world_tell(w, "ruby-1", PEER_CONFIGURED,
                   "{'serial':2,'held':{'ruby':{'v1':null,'v2':null}},'installing':{}}");
        assert_non_null(world_next_of(w, "ruby-1", PEER_JOB));
}

static void test_an_unknown_version_changes_nothing(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        deploy(w, "a", "ruby", "nope");
        fail_to_resolve(w, "ruby-1", 400, "no such version");
        reply(w, "a", 400);
        deploy(w, "a", "ruby", "nope");
        fail_to_resolve(w, "ruby-1", 503, "it is away");
        reply(w, "a", 503);
        assert_versions(w, "ruby", "[\"v1\"]");
}

static void test_nobody_to_ask_changes_nothing(void **state)
{
        World *w = *state;

        deploy(w, "a", "ruby", "v2");
        reply(w, "a", 503);
        assert_versions(w, "ruby", "[\"v1\"]");
}

static void test_deploys_side_by_side_lose_nothing(void **state)
{
        World *w = *state;
        char first[17], second[17];

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        deploy(w, "a", "ruby", "v2");
        deploy(w, "b", "ruby", "v3");
        query_of(w, "ruby-1", PEER_RESOLVE, first);
        query_of(w, "ruby-1", PEER_RESOLVE, second);
        resolved(w, "ruby-1", second, DIGEST_2);
        resolved(w, "ruby-1", first, DIGEST_1);
        reply(w, "a", 200);
        reply(w, "b", 200);
        assert_versions(w, "ruby", "[\"v1\",\"v3\",\"v2\"]");
}

static void test_a_lost_worker_is_not_the_end_of_a_deploy(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        deploy(w, "a", "ruby", "v2");
        world_pass(w, USEC_PER_SEC);
        world_add_worker(w, "ruby-2", "'ruby'", 1);
        world_pass(w, 3 * USEC_PER_SEC);
        resolve(w, "ruby-2", DIGEST_1);
        reply(w, "a", 200);
}

static void test_a_registry_that_says_nothing_is_503(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        deploy(w, "a", "ruby", "v2");
        for (int i = 0; i < 30; i++) {
                assert_unanswered(w, "a");
                world_pass(w, USEC_PER_SEC);
                beat(w, "ruby-1", 1, 0);
        }
        reply(w, "a", 503);
}

static void test_an_answer_of_another_worker_counts_for_nothing(void **state)
{
        World *w = *state;
        char query[17];

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_add_worker(w, "any-1", "", 1);
        deploy(w, "a", "ruby", "v2");
        query_of(w, "ruby-1", PEER_RESOLVE, query);
        resolved(w, "any-1", query, DIGEST_1);
        assert_unanswered(w, "a");
        world_tell(w, "ruby-1", PEER_LISTED, "{'query':'%s','images':{}}", query);
        assert_unanswered(w, "a");
}

static void test_update_replaces_and_unload_takes_away(void **state)
{
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_ask(w, &w->operator, "a",
                  "{'action':'update_container_versions','channel':'test-runner','track_slug':'ruby',"
                  "'versions':['v3','v2','v3']}");
        resolve(w, "ruby-1", DIGEST_1);
        resolve(w, "ruby-1", DIGEST_2);
        reply(w, "a", 200);
        assert_versions(w, "ruby", "[\"v3\",\"v2\"]");
        unload(w, "a", "v3");
        reply(w, "a", 200);
        unload(w, "a", "v3");
        reply(w, "a", 400);
        assert_versions(w, "ruby", "[\"v2\"]");
}

static void test_a_deploy_may_make_a_track_but_not_any(void **state)
{
        World *w = *state;

        world_add_worker(w, "any-1", "", 1);
        deploy(w, "a", "x86-64-assembly", "v1");
        resolve(w, "any-1", DIGEST_1);
        reply(w, "a", 200);
        assert_versions(w, "x86-64-assembly", "[\"v1\"]");
        deploy(w, "a", "settings", "v1");
        reply(w, "a", 400);
        deploy(w, "a", "../etc", "v1");
        reply(w, "a", 400);
}

static void test_lists_come_from_a_worker(void **state)
{
        World *w = *state;
        char query[17];

        world_ask(w, &w->loopback, "a",
                  "{'action':'list_available_containers','channel':'test_runners','track_slug':'ruby'}");
        reply(w, "a", 503);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_ask(w, &w->loopback, "a",
                  "{'action':'list_available_containers','channel':'test_runners','track_slug':'ruby'}");
        query_of(w, "ruby-1", PEER_LIST, query);
        world_tell(w, "ruby-1", PEER_LISTED, "{'query':'%s','images':{'" DIGEST_1 "':['v1','git-1']}}",
                   query);
        assert_json(response(w, "a"), "{\"list_images\":{\"" DIGEST_1 "\":[\"v1\",\"git-1\"]}}");
}

/* Questions */

static void test_deployment_check_is_honest(void **state)
{
        World *w = *state;
        const char *ask = "{'action':'deployment_check','channel':'test_runners','track_slug':'ruby'}";
        static const char *const expected[] = { "{\"v1\":false}", "{\"v1\":true}", "{\"v1\":false}" };

        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                if (i == 1)
                        world_add_worker(w, "ruby-1", "'ruby'", 1);
                if (i == 2) {
                        world_add_worker(w, "any-1", "", 1);
                        world_tell(w, "any-1", PEER_CONFIGURED, "{'held':{},'installing':{}}");
                }
                world_ask(w, &w->loopback, "a", "%s", ask);
                assert_json(at(response(w, "a"), "/status"), expected[i]);
        }
}

static void test_workers_are_described(void **state)
{
        World *w = *state;
        json_object *channel, *worker;

        world_add_worker(w, "ruby-1", "'ruby','c'", 3);
        world_hello(w, &w->workers, "late", "late", "", 1, "", "");
        world_submit(w, "b", "1", "ruby", "");
        world_ask(w, &w->loopback, "a", "{'action':'current_worker_status'}");
        channel = at(response(w, "a"), "/workers_status/test_runners");
        assert_int_equal(number_of(channel, "present_workers"), 2);
        assert_int_equal(number_of(channel, "online_workers"), 1);
        world_ask(w, &w->loopback, "a", "{'action':'describe_workers'}");
        channel = at(response(w, "a"), "/workers_info");
        assert_int_equal(json_object_array_length(channel), 2);
        worker = json_object_array_get_idx(channel, 0);
        if (!json_object_get_boolean(json_object_object_get(worker, "online")))
                worker = json_object_array_get_idx(channel, 1);
        assert_string_equal(text_of(worker, "name"), "ruby-1");
        assert_int_equal(number_of(worker, "slots"), 3);
        assert_int_equal(number_of(worker, "running"), 1);
        world_ask(w, &w->loopback, "a", "{'action':'router_status'}");
        worker = at(response(w, "a"), "/router_status");
        assert_int_equal(number_of(worker, "running"), 1);
        assert_int_equal(number_of(worker, "queued"), 0);
}

static void test_roles_are_asked_for(void **state)
{
        World *w = *state;

        deploy(w, "x", "ruby", "v2");
        (void) reply(w, "x", 503);
        world_ask(w, &w->loopback, "a",
                  "{'action':'deploy_container_version','channel':'test_runners','track_slug':'ruby',"
                  "'new_version':'v2'}");
        assert_non_null(
                strstr(text_of(detail(w, "a", 400), "error"), "not_allowed: this needs the role deploy"));
        world_ask(w, &w->loopback, "a", "{'action':'restart_router'}");
        assert_non_null(strstr(text_of(detail(w, "a", 400), "error"), "role admin"));
        world_ask(w, &w->workers, "a", "{'action':'current_config'}");
        assert_non_null(strstr(text_of(detail(w, "a", 400), "error"), "role submit"));
        assert_int_equal(w->n_restarts, 0);
        world_hello(w, &w->loopback, "liar", "liar", "", 1, "", "");
        assert_non_null(world_next_of(w, "liar", PEER_REFUSED));
}

static void assert_status(const World *w, const char *expected)
{
        _cleanup_free_ char *text = router_status_text(w->router);

        assert_string_equal(text, expected);
}

static void test_a_bad_file_is_not_loaded(void **state)
{
        World *w = *state;

        world_write_file(w, "workers: {test_runners: {ruby: {worker_versions: [v1, v9]}}}\n");
        world_ask(w, &w->operator, "a", "{'action':'reload_config'}");
        reply(w, "a", 200);
        assert_int_equal(w->n_reloads, 1);
        assert_versions(w, "ruby", "[\"v1\",\"v9\"]");
        world_write_file(w, "workers: {test_runners: {ruby: {worker_versions: [v1, '/']}}}\n");
        world_ask(w, &w->operator, "a", "{'action':'reload_config'}");
        reply(w, "a", 400);
        assert_int_equal(w->n_reloads, 1);
        assert_versions(w, "ruby", "[\"v1\",\"v9\"]");
        assert_status(w, "0 workers, 0 jobs running, 0 waiting; its file could not be reloaded");
        /* Nor is a file that has become bad written over. */
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        deploy(w, "a", "ruby", "v2");
        resolve(w, "ruby-1", DIGEST_1);
        reply(w, "a", 500);
        assert_versions(w, "ruby", "[\"v1\",\"v9\"]");
}

static void test_a_file_that_became_good_is_told(void **state)
{
        static const char bad[] = "workers: [", good[] = "workers: {}\n";
        World *w = *state;

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        world_write_file(w, bad);
        world_ask(w, &w->operator, "a", "{'action':'reload_config'}");
        reply(w, "a", 400);
        assert_status(w, "1 workers, 0 jobs running, 0 waiting; its file could not be reloaded");
        world_write_file(w, good);
        deploy(w, "a", "ruby", "v2");
        resolve(w, "ruby-1", DIGEST_1);
        reply(w, "a", 200);
        assert_status(w, "1 workers, 0 jobs running, 0 waiting");
}

/* Malformed */

static void test_shapes_of_messages(void **state)
{
        World *w = *state;
        static const char *const no_empty[] = { "{\"action\":\"current_config\"}" },
                                 *const three[] = { "", "{}", "{}" }, *const only_empty[] = { "" },
                                 *const many[] = { "", "1", "2", "3", "4", "5", "6", "7" };

        world_say(w, &w->loopback, "a", no_empty, 1);
        reply(w, "a", 502);
        world_say(w, &w->loopback, "a", three, 3);
        reply(w, "a", 502);
        world_say(w, &w->loopback, "a", only_empty, 1);
        reply(w, "a", 502);
        world_say(w, &w->loopback, "a", many, ARRAY_SIZE(many));
        reply(w, "a", 502);
        world_say(w, &w->loopback, "a", NULL, 0);
        assert_unanswered(w, "a");
        world_ask(w, &w->loopback, "a", "{'action':'current_config'} ");
        reply(w, "a", 200);
}

static void test_malformed_messages_of_workers_are_dropped(void **state)
{
        World *w = *state;
        static const char *const bodies[] = { "", "[]", "{", "{\"slots\":-1,\"running\":0}",
                                              "{\"slots\":\"1\"}" };

        world_add_worker(w, "ruby-1", "'ruby'", 1);
        for (PeerType type = 0; type < _PEER_TYPE_MAX; type++)
                for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
                        if (type != PEER_GOODBYE)
                                world_say(
                                        w, &w->workers, "ruby-1",
                                        (const char *[]){ PEER_MAGIC, peer_type_to_string(type), bodies[i] },
                                        3);
        world_say(w, &w->workers, "ruby-1", (const char *[]){ PEER_MAGIC, "dance", "{}" }, 3);
        world_say(w, &w->workers, "ruby-1", (const char *[]){ PEER_MAGIC }, 1);
        world_submit(w, "a", "1", "ruby", "");
        given(w, "ruby-1");
}

static void test_requests_are_bounded_in_memory(void **state)
{
        World *w = *state;
        unsigned n = 0;

        world_write_file(w, "request_memory: 1M\nqueue_length: 100000\n" YAML);
        world_ask(w, &w->operator, "c", "{'action':'reload_config'}");
        reply(w, "c", 200);
        world_add_worker(w, "ruby-1", "'ruby'", 1);
        for (; n < 10000 && !world_next(w, "a"); n++)
                world_submit(w, "a", "1", "ruby", ",'resend':true,'more':[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]");
        /* All of them are one job, and so many ask for it. */
        assert_in_range(n, 100, 1000);
        assert_non_null(world_next_of(w, "ruby-1", PEER_JOB));
        assert_given_nothing(w, "ruby-1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_deploy_is_resolved_saved_and_pushed),
                TEST(test_a_job_just_after_a_deploy_waits_for_its_version),
                TEST(test_an_unknown_version_changes_nothing),
                TEST(test_nobody_to_ask_changes_nothing),
                TEST(test_deploys_side_by_side_lose_nothing),
                TEST(test_a_lost_worker_is_not_the_end_of_a_deploy),
                TEST(test_a_registry_that_says_nothing_is_503),
                TEST(test_an_answer_of_another_worker_counts_for_nothing),
                TEST(test_update_replaces_and_unload_takes_away),
                TEST(test_a_deploy_may_make_a_track_but_not_any),
                TEST(test_lists_come_from_a_worker),
                TEST(test_deployment_check_is_honest),
                TEST(test_workers_are_described),
                TEST(test_roles_are_asked_for),
                TEST(test_a_bad_file_is_not_loaded),
                TEST(test_a_file_that_became_good_is_told),
                TEST(test_shapes_of_messages),
                TEST(test_malformed_messages_of_workers_are_dropped),
                TEST(test_requests_are_bounded_in_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
