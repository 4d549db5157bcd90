/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/frame.h"

#include "basic/string-util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static Frame only_frame(const Buffer *buffer)
{
        Frame frame;

        assert_int_equal(frame_parse(buffer->data, buffer->size, &frame), 0);
        assert_int_equal(frame_total_size(&frame), buffer->size);
        return frame;
}

static void test_header(void **state)
{
        static const uint8_t bytes[] = { 3, 0, 0, 0, FRAME_STDOUT, 0, 0x34, 0x12, 'a', 'b', 'c' };
        _cleanup_(buffer_done) Buffer out = {};
        Frame frame;

        assert_int_equal(frame_append(&out, FRAME_STDOUT, 0x1234, "abc", 3, SIZE_MAX), 0);
        assert_int_equal(out.size, sizeof(bytes));
        assert_memory_equal(out.data, bytes, sizeof(bytes));
        for (size_t size = 0; size < sizeof(bytes); size++)
                assert_int_equal(frame_parse(bytes, size, &frame), FRAME_INCOMPLETE);
        frame = only_frame(&out);
        assert_int_equal(frame.type, FRAME_STDOUT);
        assert_int_equal(frame.flags, 0x1234);
        assert_memory_equal(frame.payload, "abc", 3);
}

static void test_what_is_no_frame(void **state)
{
        static const uint8_t cases[][FRAME_HEADER_SIZE] = {
                { 0, 0, 0, 0, 0 },                  /* type 0 */
                { 0, 0, 0, 0, _FRAME_TYPE_MAX },    /* unknown */
                { 0, 0, 0, 0, FRAME_READY, 1 },     /* unknown in its upper half */
                { 1, 0, 1, 0, FRAME_READY },        /* one byte too long */
                { 255, 255, 255, 255, FRAME_READY } /* much too long */
        };
        Frame frame;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(frame_parse(cases[i], FRAME_HEADER_SIZE, &frame), FRAME_MALFORMED);
}

static void test_a_buffer_keeps_its_limit(void **state)
{
        _cleanup_(buffer_done) Buffer out = {};

        assert_int_equal(frame_append(&out, FRAME_DATA, 0, "abcd", 4, 20), 0);
        assert_int_equal(frame_append(&out, FRAME_DATA, 0, "a", 1, 20), -ENOBUFS);
        assert_int_equal(out.size, 12);
        assert_int_equal(frame_append(&out, FRAME_DATA, 0, NULL, 0, 20), 0);
        assert_int_equal(frame_append(&out, FRAME_DATA, 0, NULL, 0, 20), -ENOBUFS);
}

static void test_the_largest_payload(void **state)
{
        _cleanup_free_ uint8_t *payload = calloc(1, FRAME_PAYLOAD_MAX);
        _cleanup_(buffer_done) Buffer out = {};

        assert_int_equal(frame_append(&out, FRAME_DATA, 0, payload, FRAME_PAYLOAD_MAX, SIZE_MAX), 0);
        assert_int_equal(only_frame(&out).size, FRAME_PAYLOAD_MAX);
}

static void test_file(void **state)
{
        _cleanup_(buffer_done) Buffer out = {};
        FrameFile file;
        Frame frame;

        assert_int_equal(frame_append_file(&out, FRAME_FLAG_EXECUTABLE, UINT64_C(1) << 40, "a/b", SIZE_MAX),
                         0);
        frame = only_frame(&out);
        assert_int_equal(frame.flags, FRAME_FLAG_EXECUTABLE);
        assert_int_equal(frame_parse_file(&frame, &file), 0);
        assert_int_equal(file.size, UINT64_C(1) << 40);
        assert_int_equal(file.path_size, 3);
        assert_memory_equal(file.path, "a/b", 3);
}

static void test_names_that_are_none(void **state)
{
        static const uint8_t payload[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 0, 'b' };
        FrameResult result;
        FrameFile file;

        for (uint32_t size = 0; size <= sizeof(payload); size++) {
                Frame frame = { .payload = payload, .size = size };

                /* from the ninth byte on a file has a name, but it begins with NUL */
                assert_int_equal(frame_parse_file(&frame, &file), FRAME_MALFORMED);
                assert_int_equal(frame_parse_result(&frame, &result), size == 10 ? 0 : FRAME_MALFORMED);
        }
}

