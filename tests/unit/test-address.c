/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where addresses lead to. */

#include "basic/address-util.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef union Address {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
} Address;

static Address parse(const char *text)
{
        Address address = {};

        if (strchr(text, ':')) {
                address.six.sin6_family = AF_INET6;
                assert_int_equal(inet_pton(AF_INET6, text, &address.six.sin6_addr), 1);
        } else {
                address.four.sin_family = AF_INET;
                assert_int_equal(inet_pton(AF_INET, text, &address.four.sin_addr), 1);
        }
        return address;
}

static void expect(bool (*judge)(const struct sockaddr *address), const char *const *texts, bool expected)
{
        for (; *texts; texts++) {
                Address address = parse(*texts);

                if (judge(&address.any) != expected)
                        fail_msg("%s", *texts);
        }
}

static void test_public(void **state)
{
        static const char *const yes[] = { "1.1.1.1",         "9.255.255.255",   "11.0.0.0",
                                           "100.63.255.255",  "100.128.0.0",     "126.255.255.255",
                                           "128.0.0.0",       "169.253.255.255", "169.255.0.0",
                                           "172.15.255.255",  "172.32.0.0",      "192.167.255.255",
                                           "192.169.0.0",     "198.17.255.255",  "198.20.0.0",
                                           "223.255.255.255", "2600::1",         "2a00:1450::1",
                                           "2001:4860::8",    "::ffff:1.1.1.1",  NULL };
        static const char *const no[] = { "0.0.0.0",
                                          "0.1.2.3",
                                          "10.0.0.1",
                                          "10.255.255.255",
                                          "100.64.0.0",
                                          "100.100.100.200",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.255.255",
                                          "168.63.129.16",
                                          "169.254.0.0",
                                          "169.254.169.254",
                                          "172.16.0.0",
                                          "172.31.255.255",
                                          "192.0.0.192",
                                          "192.88.99.1",
                                          "192.168.0.0",
                                          "192.168.255.255",
                                          "198.18.0.0",
                                          "198.19.255.255",
                                          "224.0.0.1",
                                          "239.255.255.255",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::127.0.0.1",
                                          "::ffff:127.0.0.1",
                                          "::ffff:10.0.0.1",
                                          "::ffff:169.254.169.254",
                                          "64:ff9b::a9fe:a9fe",
                                          "64:ff9b:1::1",
                                          "100::1",
                                          "2001::1",
                                          "2002:a9fe:a9fe::1",
                                          "4000::1",
                                          "fc00::1",
                                          "fd00:ec2::254",
                                          "fe80::1",
                                          "fec0::1",
                                          "ff02::1",
                                          NULL };

        expect(address_is_public, yes, true);
        expect(address_is_public, no, false);
}

static void test_this_machine_and_the_link(void **state)
{
        static const char *const machine[] = { "0.0.0.0", "127.0.0.1", "127.9.9.9",        "::",
                                               "::1",     "0.1.2.3",   "::ffff:127.0.0.1", NULL };
        static const char *const link[] = { "169.254.169.254", "::ffff:169.254.0.1", "fe80::1",
                                            "fd00:ec2::254", NULL };
        static const char *const other[] = { "1.1.1.1", "10.0.0.1", "fd00::1", "2600::1", NULL };

        expect(address_is_this_machine, machine, true);
        expect(address_is_this_machine, link, false);
        expect(address_is_this_machine, other, false);
        expect(address_is_link_local, link, true);
        expect(address_is_link_local, machine, false);
        expect(address_is_link_local, other, false);
}

static bool is_near(const char *address, const char *other, const char *mask)
{
        Address a = parse(address), b = parse(other), bits = parse(mask ?: "::");

        return address_is_near(&a.any, &b.any, mask ? &bits.any : NULL);
}

static void test_near(void **state)
{
        assert_true(is_near("1.1.1.1", "1.1.1.1", NULL));
        assert_true(is_near("::ffff:1.1.1.1", "1.1.1.1", NULL));
        assert_true(is_near("1.1.1.1", "1.1.1.9", "255.255.255.0"));
        assert_true(is_near("::ffff:1.1.1.1", "1.1.1.9", "255.255.255.0"));
        assert_true(is_near("1.1.1.1", "1.1.1.1", "0.0.0.0"));
        assert_true(is_near("2600::1", "2600:0::1", NULL));
        assert_true(is_near("2600::1", "2600::9:1", "ffff:ffff:ffff:ffff::"));
        assert_false(is_near("1.1.1.1", "1.1.1.2", NULL));
        assert_false(is_near("1.1.1.1", "1.1.2.1", "255.255.255.0"));
        assert_false(is_near("1.1.1.1", "2.2.2.2", "0.0.0.0"));
        assert_false(is_near("2600::1", "2600::2", NULL));
        assert_false(is_near("2600::1", "2600:0:0:1::1", "ffff:ffff:ffff:ffff::"));
        assert_false(is_near("1.1.1.1", "2600::1", NULL));
}

static void test_other_families(void **state)
{
        const struct sockaddr local = { .sa_family = AF_UNIX };

        assert_false(address_is_public(&local));
        assert_false(address_is_this_machine(&local));
        assert_false(address_is_link_local(&local));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_public),
                cmocka_unit_test(test_this_machine_and_the_link),
                cmocka_unit_test(test_near),
                cmocka_unit_test(test_other_families),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
