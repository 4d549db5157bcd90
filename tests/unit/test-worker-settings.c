/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/settings.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The texts, separated by blanks; a new string. */
static char *joined(char *const *strv)
{
        char *text = strdup("");

        for (; strv && *strv; strv++) {
                char *longer = string_format("%s%s%s", text, *text ? " " : "", *strv);

                free(text);
                text = longer;
        }
        return text;
}

static void assert_topics(const WorkerSettings *settings, const char *wanted)
{
        _cleanup_free_ char *topics = joined(settings->topics);

        assert_string_equal(topics, wanted);
}

static void init(WorkerSettings *settings, const char *name)
{
        char *error = NULL;

        assert_int_equal(settings_init(settings, name, &error), 0);
        assert_null(error);
}

static void test_the_track_follows_from_the_name(void **state)
{
        static const struct {
                const char *name, *topics;
        } cases[] = {
                { "ruby-1", "ruby" }, { "ruby-12", "ruby" },
                { "ruby", "ruby" },   { "x86-64-assembly-2", "x86-64-assembly" },
                { "x86-64", "x86" },  { "8th-1", "8th" },
                { "c", "c" },         { "1", "1" },
                { "a-", "a-" },       { "any-1", "" },
                { "any", "" },        { "anything-1", "anything" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(settings_done) WorkerSettings settings = {};

                init(&settings, cases[i].name);
                assert_topics(&settings, cases[i].topics);
                assert_int_equal(settings.channel, CHANNEL_TEST_RUNNERS);
                assert_string_equal(settings.router, WORKER_ROUTER_DEFAULT);
                assert_int_equal(settings.slots, 1);
        }
}

static void test_a_bad_name_is_refused(void **state)
{
        static const char *const names[] = {
                "",
                "-1",
                "../x",
                "a b",
                "a/b",
                "\xff",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(settings_done) WorkerSettings settings = {};
                _cleanup_free_ char *error = NULL;

                assert_int_equal(settings_init(&settings, names[i], &error), SETTINGS_BAD);
                assert_non_null(error);
        }
}

static void test_addresses_name_router_channel_and_topics(void **state)
{
        static const struct {
                const char *address, *router, *topics;
                Channel channel;
        } cases[] = {
                { "tcp://localhost:5555/test_runners", "tcp://localhost:5555", "", CHANNEL_TEST_RUNNERS },
                { "tcp://[::1]:5555/static_analyzers?topic=ruby", "tcp://[::1]:5555", "ruby",
                  CHANNEL_STATIC_ANALYZERS },
                { "tcp://h:1/recommender?topic=ruby&topic=8th&topic=ruby", "tcp://h:1", "ruby 8th",
                  CHANNEL_REPRESENTERS },
                { "tcp://h:1/test_runners?topic=*", "tcp://h:1", "", CHANNEL_TEST_RUNNERS },
                { "ipc:///run/pipeline/router.sock/representers?topic=c", "ipc:///run/pipeline/router.sock",
                  "c", CHANNEL_REPRESENTERS },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(settings_done) WorkerSettings settings = {};
                char *error = NULL;

                init(&settings, "worker-1");
                assert_int_equal(settings_from_address(&settings, cases[i].address, &error), 0);
                assert_string_equal(settings.router, cases[i].router);
                assert_topics(&settings, cases[i].topics);
                assert_int_equal(settings.channel, cases[i].channel);
        }
}

static void test_bad_addresses_are_refused(void **state)
{
        static const char *const addresses[] = {
                "",
                "test_runners",
                "tcp://localhost:5555",
                "tcp://localhost:5555/",
                "tcp:///test_runners",
                "tcp://h:1/builders",
                "tcp://h:1/what",
                "tcp://h:1/test_runners?",
                "tcp://h:1/test_runners?topic",
                "tcp://h:1/test_runners?topic=",
                "tcp://h:1/test_runners?topic=a/b",
                "tcp://h:1/test_runners?x=ruby",
                "tcp://h:1/test_runners?topic=a&",
                "http://h:1/test_runners",
                "ipc://relative/test_runners",
                "inproc://x/test_runners",
        };

        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
                _cleanup_(settings_done) WorkerSettings settings = {};
                _cleanup_free_ char *error = NULL;

                init(&settings, "worker-1");
                if (settings_from_address(&settings, addresses[i], &error) != SETTINGS_BAD)
                        fail_msg("%s was taken", addresses[i]);
                assert_non_null(error);
        }
}

static const char *const *environment; /* name, value, name, value, …, NULL */

static char *lookup(const char *name)
{
        for (const char *const *e = environment; *e; e += 2)
                if (streq(e[0], name))
                        return (char *) e[1];
        return NULL;
}