static void test_result(void **state)
{
        _cleanup_(buffer_done) Buffer out = {};
        char long_name[400];
        FrameResult result;
        Frame frame;

        assert_int_equal(frame_append_result(&out, RESULT_TOO_LARGE, 7, "results.json", SIZE_MAX), 0);
        frame = only_frame(&out);
        assert_int_equal(frame_parse_result(&frame, &result), 0);
        assert_int_equal(result.state, RESULT_TOO_LARGE);
        assert_int_equal(result.size, 7);
        assert_int_equal(result.name_size, strlen("results.json"));
        out.data[FRAME_HEADER_SIZE] = _RESULT_STATE_MAX;
        assert_int_equal(frame_parse_result(&frame, &result), FRAME_MALFORMED);

        memset(long_name, 'x', sizeof(long_name) - 1);
        long_name[sizeof(long_name) - 1] = '\0';
        assert_int_equal(frame_append_result(&out, RESULT_OK, 0, long_name, SIZE_MAX), -ENAMETOOLONG);
}

static void test_setup(void **state)
{
        const InitSetup setup = { 1, 2, 3, 4, 5, 6, UINT64_MAX };
        _cleanup_(buffer_done) Buffer out = {};
        InitSetup back;
        Frame frame;

        assert_int_equal(frame_append_setup(&out, &setup, SIZE_MAX), 0);
        frame = only_frame(&out);
        assert_int_equal(frame.size, INIT_SETUP_SIZE);
        assert_int_equal(frame_parse_setup(&frame, &back), 0);
        assert_memory_equal(&back, &setup, sizeof(setup));
        frame.size--;
        assert_int_equal(frame_parse_setup(&frame, &back), FRAME_MALFORMED);
}

static void test_exit(void **state)
{
        InitExit exit = { EXIT_CAUSE_WRITTEN, 255, 3, 4, 5, 6, 7, 8, 9 }, back;

        for (int i = 0; i < 3; i++) {
                _cleanup_(buffer_done) Buffer out = {};
                Frame frame;

                assert_int_equal(frame_append_exit(&out, &exit, SIZE_MAX), 0);
                frame = only_frame(&out);
                assert_int_equal(frame.size, INIT_EXIT_SIZE);
                assert_int_equal(frame_parse_exit(&frame, &back), i == 0 ? 0 : FRAME_MALFORMED);
                if (i == 0)
                        assert_memory_equal(&back, &exit, sizeof(exit));
                exit.cause = i == 0 ? _EXIT_CAUSE_MAX : 0;
                exit.status = 256;
        }
}

static void test_strings(void **state)
{
        static const char *const cases[][4] = {
                { NULL }, { "a", NULL }, { "", "", NULL }, { "a b", "", "c", NULL }
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buffer_done) Buffer out = {};
                _cleanup_free_ char **back = NULL;
                char *const *strings = (char *const *) cases[i];
                Frame frame;

                assert_int_equal(frame_append_strings(&out, FRAME_ARGUMENTS, strings, SIZE_MAX), 0);
                frame = only_frame(&out);
                assert_int_equal(frame_parse_strings(&frame, 3, &back), 0);
                assert_int_equal(strv_length(back), strv_length(strings));
                for (size_t j = 0; back[j]; j++)
                        assert_string_equal(back[j], cases[i][j]);
        }
}

static void test_strings_that_are_none(void **state)
{
        const Frame cut = { .payload = (const uint8_t *) "a\0b", .size = 3 };
        const Frame many = { .payload = (const uint8_t *) "a\0b\0c", .size = 6 };
        _cleanup_free_ char *word = calloc(1, FRAME_PAYLOAD_MAX + 1);
        _cleanup_(buffer_done) Buffer out = {};
        char **back = NULL;

        assert_int_equal(frame_parse_strings(&cut, 9, &back), FRAME_MALFORMED);
        assert_int_equal(frame_parse_strings(&many, 2, &back), FRAME_MALFORMED);
        memset(word, 'x', FRAME_PAYLOAD_MAX);
        assert_int_equal(frame_append_strings(&out, FRAME_ARGUMENTS, (char *[]){ word, NULL }, SIZE_MAX),
                         -E2BIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_header),
                cmocka_unit_test(test_what_is_no_frame),
                cmocka_unit_test(test_a_buffer_keeps_its_limit),
                cmocka_unit_test(test_the_largest_payload),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_names_that_are_none),
                cmocka_unit_test(test_result),
                cmocka_unit_test(test_setup),
                cmocka_unit_test(test_exit),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_strings_that_are_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
