/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "letter-frame.h"

#include "init/conversation.h"

#include "basic/string-util.h"

#include <linux/filter.h>

static const InitSetup setup = {
        .wall_usec = 20000000,
        .output_size = 1 << 20,
        .result_size = 500 * 1024,
        .written_size = 64 << 20,
        .inodes = 1000,
        .open_files = 1024,
        .guest_id = 65536,
};

static void append_letter(Buffer *out, char letter)
{
        static const struct sock_filter filter = { .code = BPF_RET, .k = 0x7fff0000 };
        static const LetterFrame letters[] = {
                { 'a', FRAME_ARGUMENTS, "run\0x", sizeof("run\0x") },
                { 'e', FRAME_ENVIRONMENT, "A=1", sizeof("A=1") },
                { 'd', FRAME_FOLDER, "/opt", 4 },
                { 'f', FRAME_FILTER, &filter, sizeof(filter) },
                { 'w', FRAME_WANTED, "results.json", 12 },
                { '2', FRAME_DATA, "xy", 2 },
                { '.', FRAME_INPUT_END, NULL, 0 },
                { '!', FRAME_START, NULL, 0 },
                { '?', FRAME_READY, NULL, 0 },
        };

        if (letter == 's')
                assert_int_equal(frame_append_setup(out, &setup, SIZE_MAX), 0);
        else if (letter == '4') /* a file of four bytes; a `2` is two of them */
                assert_int_equal(frame_append_file(out, FRAME_FLAG_EXECUTABLE, 4, "a/b", SIZE_MAX), 0);
        else if (letter == '0')
                assert_int_equal(frame_append_file(out, 0, 0, "empty", SIZE_MAX), 0);
        else
                append_letter_of(letters, ARRAY_SIZE(letters), letter, out);
}

/* Says all letters; returns how many were taken. */
static size_t say(Conversation *c, const char *letters, Step *step)
{
        size_t n = 0;

        for (; letters[n]; n++) {
                _cleanup_(buffer_done) Buffer out = {};
                const char *error = NULL;
                Frame frame;
                int r;

                append_letter(&out, letters[n]);
                frame = only_frame(&out);
                r = conversation_take(c, &frame, step, &error);
                assert_true(r == 0 || (r == CONVERSATION_REFUSED && error));
                if (r != 0)
                        break;
        }
        return n;
}

static void test_orders_that_are_taken(void **state)
{
        static const char *const cases[] = { "saed.!",           "saedff.!",        "saedw.!",
                                             "saedffwwwwwwww.!", "saedfw4220422.!", "saed0.!" };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(conversation_done) Conversation c = {};
                Step step;

                assert_int_equal(say(&c, cases[i], &step), strlen(cases[i]));
                assert_int_equal(step.type, STEP_START);
                assert_int_equal(say(&c, "!", &step), 0);
        }
}

static void test_orders_that_are_refused_at_their_last(void **state)
{
        static const char *const cases[] = {
                "a",      "!",       ".",       "?",        "ss",
                "se",     "sad",     "saea",    "saed!",    "saedfff",
                "saedwf", "saed0w",  "saed0f",  "saed2",    "saed02",
                "saed4.", "saed40",  "saed42.", "saed4222", "saed.0",
                "saed..", "saed.!!", "saed.!0", "saed?",    "saedwwwwwwwww",
                "saed.s",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(conversation_done) Conversation c = {};
                Step step;

                if (say(&c, cases[i], &step) != strlen(cases[i]) - 1)
                        fail_msg("'%s'", cases[i]);
                assert_int_equal(say(&c, "s", &step), 0); /* a refusal is for good */
        }
}

static void test_steps(void **state)
{
        _cleanup_(conversation_done) Conversation c = {};
        Step step;

        assert_int_equal(say(&c, "s", &step), 1);
        assert_int_equal(step.type, STEP_MOUNT);
        assert_memory_equal(&c.setup, &setup, sizeof(setup));
        assert_int_equal(say(&c, "aedffw", &step), 6);
        assert_int_equal(step.type, STEP_NONE);
        assert_string_equal(c.arguments[0], "run");
        assert_string_equal(c.environment[0], "A=1");
        assert_string_equal(c.folder, "/opt");
        assert_int_equal(c.n_filters, 2);
        assert_string_equal(c.wanted[0], "results.json");
        assert_int_equal(say(&c, "4", &step), 1);
        assert_int_equal(step.type, STEP_FILE);
        assert_true(step.executable);
        assert_string_equal(step.path, "a/b");
        assert_int_equal(say(&c, "22", &step), 2);
        assert_int_equal(step.type, STEP_DATA);
        assert_int_equal(step.size, 2);
        assert_int_equal(say(&c, "0", &step), 1);
        assert_false(step.executable);
        assert_int_equal(say(&c, ".!", &step), 2);
        assert_int_equal(step.type, STEP_START);
}

