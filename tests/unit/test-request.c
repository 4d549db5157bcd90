/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: which code for what is wrong, and what is taken. */

#include "proto/request.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define JOB                                                                          \
        "'id':'1','track_slug':'ruby','exercise_slug':'two-fer','s3_uri':'s3://b/p/" \
        "','container_version':'v1'"

/* `'` stands for `"`. */
static char *json(const char *text)
{
        char *copy = strdup(text);

        for (char *s = copy; *s != '\0'; s++)
                if (*s == '\'')
                        *s = '"';
        return copy;
}

static unsigned parse(const char *text, Request *request, RequestError *error)
{
        _cleanup_free_ char *body = json(text);
        int r = request_parse(body, strlen(body), request, error);

        assert_true(r == 0 || r == REQUEST_BAD);
        if (r == REQUEST_BAD)
                assert_non_null(error->error);
        return r == 0 ? 200 : error->code;
}

static void assert_code(const char *text, unsigned code, const char *word)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};
        unsigned got = parse(text, &request, &error);

        if (got != code)
                fail_msg("%s: %u, not %u: %s", text, got, code, error.error ?: "");
        if (word && !strstr(error.error, word))
                fail_msg("%s: '%s' does not say '%s'", text, error.error, word);
}

static void test_what_is_no_request(void **state)
{
        static const char *const texts[] = {
                "",          "{",     "[]",         "'x'",          "null",
                "{'a':NaN}", "{} {}", "{'id':'1'}", "{'action':1}", "{'action':null}",
                "\xff"
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_code(texts[i], 502, NULL);
        assert_code("{'action':'dance'}", 501, "there is no action 'dance'");
        assert_code("{'action':'a\\u0000b'}", 502, NULL);
}

static void test_missing_members_are_listed_for_every_action(void **state)
{
        static const struct {
                const char *action, *missing;
        } actions[] = {
                { "test_solution", "['id','track_slug','exercise_slug','s3_uri','container_version']" },
                { "analyze_iteration", "['id','track_slug','exercise_slug','s3_uri','container_version']" },
                { "represent", "['id','track_slug','exercise_slug','s3_uri','container_version']" },
                { "deploy_container_version", "['channel','track_slug','new_version']" },
                { "update_container_versions", "['channel','track_slug','versions']" },
                { "unload_container_version", "['channel','track_slug','new_version']" },
                { "list_available_containers", "['channel','track_slug']" },
                { "deployment_check", "['channel','track_slug']" },
                { "cancel", "['id']" },
                { "current_config", NULL },
                { "describe_workers", NULL },
                { "current_worker_status", NULL },
                { "router_status", NULL },
                { "reload_config", NULL },
                { "restart_workers", NULL },
                { "restart_router", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
                _cleanup_free_ char *text = string_format("{'action':'%s','id':null}", actions[i].action);
                _cleanup_free_ char *expected = actions[i].missing ? json(actions[i].missing) : NULL;
                _cleanup_(request_error_done) RequestError error = {};
                _cleanup_(request_done) Request request = {};

                assert_int_equal(parse(text, &request, &error), expected ? 502 : 200);
                if (expected)
                        assert_string_equal(
                                json_object_to_json_string_ext(error.missing, JSON_C_TO_STRING_PLAIN),
                                expected);
        }
}

static void test_one_missing_member(void **state)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};

        assert_int_equal(
                parse("{'action':'represent','request_id':'q','id':'1','track_slug':'c','s3_uri':'x',"
                      "'container_version':'v'}",
                      &request, &error),
                502);
        assert_string_equal(json_object_to_json_string_ext(error.missing, JSON_C_TO_STRING_PLAIN),
                            "[\"exercise_slug\"]");
        assert_string_equal(request.request_id, "q"); /* for the answer */
}

static void test_forms_and_ranges(void **state)
{
        static const struct {
                const char *more;
                unsigned code;
                const char *word;
        } cases[] = {
                { "'execution_timeout':3", 200, NULL },
                { "'execution_timeout':3.0", 200, NULL },
                { "'execution_timeout':1e-9", 200, NULL },
                { "'execution_timeout':86400", 200, NULL },
                { "'execution_timeout':86400.1", 400, "execution_timeout" },
                { "'execution_timeout':0", 400, "execution_timeout" },
                { "'execution_timeout':-1", 400, "execution_timeout" },
                { "'execution_timeout':1e400", 400, "execution_timeout" },
                { "'execution_timeout':'3'", 400, "execution_timeout" },
                { "'execution_timeout':true", 400, "execution_timeout" },
                { "'execution_timeout':null", 200, NULL },
                { "'timeout':0", 400, "timeout" },
                { "'timeout':30", 200, NULL },
                { "'resend':1", 400, "resend" },
                { "'resend':true", 200, NULL },
                { "'request_id':''", 400, "request_id" },
                { "'request_id':'a b'", 400, "request_id" },
                { "'request_id':7", 400, "request_id" },
                { "'request_id':'\\u0000'", 400, "request_id" },
                { "'channel':'nowhere'", 200, NULL }, /* a member of other actions */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text =
                        string_format("{'action':'test_solution'," JOB ",%s}", cases[i].more);

                assert_code(text, cases[i].code, cases[i].word);
        }
}

