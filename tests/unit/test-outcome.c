/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/outcome-build.h"
#include "worker/outcome-store.h"

#include "basic/string-util.h"
#include "proto/json-check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RESULT_TEXT "{\"status\": \"pass\", \"big\": 12345678901234567890123, \"a\": 1, \"a\": 1.10}"

/* A job that ended; each test changes what it is about. */
typedef struct Fixture {
        Job job;
        RunRecord record;
        OutcomeText text;
} Fixture;

static void put(Buffer *buffer, const char *text)
{
        assert_int_equal(buffer_append(buffer, text, strlen(text), SIZE_MAX), 0);
}

static void fixture_init(Fixture *f, Channel channel, const char *result)
{
        *f = (Fixture){ .job = { .channel = channel, .limits = limits_default } };
        f->job.job = strdup("0123456789abcdef0123456789abcdef");
        f->job.token = strdup("0123456789abcdef");
        f->job.version = strdup("v1");
        f->record = (RunRecord){ .job = &f->job, .worker = "ruby-1", .digest = "sha256:x" };
        f->record.answer.cause = strdup("exited");
        f->record.answer.limits_enforced = true;
        for (size_t i = 0; i < RESULTS_MAX; i++)
                f->record.results[i].state = RESULT_MISSING;
        if (result) {
                f->record.results[0].state = RESULT_OK;
                put(&f->record.results[0].data, result);
        }
}

static void fixture_done(Fixture *f)
{
        outcome_text_done(&f->text);
        run_record_done(&f->record);
        job_done(&f->job);
}

static const char *part(Fixture *f, size_t i)
{
        put(&f->text.parts[i], ""); /* a part of no bytes has no memory */
        assert_int_equal(buffer_append(&f->text.parts[i], "", 1, SIZE_MAX), 0);
        f->text.parts[i].size--;
        return (const char *) f->text.parts[i].data;
}

static void build(Fixture *f, unsigned code, const char *error)
{
        JsonReport report;

        assert_int_equal(outcome_build(&f->record, &f->text), 0);
        if (f->text.outcome.status_code != code)
                fail_msg("%u, not %u: %s", (unsigned) f->text.outcome.status_code, code,
                         f->text.outcome.error);
        if (error)
                assert_non_null(strstr(f->text.outcome.error, error));
        else
                assert_null(f->text.outcome.error);
        assert_int_equal(json_check(f->text.parts[OUTCOME_CONTEXT].data, f->text.parts[OUTCOME_CONTEXT].size,
                                    PEER_PART_SIZE_MAX, JSON_CHECK_DEPTH_MAX, &report),
                         0);
        assert_true((f->text.parts[OUTCOME_RESPONSE].size > 0) == (code == STATUS_OK));
        if (f->text.parts[OUTCOME_ERROR_DETAIL].size > 0)
                assert_int_equal(json_check(f->text.parts[OUTCOME_ERROR_DETAIL].data,
                                            f->text.parts[OUTCOME_ERROR_DETAIL].size, PEER_PART_SIZE_MAX,
                                            JSON_CHECK_DEPTH_MAX, &report),
                                 0);
}

static void set_cause(Fixture *f, const char *cause)
{
        free(f->record.answer.cause);
        f->record.answer.cause = strdup(cause);
}

static void set_limit(Fixture *f, const char *name, uint64_t value, uint64_t used)
{
        f->record.answer.limit_name = strdup(name);
        f->record.answer.limit_value = value;
        f->record.answer.limit_used = used;
}

static void test_a_result_is_the_response_byte_for_byte(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};

        fixture_init(&f, CHANNEL_TEST_RUNNERS, RESULT_TEXT);
        build(&f, STATUS_OK, NULL);
        assert_string_equal(part(&f, OUTCOME_RESPONSE), RESULT_TEXT);
        assert_string_equal(f.text.outcome.job, f.job.job);
        assert_string_equal(f.text.outcome.token, f.job.token);
}

static void test_an_analysis_is_a_text(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};

        fixture_init(&f, CHANNEL_STATIC_ANALYZERS, "{\"a\": \"b\"}\n");
        build(&f, STATUS_OK, NULL);
        assert_string_equal(part(&f, OUTCOME_RESPONSE), "\"{\\\"a\\\": \\\"b\\\"}\\n\"");
}

