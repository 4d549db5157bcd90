/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/entrypoint.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_texts(char *const *texts, const char *wanted)
{
        _cleanup_free_ char *joined = strdup("");

        for (; texts && *texts; texts++) {
                char *longer = string_format("%s%s%s", joined, *joined ? " " : "", *texts);

                free(joined);
                joined = longer;
        }
        assert_string_equal(joined, wanted);
}

static void test_what_is_looked_at(void **state)
{
        static const struct {
                Channel channel;
                const char *folder, *paths;
        } cases[] = {
                { CHANNEL_TEST_RUNNERS, NULL, "/opt/test-runner /opt/test-runner/bin/run.sh" },
                { CHANNEL_TEST_RUNNERS, "/opt/test-runner", "/opt/test-runner /opt/test-runner/bin/run.sh" },
                { CHANNEL_TEST_RUNNERS, "/", "/opt/test-runner /opt/test-runner/bin/run.sh /bin/run.sh" },
                { CHANNEL_STATIC_ANALYZERS, "/srv",
                  "/opt/analyzer /opt/analyzer/bin/run.sh /opt/analyzer/bin/analyze.sh /srv/bin/run.sh "
                  "/srv/bin/analyze.sh" },
                { CHANNEL_REPRESENTERS, NULL,
                  "/opt/representer /opt/representer/bin/run.sh /opt/representer/bin/generate.sh" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(strv_freep) char **paths = NULL;

                assert_int_equal(entrypoint_probe(cases[i].channel, cases[i].folder, &paths), 0);
                assert_texts(paths, cases[i].paths);
        }
}

static int resolve(Channel channel, const char *answer, Entrypoint *ret)
{
        _cleanup_json_ json_object *object = json_tokener_parse(answer);
        _cleanup_free_ char *error = NULL;
        int r;

        assert_non_null(object);
        r = entrypoint_resolve(channel, object, ret, &error);
        assert_true((r == JSON_BAD) == (error != NULL));
        return r;
}

#define CONFIG(entrypoint, folder) \
        "{\"config\": {\"entrypoint\": " entrypoint ", \"environment\": [], \"folder\": \"" folder "\"}, "

static void test_the_first_that_is_there_runs(void **state)
{
        static const struct {
                Channel channel;
                const char *answer, *folder, *arguments; /* NULL: nothing would run */
        } cases[] = {
                /* The channel's folder, before the image's own and its Entrypoint. */
                { CHANNEL_TEST_RUNNERS,
                  CONFIG("[\"/e\"]", "/srv") "\"probed\": {\"/opt/test-runner\": \"folder\", "
                                             "\"/opt/test-runner/bin/run.sh\": \"executable\", "
                                             "\"/srv/bin/run.sh\": \"executable\"}}",
                  "/opt/test-runner",
                  "/opt/test-runner/bin/run.sh two-fer /mnt/exercism-iteration/ /mnt/exercism-iteration/" },
                { CHANNEL_TEST_RUNNERS,
                  CONFIG("[\"/e\"]", "/srv") "\"probed\": {\"/srv/bin/run.sh\": \"executable\"}}", "/srv",
                  "/srv/bin/run.sh two-fer /mnt/exercism-iteration/ /mnt/exercism-iteration/" },
                /* What cannot be executed does not count. */
                { CHANNEL_TEST_RUNNERS,
                  CONFIG("[\"/e\", \"-x\"]", "/srv") "\"probed\": {\"/srv/bin/run.sh\": \"file\"}}", "/srv",
                  "/e -x two-fer /mnt/exercism-iteration/ /mnt/exercism-iteration/" },
                { CHANNEL_TEST_RUNNERS,
                  CONFIG("[\"/e\"]", "/") "\"probed\": {\"/opt/test-runner\": \"file\"}}", "/",
                  "/e two-fer /mnt/exercism-iteration/ /mnt/exercism-iteration/" },
                { CHANNEL_TEST_RUNNERS, CONFIG("null", "/") "\"probed\": {\"/opt/test-runner\": null}}", "/",
                  NULL },
                { CHANNEL_TEST_RUNNERS, CONFIG("[]", "/") "\"probed\": {}}", "/", NULL },
                /* The old names, each for its own channel, after the new one. */
                { CHANNEL_STATIC_ANALYZERS,
                  CONFIG("null", "/") "\"probed\": {\"/opt/analyzer\": \"folder\", "
                                      "\"/opt/analyzer/bin/analyze.sh\": \"executable\"}}",
                  "/opt/analyzer", "/opt/analyzer/bin/analyze.sh two-fer /mnt/exercism-iteration/" },
                { CHANNEL_STATIC_ANALYZERS,
                  CONFIG("null", "/") "\"probed\": {\"/bin/analyze.sh\": \"executable\", "
                                      "\"/bin/run.sh\": \"executable\"}}",
                  "/", "/bin/run.sh two-fer /mnt/exercism-iteration/ /mnt/exercism-iteration/" },
                { CHANNEL_REPRESENTERS,
                  CONFIG("null", "/") "\"probed\": {\"/bin/generate.sh\": \"executable\"}}", "/",
                  "/bin/generate.sh two-fer /mnt/exercism-iteration/" },
                { CHANNEL_TEST_RUNNERS,
                  CONFIG("null", "/") "\"probed\": {\"/bin/analyze.sh\": \"executable\", "
                                      "\"/bin/generate.sh\": \"executable\"}}",
                  "/", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(entrypoint_done) Entrypoint entrypoint = {};
                _cleanup_(strv_freep) char **arguments = NULL;

                assert_int_equal(resolve(cases[i].channel, cases[i].answer, &entrypoint), 0);
                assert_string_equal(entrypoint.folder, cases[i].folder);
                assert_int_equal(entrypoint_arguments(&entrypoint, NULL, "two-fer", &arguments),
                                 cases[i].arguments ? 0 : ENTRYPOINT_NONE);
                if (cases[i].arguments)
                        assert_texts(arguments, cases[i].arguments);
                else
                        assert_non_null(strstr(entrypoint.missing, "bin/run.sh"));
        }
}

static void test_a_setting_comes_before_all(void **state)
{
        _cleanup_(entrypoint_done) Entrypoint entrypoint = {};
        _cleanup_(strv_freep) char **arguments = NULL, **by_image = NULL;
        char *setting[] = { (char *) "/bin/sh", (char *) "/x.sh", NULL }, *empty[] = { NULL };

        assert_int_equal(
                resolve(CHANNEL_REPRESENTERS,
                        CONFIG("[\"/e\"]", "/") "\"probed\": {\"/bin/generate.sh\": \"executable\"}}",
                        &entrypoint),
                0);
        assert_int_equal(entrypoint_arguments(&entrypoint, setting, "a", &arguments), 0);
        assert_texts(arguments, "/bin/sh /x.sh a /mnt/exercism-iteration/ /mnt/exercism-iteration/");
        assert_int_equal(entrypoint_arguments(&entrypoint, empty, "a", &by_image), 0);
        assert_texts(by_image, "/bin/generate.sh a /mnt/exercism-iteration/");
}

static void test_path_and_home_always_work(void **state)
{
        static const struct {
                const char *given, *made;
        } cases[] = {
                { "[]", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp" },
                { "[\"PATH=/x\", \"A=b\"]", "PATH=/x A=b HOME=/tmp" },
                { "[\"PATH=/x\", \"HOME=/root\", \"A=\"]", "PATH=/x A= HOME=/tmp" },
                { "[\"PATH=/x\", \"HOME=/tmp/h\"]", "PATH=/x HOME=/tmp/h" },
                { "[\"PATH=/x\", \"HOME=/tmpx\"]", "PATH=/x HOME=/tmp" },
                { "[\"PATHS=/x\", \"HOME=/mnt/exercism-iteration\"]",
                  "PATHS=/x HOME=/mnt/exercism-iteration "
                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *answer = string_format(
                        "{\"config\": {\"environment\": %s, \"folder\": \"/\"}, \"probed\": {}}",
                        cases[i].given);
                _cleanup_(entrypoint_done) Entrypoint entrypoint = {};

                assert_int_equal(resolve(CHANNEL_TEST_RUNNERS, answer, &entrypoint), 0);
                assert_texts(entrypoint.environment, cases[i].made);
        }
}

static void test_a_malformed_answer_is_refused(void **state)
{
        static const char *const answers[] = {
                "{}",
                "{\"config\": {\"folder\": \"/\"}}",
                "{\"config\": {}, \"probed\": {}}",
                "{\"config\": {\"folder\": \"x\"}, \"probed\": {}}",
                "{\"config\": {\"folder\": \"/\", \"entrypoint\": \"/e\"}, \"probed\": {}}",
                "{\"config\": {\"folder\": \"/\", \"environment\": [1]}, \"probed\": {}}",
                "{\"config\": {\"folder\": \"/\"}, \"probed\": []}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                _cleanup_(entrypoint_done) Entrypoint entrypoint = {};

                assert_int_equal(resolve(CHANNEL_TEST_RUNNERS, answers[i], &entrypoint), JSON_BAD);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_looked_at),
                cmocka_unit_test(test_the_first_that_is_there_runs),
                cmocka_unit_test(test_a_setting_comes_before_all),
                cmocka_unit_test(test_path_and_home_always_work),
                cmocka_unit_test(test_a_malformed_answer_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