static void test_names(void **state)
{
        static const char *const members[] = { "track_slug", "exercise_slug", "container_version", "id" };
        static const char *const bad[] = { "''",  "'../x'",      "'-a'", "'a b'", "'a/b'", "'a\\n'",
                                           "'é'", "'a\\u0000b'", "7",    "[]",    "{}",    "'.'" };

        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
                        bool is_id = streq(members[i], "id");
                        bool is_fine_id = is_id && (k == 1 || k == 2 || k == 4 || k == 11);
                        /* The later of two members of one name counts. */
                        _cleanup_free_ char *text = string_format(
                                "{'action':'test_solution'," JOB ",'%s':%s}", members[i], bad[k]);

                        assert_code(text, is_fine_id ? 200 : 400, is_fine_id ? NULL : members[i]);
                }
        for (const char *const *good =
                     (const char *const[]){ "8th", "x86-64-assembly", "j", "common_lisp", NULL };
             *good; good++) {
                _cleanup_free_ char *text =
                        string_format("{'action':'test_solution'," JOB ",'track_slug':'%s'}", *good);

                assert_code(text, 200, NULL);
        }
}

static void test_lengths(void **state)
{
        static const struct {
                const char *member;
                int max;
        } members[] = {
                { "track_slug", 64 }, { "container_version", 128 }, { "id", 128 }, { "s3_uri", 2048 }
        };

        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                for (int more = 0; more < 2; more++) {
                        _cleanup_free_ char *text =
                                string_format("{'action':'test_solution'," JOB ",'%s':'%0*d'}",
                                              members[i].member, members[i].max + more, 1);

                        assert_code(text, more ? 400 : 200, more ? members[i].member : NULL);
                }
}

static void test_size_and_depth(void **state)
{
        _cleanup_free_ char *large = string_format("{'action':'current_config','x':'%0*d'}", 1024 * 1024, 1);
        _cleanup_free_ char *deep = string_format("{'action':'current_config','x':%.*s%.*s}", 31,
                                                  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 31,
                                                  "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
        _cleanup_free_ char *deeper = string_format("{'action':'current_config','x':[%.*s%.*s]}", 31,
                                                    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 31,
                                                    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");

        assert_code(large, 502, "1 MiB");
        assert_code(deep, 200, NULL);
        assert_code(deeper, 502, "deep");
}

static void test_channels_by_their_names(void **state)
{
        static const struct {
                const char *name;
                Channel channel;
        } names[] = {
                { "test_runners", CHANNEL_TEST_RUNNERS },
                { "test-runner", CHANNEL_TEST_RUNNERS },
                { "static_analyzers", CHANNEL_STATIC_ANALYZERS },
                { "static-analyser", CHANNEL_STATIC_ANALYZERS },
                { "representers", CHANNEL_REPRESENTERS },
                { "recommender", CHANNEL_REPRESENTERS },
                { "builder", CHANNEL_BUILDERS },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_free_ char *text = string_format(
                        "{'action':'deployment_check','channel':'%s','track_slug':'c'}", names[i].name);
                _cleanup_(request_error_done) RequestError error = {};
                _cleanup_(request_done) Request request = {};

                assert_int_equal(parse(text, &request, &error), 200);
                assert_int_equal(request.channel, names[i].channel);
        }
        assert_code("{'action':'deployment_check','channel':'nowhere','track_slug':'c'}", 502, "channel");
        assert_code("{'action':'update_container_versions','channel':'builders','track_slug':'c','versions':"
                    "'v'}",
                    400, "versions");
        assert_code("{'action':'update_container_versions','channel':'builders','track_slug':'c','versions':"
                    "['/']}",
                    400, "versions");
}

static char *canonical(const char *text)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};

        assert_int_equal(parse(text, &request, &error), 200);
        return request_canonical(&request);
}

static void test_the_canonical_form(void **state)
{
        _cleanup_free_ char *one =
                canonical("{'action':'cancel','id':'1','b':{'y':1,'x':[2,{'d':1,'c':2}]}}");
        _cleanup_free_ char *same = canonical("{ "
                                              "'request_id':'q','b':{'x':[2,{'c':2,'d':1}],'y':1},'resend':"
                                              "true,'id':'1','action':'cancel' }");
        _cleanup_free_ char *other =
                canonical("{'action':'cancel','id':'1','b':{'y':1,'x':[{'d':1,'c':2},2]}}");

        assert_string_equal(one, same);
        assert_string_not_equal(one, other);
}

static void test_secrets_are_left_out(void **state)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};
        _cleanup_json_ json_object *open = NULL;

        assert_int_equal(
                parse("{'action':'cancel','id':'1','credentials':{'a':1},'x':[{'aws_Secret_key':'k','y':1}],"
                      "'access_key_id':'z','session_token':'t','track':null}",
                      &request, &error),
                200);
        open = request_without_secrets(request.body);
        assert_string_equal(json_object_to_json_string_ext(open, JSON_C_TO_STRING_PLAIN),
                            "{\"action\":\"cancel\",\"id\":\"1\",\"x\":[{\"y\":1}],\"track\":null}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_no_request),
                cmocka_unit_test(test_missing_members_are_listed_for_every_action),
                cmocka_unit_test(test_one_missing_member),
                cmocka_unit_test(test_forms_and_ranges),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_size_and_depth),
                cmocka_unit_test(test_channels_by_their_names),
                cmocka_unit_test(test_the_canonical_form),
                cmocka_unit_test(test_secrets_are_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