static void test_a_representation_needs_no_mapping(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};

        fixture_init(&f, CHANNEL_REPRESENTERS, "(def \xff)");
        build(&f, STATUS_OK, NULL);
        assert_string_equal(part(&f, OUTCOME_RESPONSE), "\"(def \\\\xff)\"");
        assert_non_null(strstr(part(&f, OUTCOME_CONTEXT), "\"mapping\": null"));
}

static void test_a_mapping_is_placed_byte_for_byte(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};

        fixture_init(&f, CHANNEL_REPRESENTERS, "x");
        f.record.results[1].state = RESULT_OK;
        put(&f.record.results[1].data, "{\"PLACEHOLDER_0\":  1e2}");
        build(&f, STATUS_OK, NULL);
        assert_non_null(strstr(part(&f, OUTCOME_CONTEXT), "\"mapping\": {\"PLACEHOLDER_0\":  1e2}"));
}

static void test_what_is_wrong_with_a_result_is_said(void **state)
{
        static const struct {
                Channel channel;
                const char *results[RESULTS_MAX], *error;
                ResultState state;
        } cases[] = {
                { CHANNEL_TEST_RUNNERS, { NULL }, "results.json is missing", RESULT_MISSING },
                { CHANNEL_TEST_RUNNERS, { NULL }, "results.json is larger than 512000", RESULT_TOO_LARGE },
                { CHANNEL_TEST_RUNNERS, { NULL }, "results.json is not a regular", RESULT_NOT_REGULAR },
                { CHANNEL_TEST_RUNNERS, { NULL }, "results.json cannot be read", RESULT_UNREADABLE },
                { CHANNEL_TEST_RUNNERS, { "" }, "not JSON", RESULT_OK },
                { CHANNEL_TEST_RUNNERS, { "null" }, "no JSON object", RESULT_OK },
                { CHANNEL_TEST_RUNNERS, { "{\"a\": NaN}" }, "at byte 6", RESULT_OK },
                { CHANNEL_TEST_RUNNERS, { "{\"a\": \"\xff\"}" }, "not UTF-8", RESULT_OK },
                { CHANNEL_STATIC_ANALYZERS, { NULL }, "analysis.json is missing", RESULT_MISSING },
                { CHANNEL_STATIC_ANALYZERS, { "null" }, "no JSON object", RESULT_OK },
                { CHANNEL_REPRESENTERS, { NULL, "{}" }, "representation.txt is missing", RESULT_MISSING },
                { CHANNEL_REPRESENTERS, { "x", "[]" }, "mapping.json is no JSON object", RESULT_OK },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(fixture_done) Fixture f = {};

                fixture_init(&f, cases[i].channel, cases[i].results[0]);
                f.record.results[0].state = cases[i].state;
                if (cases[i].results[1]) {
                        f.record.results[1].state = RESULT_OK;
                        put(&f.record.results[1].data, cases[i].results[1]);
                }
                build(&f, STATUS_BAD_RESULT, cases[i].error);
        }
}

static void test_depth_is_bounded_where_the_result_lies(void **state)
{
        for (unsigned depth = 31; depth <= 33; depth++) {
                _cleanup_(fixture_done) Fixture f = {}, failed = {};
                char text[5 * 33 + 3] = {}, *at = text;

                for (unsigned i = 0; i < depth - 1; i++)
                        at = stpcpy(at, "{\"\":");
                at = stpcpy(at, "{}");
                memset(at, '}', depth - 1);
                fixture_init(&f, CHANNEL_TEST_RUNNERS, text);
                build(&f, depth <= 32 ? STATUS_OK : STATUS_BAD_RESULT, depth <= 32 ? NULL : "too deep");
                fixture_init(&failed, CHANNEL_TEST_RUNNERS, text);
                failed.record.answer.status = 1;
                build(&failed, STATUS_ANALYZER_FAILED, "exit status is 1");
                assert_true((strstr(part(&failed, OUTCOME_ERROR_DETAIL), "result") != NULL) ==
                            (depth <= 31));
        }
}

static void test_a_text_that_grows_too_large_is_no_result(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};
        char line[1024];

        fixture_init(&f, CHANNEL_REPRESENTERS, "");
        memset(line, 1, sizeof(line));
        for (unsigned i = 0; i < 1024; i++)
                assert_int_equal(buffer_append(&f.record.results[0].data, line, sizeof(line), SIZE_MAX), 0);
        build(&f, STATUS_BAD_RESULT, "too large");
}

