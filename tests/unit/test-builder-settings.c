/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A builder's settings, the names of git, and the plan of a build. */

#include "builder/builder-settings.h"

#include "basic/string-util.h"
#include "proto/name.h"
#include "worker/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *variable, *value;

static char *lookup(const char *name)
{
        return variable && streq(name, variable) ? (char *) value : NULL;
}

static int read_one(const char *name, const char *text, BuilderSettings *ret)
{
        _cleanup_free_ char *error = NULL;
        int r;

        variable = name;
        value = text;
        r = builder_settings_init(ret, lookup, &error);
        assert_int_equal(r == SETTINGS_BAD, error != NULL);
        return r;
}

static void test_sources_follow_from_templates(void **state)
{
        _cleanup_free_ char *address = NULL, *error = NULL;
        BuilderSettings settings;

        assert_int_equal(
                read_one("SOURCE", "https://git.example.org/{channel}/{track}-{suffix}.git", &settings), 0);
        assert_int_equal(builder_source(&settings, CHANNEL_STATIC_ANALYZERS, "ruby", &address, &error), 0);
        assert_string_equal(address, "https://git.example.org/static_analyzers/ruby-analyzer.git");
        builder_settings_done(&settings);

        assert_int_equal(read_one("SOURCE_REPRESENTERS", "file:///srv/{track}", &settings), 0);
        assert_int_equal(builder_source(&settings, CHANNEL_TEST_RUNNERS, "ruby", &address, &error),
                         SETTINGS_BAD);
        assert_non_null(strstr(error, "test_runners"));
        builder_settings_done(&settings);
}

static void test_what_is_not_understood_is_refused(void **state)
{
        static const char *const bad[][2] = {
                { "SOURCE", "ext::sh -c x" },   { "SOURCE", "-x" },
                { "SOURCE", "https://a b" },    { "DOCKERFILE", "../Dockerfile" },
                { "DOCKERFILE", "/x" },         { "BUILD_MEMORY", "much" },
                { "SSH_KEY", "/a'b" },          { "BUILD_SOCKET", "socket" },
                { "BASE_TLS", "maybe" },        { "SSH_KEY", "/a;b" },
                { "SSH_KNOWN_HOSTS", "/a\nb" },
        };
        BuilderSettings settings;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(read_one(bad[i][0], bad[i][1], &settings), SETTINGS_BAD);
        assert_int_equal(read_one("BUILD_MEMORY", "1G", &settings), 0);
        assert_int_equal(settings.limits.memory_bytes, UINT64_C(1) << 30);
        builder_settings_done(&settings);
}

static void test_references_of_git(void **state)
{
        static const char *const good[] = { "main", "v1.0", "feature/x", "0123abc", "a-b_c+d", "HEAD" };
        static const char *const bad[] = { "",    "-x",   "../x",    "a..b", "a b",     "x~1",
                                           "x^",  "a:b",  "x?",      "x*",   "x[",      "a\\b",
                                           "/x",  "x/",   ".x",      "a/.b", "x.",      "x.lock",
                                           "x@{", "a//b", "ext::sh", "\x01", "\xc3\xa4" };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_true(git_reference_is_valid(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(git_reference_is_valid(bad[i]));
}

static void test_a_plan_there_and_back(void **state)
{
        BuildPlan plan = {
                .job = (char *) "00112233445566778899aabbccddeeff",
                .channel = CHANNEL_TEST_RUNNERS,
                .track = (char *) "ruby",
                .timestamp = 1700000000,
                .n_bases = 2,
                .limits = { 1000000, 1 << 30, 100, 200, 1 << 20, 1 << 30, 1 << 30 },
        };
        _cleanup_json_ json_object *object = build_plan_to_json(&plan);
        _cleanup_free_ char *error = NULL;
        BuildLimits ceilings = plan.limits;
        BuildPlan back;

        assert_int_equal(build_plan_from_json(object, &back, &error), 0);
        assert_string_equal(back.track, "ruby");
        assert_int_equal(back.n_bases, 2);
        assert_memory_equal(&back.limits, &plan.limits, sizeof(plan.limits));
        assert_int_equal(build_limits_check_ceilings(&back.limits, &ceilings, &error), 0);
        ceilings.processes--;
        assert_int_equal(build_limits_check_ceilings(&back.limits, &ceilings, &error), JSON_BAD);
        assert_non_null(strstr(error, "processes"));
        build_plan_done(&back);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sources_follow_from_templates),
                cmocka_unit_test(test_what_is_not_understood_is_refused),
                cmocka_unit_test(test_references_of_git),
                cmocka_unit_test(test_a_plan_there_and_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
