/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digests of bytes that come in pieces. */

#include "shared/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The examples of FIPS 180-2, and what every empty layer has. */
#define OF_NOTHING DIGEST_PREFIX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC     DIGEST_PREFIX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void bytes_have_a_digest(void **state)
{
        char digest[DIGEST_SIZE + 1];

        assert_int_equal(hash_bytes("", 0, digest), 0);
        assert_string_equal(digest, OF_NOTHING);
        assert_int_equal(hash_bytes("abc", 3, digest), 0);
        assert_string_equal(digest, OF_ABC);
}

static void pieces_are_one(void **state)
{
        _cleanup_(hash_freep) Hash *hash = NULL;
        char digest[DIGEST_SIZE + 1];

        assert_int_equal(hash_new(&hash), 0);
        assert_int_equal(hash_add(hash, "a", 1), 0);
        assert_int_equal(hash_add(hash, "", 0), 0);
        assert_int_equal(hash_add(hash, "bc", 2), 0);
        assert_int_equal(hash_end(hash, digest), 0);
        assert_string_equal(digest, OF_ABC);
}

static void it_begins_anew(void **state)
{
        _cleanup_(hash_freep) Hash *hash = NULL;

        assert_int_equal(hash_new(&hash), 0);
        assert_int_equal(hash_add(hash, "abc", 3), 0);
        assert_true(hash_is(hash, OF_ABC));
        assert_true(hash_is(hash, OF_NOTHING));
        assert_int_equal(hash_add(hash, "abc", 3), 0);
        assert_false(hash_is(hash, OF_NOTHING));
}

static void only_a_whole_digest_is_it(void **state)
{
        static const char *const others[] = {
                "",
                DIGEST_PREFIX,
                OF_NOTHING "0",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                DIGEST_PREFIX "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        };
        _cleanup_(hash_freep) Hash *hash = NULL;

        assert_int_equal(hash_new(&hash), 0);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                assert_false(hash_is(hash, others[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bytes_have_a_digest),
                cmocka_unit_test(pieces_are_one),
                cmocka_unit_test(it_begins_anew),
                cmocka_unit_test(only_a_whole_digest_is_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