/* Each alone fits. */
static void test_results_that_are_too_large_together(void **state)
{
        char *arguments[] = { (char *) "run.sh", NULL };
        Fixture f;

        fixture_init(&f, CHANNEL_REPRESENTERS, "a representation");
        f.record.arguments = arguments;
        f.record.results[1].state = RESULT_OK;
        put(&f.record.results[1].data, "{\"a\": \"");
        for (size_t i = 0; i < 3U * 1024U * 1024U; i++)
                put(&f.record.results[1].data, "x");
        put(&f.record.results[1].data, "\"}");
        for (size_t i = 0; i < 2U * 1024U * 1024U; i++)
                assert_int_equal(stream_record_append(&f.record.streams[i % 2], "\001", 1), 0);
        build(&f, STATUS_BAD_RESULT, "is larger than");
        fixture_done(&f);
}

static void test_a_failed_analyzers_result_is_told_all_the_same(void **state)
{
        _cleanup_(fixture_done) Fixture f = {}, without = {};

        fixture_init(&f, CHANNEL_TEST_RUNNERS, RESULT_TEXT);
        f.record.answer.status = 3;
        build(&f, STATUS_ANALYZER_FAILED, "exit status is 3");
        assert_string_equal(part(&f, OUTCOME_ERROR_DETAIL), "{\"result\": " RESULT_TEXT "}");
        fixture_init(&without, CHANNEL_TEST_RUNNERS, "nonsense");
        without.record.answer.status = 3;
        build(&without, STATUS_ANALYZER_FAILED, "exit status is 3");
        assert_string_equal(part(&without, OUTCOME_ERROR_DETAIL), "{}");
}

