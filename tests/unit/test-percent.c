/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes %XX, and what of it is taken back. */

#include "basic/percent.h"
#include "basic/string-util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void all_but_plain_characters_become_percent_xx(void **state)
{
        static const struct {
                const char *plain, *path, *value;
        } cases[] = {
                { "", "", "" },
                { "AZaz09-._~", "AZaz09-._~", "AZaz09-._~" },
                { "a/b", "a/b", "a%2Fb" },
                { "a b+c=d", "a%20b%2Bc%3Dd", "a%20b%2Bc%3Dd" },
                { "100%", "100%25", "100%25" },
                { "%41", "%2541", "%2541" },
                { "(x)*!'", "%28x%29%2A%21%27", "%28x%29%2A%21%27" },
                { "\xc3\xaf\n\x7f", "%C3%AF%0A%7F", "%C3%AF%0A%7F" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *path = percent_encode(cases[i].plain, "/");
                _cleanup_free_ char *value = percent_encode(cases[i].plain, "");

                assert_string_equal(path, cases[i].path);
                assert_string_equal(value, cases[i].value);
        }
}

static void every_byte_comes_back(void **state)
{
        _cleanup_free_ char *encoded = NULL;
        char plain[256];
        size_t size;

        for (size_t i = 0; i < 255; i++)
                plain[i] = (char) (i + 1);
        plain[255] = '\0';
        encoded = percent_encode(plain, "");
        assert_int_equal(percent_decode(encoded, &size), 0);
        assert_int_equal(size, 255);
        assert_string_equal(encoded, plain);
}

static void digits_come_in_either_case(void **state)
{
        char text[] = "%c3%AF%2f+%7E";
        size_t size;

        assert_int_equal(percent_decode(text, &size), 0);
        assert_string_equal(text, "\xc3\xaf/+~");
        assert_int_equal(size, 5);
}

static void a_nul_shows_in_the_size(void **state)
{
        char text[] = "a%00b";
        size_t size;

        assert_int_equal(percent_decode(text, &size), 0);
        assert_int_equal(size, 3);
        assert_memory_equal(text, "a\0b", 4);
}

static void two_digits_must_follow(void **state)
{
        static const char *const bad[] = { "%",   "a%4", "%4g", "%g4", "%%41",     "% 41",
                                           "%-1", "%:0", "%@0", "%0`", "%\xc3\xaf" };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *text = strdup(bad[i]);
                size_t size = 99;

                assert_int_equal(percent_decode(text, &size), -EINVAL);
                assert_int_equal(size, 99);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_but_plain_characters_become_percent_xx),
                cmocka_unit_test(every_byte_comes_back),
                cmocka_unit_test(digits_come_in_either_case),
                cmocka_unit_test(a_nul_shows_in_the_size),
                cmocka_unit_test(two_digits_must_follow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
