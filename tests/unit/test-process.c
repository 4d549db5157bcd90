/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs: their output, their end, and what they get. */

#include "shared/process-util.h"

#include "basic/string-util.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void run_limited(const char *const *argv, usec_t timeout_usec, ProcessResult *result)
{
        const ProcessOptions options = {
                .argv = argv,
                .environment = (const char *const[]){ "A=b c", NULL },
                .timeout_usec = timeout_usec,
                .output_size_max = 10,
        };

        assert_int_equal(process_run(&options, result), 0);
}

/* For what is not about its limit, on a host however busy. */
static void run(const char *const *argv, ProcessResult *result)
{
        run_limited(argv, 20 * USEC_PER_SEC, result);
}

static void expect_text(const Buffer *buffer, const char *text)
{
        assert_int_equal(buffer->size, strlen(text));
        assert_memory_equal(buffer->data, text, buffer->size);
}

static void arguments_are_no_shell(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {};

        run(ARGV("printf", "%s", "$(id)`;*"), &result);
        assert_int_equal(result.status, 0);
        expect_text(&result.output, "$(id)`;*");
}

static void only_its_own_environment(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {}, other = {};

        assert_int_equal(setenv("SECRET", "x", 1), 0);
        run(ARGV("sh", "-c", "echo $A $SECRET"), &result);
        expect_text(&result.output, "b c\n");
        assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
        run(ARGV("true"), &other);
        assert_int_equal(other.status, 0);
}

static void both_streams_are_cut(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {};

        run(ARGV("sh", "-c", "yes | head -c 300000; yes n | head -c 300000 >&2; exit 7"), &result);
        assert_int_equal(result.status, 7);
        assert_int_equal(result.output.size, 10);
        assert_int_equal(result.errors.size, 10);
}

static void ended_by_a_signal(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {};

        run(ARGV("sh", "-c", "kill -9 $$"), &result);
        assert_int_equal(result.status, -SIGKILL);
        assert_false(result.timed_out);
}

static void ended_at_its_time_limit(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {};

        run_limited(ARGV("sleep", "100"), 300 * USEC_PER_MSEC, &result);
        assert_true(result.timed_out);
        assert_int_equal(result.status, -SIGKILL);
}

static void a_grandchild_with_the_streams_is_not_waited_for(void **state)
{
        _cleanup_(process_result_done) ProcessResult result = {};

        run(ARGV("sh", "-c", "sleep 40 & exit 3"), &result);
        assert_int_equal(result.status, 3);
        assert_false(result.timed_out);
}

static void no_such_program(void **state)
{
        const ProcessOptions options = { .argv = ARGV("no-such-program") };
        ProcessResult result;

        assert_int_equal(process_run(&options, &result), -ENOENT);
}

static void errors_in_one_line(void **state)
{
        const ProcessOptions options = { .argv = ARGV("tool"), .timeout_usec = 3 * USEC_PER_SEC };
        const struct {
                ProcessResult result;
                const char *error;
        } cases[] = {
                { { .status = 1, .errors = { (uint8_t *) "usage\nno \x1b[1m\n\n", 14, 0 } },
                  "tool: no \\x1b[1m" },
                { { .status = 1 }, "tool ended with exit status 1" },
                { { .status = -9 }, "tool was ended by signal 9" },
                { { .status = -9, .timed_out = true }, "tool did not end within 3 s" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *error = process_error(&options, &cases[i].result);

                assert_string_equal(error, cases[i].error);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(arguments_are_no_shell),
                cmocka_unit_test(only_its_own_environment),
                cmocka_unit_test(both_streams_are_cut),
                cmocka_unit_test(ended_by_a_signal),
                cmocka_unit_test(ended_at_its_time_limit),
                cmocka_unit_test(a_grandchild_with_the_streams_is_not_waited_for),
                cmocka_unit_test(no_such_program),
                cmocka_unit_test(errors_in_one_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