static void test_causes_have_their_codes(void **state)
{
        static const struct {
                const char *cause, *limit;
                uint64_t value, used;
                unsigned code;
                const char *error, *detail;
        } cases[] = {
                { "wall_time", "wall_time", 20000000, 20000900, STATUS_TIMED_OUT, "20000 ms",
                  "{\"limit\": \"wall_time\", \"value\": 20000, \"used\": 20000}" },
                { "output", "output", 10, 11, STATUS_EXCESSIVE_OUTPUT, "10 bytes",
                  "{\"limit\": \"output\", \"value\": 10, \"used\": 11}" },
                { "written", "written", 10, 10, STATUS_EXCESSIVE_OUTPUT, "files",
                  "{\"limit\": \"written\", \"value\": 10, \"used\": 10}" },
                { "memory", "memory", 10, 10, STATUS_TERMINATED, "memory",
                  "{\"limit\": \"memory\", \"value\": 10, \"used\": 10}" },
                { "processes", "processes", 10, 10, STATUS_TERMINATED, "processes",
                  "{\"limit\": \"processes\", \"value\": 10, \"used\": 10}" },
                { "cancelled", NULL, 0, 0, STATUS_TERMINATED, "cancelled", "{}" },
                { "signaled", NULL, 0, 0, STATUS_TERMINATED, "signal 11", "{}" },
                { "rubbish", NULL, 0, 0, STATUS_WORKER_ERROR, "did not say", "{}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(fixture_done) Fixture f = {};

                fixture_init(&f, CHANNEL_TEST_RUNNERS, RESULT_TEXT);
                set_cause(&f, cases[i].cause);
                f.record.answer.signal = streq(cases[i].cause, "signaled") ? 11 : 0;
                if (cases[i].limit)
                        set_limit(&f, cases[i].limit, cases[i].value, cases[i].used);
                build(&f, cases[i].code, cases[i].error);
                assert_string_equal(part(&f, OUTCOME_ERROR_DETAIL), cases[i].detail);
        }
}

static void late(Fixture *f, Channel channel, const char *result, bool is_allowed)
{
        fixture_init(f, channel, result);
        free(f->record.answer.cause);
        f->record.answer.cause = strdup("wall_time");
        f->job.late_success = is_allowed;
        assert_int_equal(outcome_build(&f->record, &f->text), 0);
}

static void test_a_late_result_counts_where_the_track_says_so(void **state)
{
        static const struct {
                Channel channel;
                const char *result;
                bool is_allowed;
                uint64_t code;
        } cases[] = {
                { CHANNEL_TEST_RUNNERS, RESULT_TEXT, true, 200 },
                { CHANNEL_TEST_RUNNERS, RESULT_TEXT, false, 401 },
                { CHANNEL_TEST_RUNNERS, "{\"status\": \"pa", true, 401 },
                { CHANNEL_TEST_RUNNERS, NULL, true, 401 },
                { CHANNEL_REPRESENTERS, "text", true, 200 },
                { CHANNEL_REPRESENTERS, "", true, 401 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(fixture_done) Fixture f = {};
                bool is_late = cases[i].code == 200;

                late(&f, cases[i].channel, cases[i].result, cases[i].is_allowed);
                assert_int_equal(f.text.outcome.status_code, cases[i].code);
                assert_int_equal(strstr(part(&f, OUTCOME_CONTEXT), "\"late_success\": true") != NULL,
                                 is_late);
                assert_int_equal(f.text.parts[OUTCOME_RESPONSE].size > 0, is_late);
        }
}

static void test_what_failed_before_the_guest_has_its_code(void **state)
{
        _cleanup_(fixture_done) Fixture f = {}, refused = {};

        fixture_init(&f, CHANNEL_TEST_RUNNERS, NULL);
        f.record.failed_code = STATUS_SETUP_FAILED;
        f.record.failed_error = strdup("the input is not there");
        build(&f, STATUS_SETUP_FAILED, "not there");
        assert_null(strstr(part(&f, OUTCOME_CONTEXT), "usage"));
        fixture_init(&refused, CHANNEL_TEST_RUNNERS, NULL);
        refused.record.answer.code = STATUS_NO_WORKER;
        refused.record.answer.error = strdup("at capacity");
        build(&refused, STATUS_NO_WORKER, "at capacity");
}

static void test_streams_are_bounded_and_escaped(void **state)
{
        _cleanup_(fixture_done) Fixture f = {};
        char *arguments[] = { (char *) "/run.sh", (char *) "two-fer", NULL };
        char chunk[4096];

        fixture_init(&f, CHANNEL_TEST_RUNNERS, "{}");
        f.record.arguments = arguments;
        assert_int_equal(stream_record_append(&f.record.streams[0], "a\xff\"", 3), 0);
        memset(chunk, 0, sizeof(chunk));
        for (unsigned i = 0; i <= STREAM_KEPT_MAX / sizeof(chunk); i++)
                assert_int_equal(stream_record_append(&f.record.streams[1], chunk, sizeof(chunk)), 0);
        assert_int_equal(f.record.streams[1].kept.size, STREAM_KEPT_MAX);
        build(&f, STATUS_OK, NULL);
        assert_non_null(strstr(part(&f, OUTCOME_CONTEXT), "\"command\": [\"/run.sh\", \"two-fer\"]"));
        assert_non_null(strstr(part(&f, OUTCOME_CONTEXT), "\"stdout\": \"a\\\\xff\\\"\""));
        assert_non_null(strstr(part(&f, OUTCOME_CONTEXT),
                               "\"stdout_truncated\": false, \"stderr_truncated\": true"));
        assert_in_range(f.text.parts[OUTCOME_CONTEXT].size, 700000, 2 * STREAM_KEPT_MAX);
}

static void test_answers_are_read(void **state)
{
        static const char text[] =
                "{\"code\": 0, \"cause\": \"wall_time\", \"limit\": {\"name\": \"wall_time\", "
                "\"value\": 1, \"used\": 2}, \"usage\": {\"cpu_usec\": 7}, \"scope\": \"s\", "
                "\"limits_enforced\": true, \"signal\": 9}";
        _cleanup_json_ json_object *object = json_tokener_parse(text),
                                   *bad = json_tokener_parse("{\"code\": -1}");
        _cleanup_(sandbox_answer_done) SandboxAnswer answer = {}, none = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(sandbox_answer_from_json(object, &answer, &error), 0);
        assert_string_equal(answer.limit_name, "wall_time");
        assert_int_equal(answer.limit_used, 2);
        assert_int_equal(answer.usage.cpu_usec, 7);
        assert_int_equal(answer.signal, 9);
        assert_true(answer.limits_enforced);
        assert_int_equal(sandbox_answer_from_json(bad, &none, &error), JSON_BAD);
}

static void test_kept_outcomes_come_back_as_they_were(void **state)
{
        char folder[] = "/tmp/test-outcome-XXXXXX";
        _cleanup_(outcome_store_freep) OutcomeStore *store = NULL, *again = NULL;
        _cleanup_(outcome_text_done) OutcomeText back = {};
        _cleanup_(fixture_done) Fixture f = {};
        _cleanup_free_ char *inner = NULL;

        assert_non_null(mkdtemp(folder));
        fixture_init(&f, CHANNEL_TEST_RUNNERS, RESULT_TEXT);
        f.job.resend_key = strdup("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        build(&f, STATUS_OK, NULL);
        assert_int_equal(outcome_store_new(folder, &store), 0);
        assert_int_equal(outcome_store_put(store, &f.text), 0);

        assert_int_equal(outcome_store_new(folder, &again), 0);
        assert_int_equal(outcome_store_size(again), 1);
        assert_string_equal(outcome_store_job(again, 0), f.job.job);
        assert_int_equal(outcome_store_get(again, 0, &back), 0);
        assert_string_equal(back.outcome.resend_key, f.job.resend_key);
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++) {
                assert_int_equal(back.parts[i].size, f.text.parts[i].size);
                if (back.parts[i].size > 0)
                        assert_memory_equal(back.parts[i].data, f.text.parts[i].data, back.parts[i].size);
        }
        outcome_store_remove(again, f.job.job, "ffffffffffffffff");
        assert_int_equal(outcome_store_size(again), 1);
        outcome_store_remove(again, f.job.job, f.job.token);
        assert_int_equal(outcome_store_size(again), 0);
        inner = string_format("%s/outcomes", folder);
        assert_int_equal(rmdir(inner), 0); /* it is empty */
        assert_int_equal(rmdir(folder), 0);
}

static void test_what_was_not_written_by_us_is_taken_away(void **state)
{
        char folder[] = "/tmp/test-outcome-XXXXXX", path[128];
        _cleanup_(outcome_store_freep) OutcomeStore *store = NULL;
        _cleanup_(outcome_text_done) OutcomeText text = {};

        assert_non_null(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/outcomes", folder);
        assert_int_equal(mkdir(path, 0700), 0);
        (void) snprintf(path, sizeof(path), "%s/outcomes/rubbish", folder);
        assert_int_equal(write_file_atomic(path, "x", 1, 0600), 0);
        (void) snprintf(path, sizeof(path), "%s/outcomes/%032d-%016d", folder, 1, 2);
        assert_int_equal(write_file_atomic(path, "x", 1, 0600), 0);
        assert_int_equal(outcome_store_new(folder, &store), 0);
        assert_int_equal(outcome_store_size(store), 1);
        assert_int_equal(outcome_store_get(store, 0, &text), OUTCOME_BAD);
        outcome_store_remove(store, outcome_store_job(store, 0), "0000000000000002");
        (void) snprintf(path, sizeof(path), "%s/outcomes", folder);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_result_is_the_response_byte_for_byte),
                cmocka_unit_test(test_an_analysis_is_a_text),
                cmocka_unit_test(test_a_representation_needs_no_mapping),
                cmocka_unit_test(test_a_mapping_is_placed_byte_for_byte),
                cmocka_unit_test(test_what_is_wrong_with_a_result_is_said),
                cmocka_unit_test(test_depth_is_bounded_where_the_result_lies),
                cmocka_unit_test(test_a_text_that_grows_too_large_is_no_result),
                cmocka_unit_test(test_results_that_are_too_large_together),
                cmocka_unit_test(test_a_failed_analyzers_result_is_told_all_the_same),
                cmocka_unit_test(test_causes_have_their_codes),
                cmocka_unit_test(test_a_late_result_counts_where_the_track_says_so),
                cmocka_unit_test(test_what_failed_before_the_guest_has_its_code),
                cmocka_unit_test(test_streams_are_bounded_and_escaped),
                cmocka_unit_test(test_answers_are_read),
                cmocka_unit_test(test_kept_outcomes_come_back_as_they_were),
                cmocka_unit_test(test_what_was_not_written_by_us_is_taken_away),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