static void test_the_environment_says_more_than_the_name(void **state)
{
        static const char *const variables[] = {
                "CHANNEL",
                "static-analyser",
                "TOPICS",
                "ruby, 8th  c",
                "SLOTS",
                "4",
                "ROUTER",
                "tcp://r:5555",
                "INPUT_FOLDERS",
                "/a:/b c:",
                "STATE_DIRECTORY",
                "/var/x",
                "REGISTRY",
                "/reg",
                "SANDBOX",
                "/s.sock",
                NULL,
        };
        _cleanup_(settings_done) WorkerSettings settings = {};
        char *error = NULL;

        init(&settings, "ruby-1");
        environment = variables;
        assert_int_equal(settings_from_environment(&settings, lookup, &error), 0);
        assert_int_equal(settings.channel, CHANNEL_STATIC_ANALYZERS);
        assert_topics(&settings, "ruby 8th c");
        assert_int_equal(settings.slots, 4);
        assert_string_equal(settings.router, "tcp://r:5555");
        assert_string_equal(settings.folder, "/var/x");
        assert_string_equal(settings.registry.folder, "/reg");
        assert_string_equal(settings.sandbox, "/s.sock");
        assert_int_equal(strv_length(settings.input_folders), 2);
        assert_string_equal(settings.input_folders[1], "/b c");
}

static void test_s3_is_where_it_is_said_to_be(void **state)
{
        static const char *const variables[] = {
                "AWS_REGION", "eu-west-1",           "S3_REGION",
                "eu-west-2",  "S3_ENDPOINT",         "http://127.0.0.1:7480/",
                "S3_ALLOW",   "one, s3://two/open/", "S3_ADDRESSING",
                "virtual",    "S3_OBJECT_SIZE_MAX",  "2M",
                NULL,
        };
        static const char *const region[] = { "AWS_DEFAULT_REGION", "us-east-2", "AWS_REGION", "eu-west-1",
                                              NULL };
        _cleanup_(settings_done) WorkerSettings settings = {}, other = {};
        char *error = NULL;

        init(&settings, "ruby-1");
        assert_false(settings.wants_s3);
        environment = variables;
        assert_int_equal(settings_from_environment(&settings, lookup, &error), 0);
        assert_true(settings.wants_s3);
        assert_string_equal(settings.s3.region, "eu-west-2");
        assert_string_equal(settings.s3.endpoint, "http://127.0.0.1:7480");
        assert_int_equal(strv_length(settings.s3.allowed), 2);
        assert_string_equal(settings.s3.allowed[1], "two/open/");
        assert_true(settings.s3.virtual_style);
        assert_int_equal(settings.s3.object_size_max, 2 * 1024 * 1024);
        init(&other, "ruby-1");
        environment = region;
        assert_int_equal(settings_from_environment(&other, lookup, &error), 0);
        assert_string_equal(other.s3.region, "eu-west-1");
        assert_false(other.wants_s3);
        assert_int_equal(other.s3.object_size_max, S3_OBJECT_SIZE_MAX_DEFAULT);
}

static void test_an_empty_variable_is_not_set(void **state)
{
        static const char *const variables[] = { "TOPICS", "", "SLOTS", "", NULL };
        _cleanup_(settings_done) WorkerSettings settings = {};
        char *error = NULL;

        init(&settings, "ruby-1");
        environment = variables;
        assert_int_equal(settings_from_environment(&settings, lookup, &error), 0);
        assert_topics(&settings, "ruby");
}

static void test_a_bad_variable_is_named(void **state)
{
        static const char *const variables[][3] = {
                { "CHANNEL", "builders", NULL },
                { "TOPICS", "a b/c", NULL },
                { "SLOTS", "0", NULL },
                { "SLOTS", "65", NULL },
                { "SLOTS", "1x", NULL },
                { "ROUTER", "localhost", NULL },
                { "REGISTRY", "registry", NULL },
                { "SANDBOX", "./x", NULL },
                { "INPUT_FOLDERS", "/a:inputs", NULL },
                { "S3_REGION", "US_EAST", NULL },
                { "S3_ENDPOINT", "http://h/x", NULL },
                { "S3_ADDRESSING", "both", NULL },
                { "S3_ALLOW", "bucket/x", NULL },
                { "S3_OBJECT_SIZE_MAX", "much", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                _cleanup_(settings_done) WorkerSettings settings = {};
                _cleanup_free_ char *error = NULL;

                init(&settings, "ruby-1");
                environment = variables[i];
                assert_int_equal(settings_from_environment(&settings, lookup, &error), SETTINGS_BAD);
                assert_ptr_equal(strstr(error, variables[i][0]), error);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_track_follows_from_the_name),
                cmocka_unit_test(test_a_bad_name_is_refused),
                cmocka_unit_test(test_addresses_name_router_channel_and_topics),
                cmocka_unit_test(test_bad_addresses_are_refused),
                cmocka_unit_test(test_the_environment_says_more_than_the_name),
                cmocka_unit_test(test_s3_is_where_it_is_said_to_be),
                cmocka_unit_test(test_an_empty_variable_is_not_set),
                cmocka_unit_test(test_a_bad_variable_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
