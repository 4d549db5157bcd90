/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "builder/base-name.h"

#include "basic/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names(void **state)
{
        static const struct {
                const char *text, *host, *repository, *tag, *digest;
        } names[] = {
                { "ruby", BASE_HUB, "library/ruby", "latest" },
                { "ruby:3.2-slim", BASE_HUB, "library/ruby", "3.2-slim" },
                { "team/ruby", BASE_HUB, "team/ruby", "latest" },
                { "docker.io/ruby:1", BASE_HUB, "library/ruby", "1" },
                { "index.docker.io/a/b/c", BASE_HUB, "a/b/c", "latest" },
                { "r.example/ruby:1", "r.example", "ruby", "1" },
                { "r.example:5000/a/b", "r.example:5000", "a/b", "latest" },
                { "localhost/ruby", "localhost", "ruby", "latest" },
                { "[::1]:5000/a:2", "[::1]:5000", "a", "2" },
                { "r.example/a:2@" DIGEST_PREFIX HEX, "r.example", "a", "2", DIGEST_PREFIX HEX },
                { "a@" DIGEST_PREFIX HEX, BASE_HUB, "library/a", "latest", DIGEST_PREFIX HEX },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(base_name_done) BaseName name = {};

                assert_int_equal(base_name_parse(names[i].text, &name), 0);
                assert_string_equal(name.host, names[i].host);
                assert_string_equal(name.repository, names[i].repository);
                assert_string_equal(name.tag, names[i].tag);
                assert_true(!name.digest == !names[i].digest);
                if (name.digest)
                        assert_string_equal(name.digest, names[i].digest);
        }
}

static void test_what_is_no_name(void **state)
{
        static const char *const texts[] = { "",   ":1",          "a:",    "a:x y",
                                             "a@", "a@sha256:12", "a:1@b", "@" DIGEST_PREFIX HEX };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                BaseName name;

                assert_int_equal(base_name_parse(texts[i], &name), BASE_NAME_BAD);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_what_is_no_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