static void test_limits_that_make_no_sense(void **state)
{
        static const size_t offsets[] = {
                offsetof(InitSetup, wall_usec),   offsetof(InitSetup, output_size),
                offsetof(InitSetup, result_size), offsetof(InitSetup, written_size),
                offsetof(InitSetup, inodes),      offsetof(InitSetup, open_files),
                offsetof(InitSetup, guest_id),
        };

        for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
                _cleanup_(conversation_done) Conversation c = {};
                _cleanup_(buffer_done) Buffer out = {};
                InitSetup bad = setup;
                const char *error;
                Frame frame;
                Step step;

                *(uint64_t *) ((uint8_t *) &bad + offsets[i]) = UINT64_MAX;
                assert_int_equal(frame_append_setup(&out, &bad, SIZE_MAX), 0);
                frame = only_frame(&out);
                assert_int_equal(conversation_take(&c, &frame, &step, &error), CONVERSATION_REFUSED);
                assert_non_null(string_after(error, "SETUP: "));
        }
}

static void test_payloads_that_are_refused(void **state)
{
        static const struct {
                const char *before, *payload;
                size_t size;
                FrameType type;
        } cases[] = {
                { "s", "", 0, FRAME_ARGUMENTS },
                { "s", "\0", 1, FRAME_ARGUMENTS },
                { "s", "run", 3, FRAME_ARGUMENTS },
                { "sa", "A=1", 3, FRAME_ENVIRONMENT },
                { "sae", "opt", 3, FRAME_FOLDER },
                { "sae", "", 0, FRAME_FOLDER },
                { "sae", "/a\0b", 4, FRAME_FOLDER },
                { "saed", "1234567", 7, FRAME_FILTER },
                { "saed", "", 0, FRAME_FILTER },
                { "saed", "../x", 4, FRAME_WANTED },
                { "saed", "/x", 2, FRAME_WANTED },
                { "saed", "", 0, FRAME_WANTED },
                { "saed", "12345678../x", 12, FRAME_FILE },
                { "saed", "12345678", 8, FRAME_FILE },
                { "saed4", "", 0, FRAME_DATA },
                { "saed4", "12345", 5, FRAME_DATA },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(conversation_done) Conversation c = {};
                Frame frame = {
                        .type = cases[i].type,
                        .payload = (const uint8_t *) cases[i].payload,
                        .size = (uint32_t) cases[i].size,
                };
                const char *error;
                Step step;

                assert_int_equal(say(&c, cases[i].before, &step), strlen(cases[i].before));
                if (conversation_take(&c, &frame, &step, &error) != CONVERSATION_REFUSED)
                        fail_msg("case %zu was taken", i);
        }
}

static void test_counts(void **state)
{
        _cleanup_(conversation_done) Conversation c = {};
        Step step;

        assert_int_equal(say(&c, "saed", &step), 4);
        for (size_t i = 0; i < INPUT_FILES_MAX; i++)
                assert_int_equal(say(&c, "0", &step), 1);
        assert_int_equal(say(&c, "0", &step), 0);
}

static void test_paths(void **state)
{
        static const struct {
                const char *path;
                bool is_beneath;
        } cases[] = {
                { "a", true },      { "a/b/c", true },   { ".a", true },    { "..a", true },
                { "...", true },    { "a..", true },     { "a b\n", true }, { "-rf", true },
                { "\xff", true },   { "", false },       { "/", false },    { "/a", false },
                { "a/", false },    { "a//b", false },   { ".", false },    { "..", false },
                { "./a", false },   { "../a", false },   { "a/.", false },  { "a/..", false },
                { "a/./b", false }, { "a/../b", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (path_is_beneath(cases[i].path, strlen(cases[i].path), 16) != cases[i].is_beneath)
                        fail_msg("'%s'", cases[i].path);
        assert_false(path_is_beneath("a\0b", 3, 16));
        assert_true(path_is_beneath("1234", 4, 4));
        assert_false(path_is_beneath("12345", 5, 4));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_orders_that_are_taken),
                cmocka_unit_test(test_orders_that_are_refused_at_their_last),
                cmocka_unit_test(test_steps),
                cmocka_unit_test(test_limits_that_make_no_sense),
                cmocka_unit_test(test_payloads_that_are_refused),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
