/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/verdict.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#define STATUS_EXITED(n)   ((n) << 8)
#define STATUS_SIGNALED(n) (n)

static void test_streams(void **state)
{
        Stream stream = { .limit = 10 };

        assert_int_equal(stream_admit(&stream, 4), 4);
        assert_int_equal(stream_admit(&stream, 6), 6);
        assert_false(stream_is_over(&stream));
        assert_int_equal(stream_admit(&stream, 0), 0);
        assert_int_equal(stream_admit(&stream, 1), 0);
        assert_true(stream_is_over(&stream));
        assert_int_equal(stream_admit(&stream, 5), 0);
        assert_int_equal(stream.seen, 16);
}

static void test_a_stream_over_its_limit_in_one_piece(void **state)
{
        Stream stream = { .limit = 10 };

        assert_int_equal(stream_admit(&stream, 25), 10);
        assert_true(stream_is_over(&stream));
        assert_int_equal(stream.seen, 25);
}

static void test_a_stream_that_may_hold_nothing(void **state)
{
        Stream stream = {};

        assert_false(stream_is_over(&stream));
        assert_int_equal(stream_admit(&stream, 1), 0);
        assert_true(stream_is_over(&stream));
}

/* What happens, in its order: 'e' exits with 3, 'k' is killed by SIGKILL, 't' time, 'o'
 * output, 'w' written. */
static void test_verdicts(void **state)
{
        static const struct {
                const char *events;
                ExitCause cause;
                uint64_t status;
        } cases[] = {
                { "e", EXIT_CAUSE_EXITED, 3 },           { "k", EXIT_CAUSE_SIGNALED, SIGKILL },
                { "tk", EXIT_CAUSE_WALL_TIME, SIGKILL }, { "et", EXIT_CAUSE_EXITED, 3 },
                { "eo", EXIT_CAUSE_OUTPUT, 3 },          { "ew", EXIT_CAUSE_WRITTEN, 3 },
                { "otk", EXIT_CAUSE_OUTPUT, SIGKILL },   { "tok", EXIT_CAUSE_WALL_TIME, SIGKILL },
                { "wok", EXIT_CAUSE_WRITTEN, SIGKILL },  { "te", EXIT_CAUSE_WALL_TIME, 3 },
                { "etw", EXIT_CAUSE_WRITTEN, 3 },        { "eow", EXIT_CAUSE_OUTPUT, 3 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Verdict verdict = {};
                InitExit exit = {};

                for (const char *event = cases[i].events; *event; event++)
                        switch (*event) {
                        case 'e':
                                verdict_end(&verdict, STATUS_EXITED(3));
                                break;
                        case 'k':
                                verdict_end(&verdict, STATUS_SIGNALED(SIGKILL));
                                break;
                        default:
                                verdict_limit(&verdict, *event == 't'   ? EXIT_CAUSE_WALL_TIME
                                                        : *event == 'o' ? EXIT_CAUSE_OUTPUT
                                                                        : EXIT_CAUSE_WRITTEN);
                        }
                verdict_read(&verdict, &exit);
                if (exit.cause != cases[i].cause || exit.status != cases[i].status)
                        fail_msg("'%s': cause %d, status %d", cases[i].events, (int) exit.cause,
                                 (int) exit.status);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streams),
                cmocka_unit_test(test_a_stream_over_its_limit_in_one_piece),
                cmocka_unit_test(test_a_stream_that_may_hold_nothing),
                cmocka_unit_test(test_verdicts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
