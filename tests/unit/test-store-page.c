/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-router.yml(5) says of each key `(DEFAULT; LEAST to MOST)`, or `(DEFAULT)`. Each default, put into
 * a file, changes nothing; what is beyond a range is refused with the range as the page has it; and no key
 * is left out. */

#include "router/store-config.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TRACK      "workers: {test_runners: {any: {}}}\n"
#define TOO_MUCH   "18446744073709551615"
#define NOBODYS    "nobodys"
#define N_KEYS_MAX 64U

/* A group of keys, and a file with one of them. */
static const struct {
        const char *name, *head, *tail;
} groups[] = {
        { "", "", "\n" TRACK },
        { "times", "times: {", "}\n" TRACK },
        { "peer_limits", "peer_limits: {", "}\n" TRACK },
        { "settings", "workers: {test_runners: {any: {settings: {", "}}}}\n" },
};

typedef struct Key {
        size_t group;
        char name[32], said[64], range[32]; /* of numbers the range */
} Key;

static Key keys[N_KEYS_MAX];
static size_t n_keys;

static void add_key(size_t group, const char *line)
{
        Key *key = &keys[n_keys];

        key->group = group;
        if (sscanf(line, ".BR %31s \" (%63[^;)]; %31[^)])\"", key->name, key->said, key->range) >= 2) {
                assert_in_range(++n_keys, 1, N_KEYS_MAX - 1);
                return;
        }
        *key = (Key){};
}

static size_t find_group(const char *line)
{
        char name[32] = "";

        (void) sscanf(line, ".B%*[R ]%31s", name);
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                if (streq(groups[i].name, name))
                        return i;
        return 0;
}

static int read_page(void **state)
{
        _cleanup_free_ char *path = string_format("%s/man/pipeline-router.yml.5", getenv("PROJECT"));
        _cleanup_free_ char *text = NULL;
        size_t group = 0, next = 0;
        char *rest;

        assert_int_equal(read_file_at(AT_FDCWD, path, SIZE_MAX, &text, NULL), 0);
        rest = text;
        for (const char *line; (line = strsep(&rest, "\n"));) {
                if (streq(line, ".RS"))
                        group = next;
                else if (streq(line, ".RE"))
                        group = 0;
                else if (streq(line, ".TP") && rest) {
                        line = strsep(&rest, "\n");
                        next = find_group(line);
                        add_key(group, line);
                }
        }
        return n_keys > 20 ? 0 : -1;
}

static int parse(size_t group, const char *name, const char *value, StoreConfig **ret, ConfError *ret_error)
{
        _cleanup_free_ char *text =
                string_format("%s%s: %s%s", groups[group].head, name, value, groups[group].tail);

        return store_config_parse(text, strlen(text), ret, ret_error);
}

static void assert_same(const StoreConfig *a, const StoreConfig *b)
{
        const TrackSettings *one = &a->tracks[0]->settings, *other = &b->tracks[0]->settings;

        assert_memory_equal(&a->times, &b->times, sizeof(Times));
        assert_int_equal(a->queue_length, b->queue_length);
        assert_int_equal(a->memory_bytes, b->memory_bytes);
        assert_int_equal(a->kept_bytes, b->kept_bytes);
        assert_memory_equal(a->peer_limits, b->peer_limits, sizeof(a->peer_limits));
        assert_memory_equal(&one->limits, &other->limits, sizeof(Limits));
        assert_int_equal(a->tracks[0]->wall_max_usec, b->tracks[0]->wall_max_usec);
        assert_string_equal(one->profile, other->profile);
        assert_int_equal(one->canary_is_off, other->canary_is_off);
        assert_int_equal(one->late_success, other->late_success);
}

static void test_defaults(void **state)
{
        _cleanup_(store_config_freep) StoreConfig *nothing = NULL;
        _cleanup_(conf_error_done) ConfError error = {};

        assert_int_equal(store_config_parse(TRACK, strlen(TRACK), &nothing, &error), 0);
        for (size_t i = 0; i < n_keys; i++) {
                _cleanup_(store_config_freep) StoreConfig *config = NULL;

                if (streq(keys[i].name, "entrypoint")) /* has none that could be written */
                        continue;
                assert_int_equal(parse(keys[i].group, keys[i].name, keys[i].said, &config, &error), 0);
                assert_same(config, nothing);
        }
}

static void test_ranges(void **state)
{
        for (size_t i = 0; i < n_keys; i++) {
                _cleanup_(conf_error_done) ConfError error = {};
                _cleanup_free_ char *expected = string_format("is out of range: %s", keys[i].range);
                StoreConfig *config;

                if (keys[i].range[0] == '\0')
                        continue;
                assert_int_equal(parse(keys[i].group, keys[i].name, TOO_MUCH, &config, &error), CONF_BAD);
                assert_string_equal(error.message, expected);
        }
}

static bool is_on_page(size_t group, const char *name)
{
        for (size_t i = 0; i < n_keys; i++)
                if (keys[i].group == group && streq(keys[i].name, name))
                        return true;
        return false;
}

/* What is refused as unknown is told all that there are. */
static void test_no_key_is_left_out(void **state)
{
        for (size_t group = 1; group < ARRAY_SIZE(groups); group++) {
                _cleanup_(conf_error_done) ConfError error = {};
                StoreConfig *config;
                char *rest;

                assert_int_equal(parse(group, NOBODYS, "1", &config, &error), CONF_BAD);
                rest = strstr(error.message, "there are ");
                assert_non_null(rest);
                rest += strlen("there are ");
                for (char *name; (name = strsep(&rest, ", "));)
                        if (name[0] != '\0' && !is_on_page(group, name))
                                fail_msg("%s is not in %s of the page", name, groups[group].name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_no_key_is_left_out),
        };

        return cmocka_run_group_tests(tests, read_page, NULL);
}
