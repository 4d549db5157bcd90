/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/json-check.h"

#include "basic/string-util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIZE_LIMIT 4096U

static int check(const char *text, JsonReport *report)
{
        return json_check(text, strlen(text), SIZE_LIMIT, JSON_CHECK_DEPTH_MAX, report);
}

static void test_every_kind_at_the_top(void **state)
{
        static const struct {
                const char *text;
                JsonKind kind;
        } cases[] = {
                { "{}", JSON_KIND_OBJECT },
                { " \t\r\n{ } ", JSON_KIND_OBJECT },
                { "{\"a\": 1, \"a\": [2, {\"b\": null}]}", JSON_KIND_OBJECT },
                { "[]", JSON_KIND_ARRAY },
                { "[ 1 , 2 ]", JSON_KIND_ARRAY },
                { "\"\"", JSON_KIND_STRING },
                { "\"\\u00e9\\ud83d\\ude00 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"", JSON_KIND_STRING },
                { "\"\\ud800\"", JSON_KIND_STRING },
                { "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \x7f\"", JSON_KIND_STRING },
                { "0", JSON_KIND_NUMBER },
                { "-0", JSON_KIND_NUMBER },
                { "12345678901234567890123", JSON_KIND_NUMBER },
                { "-1.50e+3", JSON_KIND_NUMBER },
                { "1E-2", JSON_KIND_NUMBER },
                { "true", JSON_KIND_BOOLEAN },
                { "false", JSON_KIND_BOOLEAN },
                { "null", JSON_KIND_NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                JsonReport report;

                if (check(cases[i].text, &report) != 0)
                        fail_msg("%s: %s at %zu", cases[i].text, report.reason, report.offset);
                assert_int_equal(report.kind, cases[i].kind);
                assert_null(report.reason);
        }
}

static void test_what_is_not_the_grammar_is_refused_where_it_stops_being_it(void **state)
{
        static const struct {
                const char *text;
                int code;
                size_t offset;
        } cases[] = {
                { "", JSON_MALFORMED, 0 },
                { "  ", JSON_MALFORMED, 2 },
                { "\xef\xbb\xbf{}", JSON_MALFORMED, 0 },
                { "NaN", JSON_MALFORMED, 0 },
                { "-Infinity", JSON_MALFORMED, 1 },
                { "[Infinity]", JSON_MALFORMED, 1 },
                { "nul", JSON_MALFORMED, 0 },
                { "True", JSON_MALFORMED, 0 },
                { "{} {}", JSON_MALFORMED, 3 },
                { "{} x", JSON_MALFORMED, 3 },
                { "{\"a\": 1,}", JSON_MALFORMED, 8 },
                { "[1,]", JSON_MALFORMED, 3 },
                { "[1 2]", JSON_MALFORMED, 3 },
                { "{\"a\" 1}", JSON_MALFORMED, 5 },
                { "{a: 1}", JSON_MALFORMED, 1 },
                { "{'a': 1}", JSON_MALFORMED, 1 },
                { "{\"a\":}", JSON_MALFORMED, 5 },
                { "{", JSON_MALFORMED, 1 },
                { "[", JSON_MALFORMED, 1 },
                { "[}", JSON_MALFORMED, 1 },
                { "// x\n{}", JSON_MALFORMED, 0 },
                { "01", JSON_MALFORMED, 1 },
                { "-", JSON_MALFORMED, 1 },
                { "+1", JSON_MALFORMED, 0 },
                { ".5", JSON_MALFORMED, 0 },
                { "1.", JSON_MALFORMED, 2 },
                { "1.e1", JSON_MALFORMED, 2 },
                { "1e", JSON_MALFORMED, 2 },
                { "0x10", JSON_MALFORMED, 1 },
                { "\"abc", JSON_MALFORMED, 4 },
                { "\"\n\"", JSON_MALFORMED, 1 },
                { "\"\\x41\"", JSON_MALFORMED, 2 },
                { "\"\\u12g4\"", JSON_MALFORMED, 5 },
                { "\"\\", JSON_MALFORMED, 2 },
                { "\"\xff\"", JSON_BAD_UTF8, 1 },
                { "\"\xc0\x80\"", JSON_BAD_UTF8, 1 },
                { "\"\xe0\x80\x80\"", JSON_BAD_UTF8, 1 },
                { "\"\xed\xa0\x80\"", JSON_BAD_UTF8, 1 },
                { "\"\xf4\x90\x80\x80\"", JSON_BAD_UTF8, 1 },
                { "\"\xf5\x80\x80\x80\"", JSON_BAD_UTF8, 1 },
                { "\"\xe2\x82\"", JSON_BAD_UTF8, 1 },
                { "\"a\xe2", JSON_BAD_UTF8, 2 },
                { "\"\x80\"", JSON_BAD_UTF8, 1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                JsonReport report;

                assert_int_equal(check(cases[i].text, &report), cases[i].code);
                if (report.offset != cases[i].offset)
                        fail_msg("%s: at %zu, not %zu", cases[i].text, report.offset, cases[i].offset);
                assert_non_null(report.reason);
        }
}

static void test_a_nul_byte_is_no_end(void **state)
{
        JsonReport report;

        assert_int_equal(json_check("{}\0", 3, SIZE_LIMIT, 1, &report), JSON_MALFORMED);
        assert_int_equal(report.offset, 2);
        assert_int_equal(json_check("\"\0\"", 3, SIZE_LIMIT, 1, &report), JSON_MALFORMED);
        assert_int_equal(json_check("\"\\\0\"", 4, SIZE_LIMIT, 1, &report), JSON_MALFORMED);
}

static void test_depth_counts_containers(void **state)
{
        char text[2 * (JSON_CHECK_DEPTH_MAX + 1) + 1] = {};
        JsonReport report;

        for (unsigned depth = 1; depth <= JSON_CHECK_DEPTH_MAX + 1; depth++) {
                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                assert_int_equal(json_check(text, 2 * depth, SIZE_LIMIT, JSON_CHECK_DEPTH_MAX, &report),
                                 depth <= JSON_CHECK_DEPTH_MAX ? 0 : JSON_TOO_DEEP);
        }
        assert_int_equal(json_check("[{},[],{}]", 10, SIZE_LIMIT, 2, &report), 0);
        assert_int_equal(json_check("[{\"a\":[]}]", 10, SIZE_LIMIT, 2, &report), JSON_TOO_DEEP);
        assert_int_equal(json_check("1", 1, SIZE_LIMIT, 0, &report), 0);
        assert_int_equal(json_check("{}", 2, SIZE_LIMIT, 0, &report), JSON_TOO_DEEP);
}

static void test_size_is_bounded(void **state)
{
        JsonReport report;

        assert_int_equal(json_check("[1]", 3, 3, 1, &report), 0);
        assert_int_equal(json_check("[1]", 3, 2, 1, &report), JSON_TOO_LARGE);
        assert_int_equal(json_check(NULL, 0, 0, 1, &report), JSON_MALFORMED);
}

static void assert_escaped(const char *data, size_t size, const char *wanted)
{
        _cleanup_(buffer_done) Buffer buffer = {};
        JsonReport report;

        assert_int_equal(json_escape_append(&buffer, data, size, SIZE_LIMIT), 0);
        assert_int_equal(buffer.size, strlen(wanted));
        assert_memory_equal(buffer.data, wanted, buffer.size);
        assert_int_equal(json_check(buffer.data, buffer.size, SIZE_LIMIT, 0, &report), 0);
}

static void test_bytes_become_strings(void **state)
{
        assert_escaped(NULL, 0, "\"\"");
        assert_escaped("plain", 5, "\"plain\"");
        assert_escaped("a\"b\\c/\n\t\r\b\f", 11, "\"a\\\"b\\\\c/\\n\\t\\r\\b\\f\"");
        assert_escaped("\0\x1b\x7f", 3, "\"\\u0000\\u001b\\u007f\"");
        assert_escaped("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
        assert_escaped("\xc3", 1, "\"\\\\xc3\"");
        assert_escaped("a\xff\xfe z", 5, "\"a\\\\xff\\\\xfe z\"");
        assert_escaped("\xed\xa0\x80", 3, "\"\\\\xed\\\\xa0\\\\x80\"");
}

static void test_escaping_keeps_to_the_limit(void **state)
{
        _cleanup_(buffer_done) Buffer buffer = {};

        assert_int_equal(json_escape_append(&buffer, "abc", 3, 4), -ENOBUFS);
        assert_true(buffer.size <= 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_at_the_top),
                cmocka_unit_test(test_what_is_not_the_grammar_is_refused_where_it_stops_being_it),
                cmocka_unit_test(test_a_nul_byte_is_no_end),
                cmocka_unit_test(test_depth_counts_containers),
                cmocka_unit_test(test_size_is_bounded),
                cmocka_unit_test(test_bytes_become_strings),
                cmocka_unit_test(test_escaping_keeps_to_the_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
