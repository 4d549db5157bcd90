/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who comes in by which door, what they may do, and that a key which is taken away may do nothing. */

#include "basic/io-util.h"
#include "basic/string-util.h"
#include "router/principal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

typedef struct Bench {
        Principals principals;
        char folder[64];
} Bench;

static int setup(void **state)
{
        Bench *bench = calloc(1, sizeof(Bench));

        assert_non_null(bench);
        assert_int_equal(principals_init(&bench->principals), 0);
        bench->principals.loopback_roles = ROLE_SUBMIT;
        (void) snprintf(bench->folder, sizeof(bench->folder), "/tmp/keys-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        *state = bench;
        return 0;
}

static int teardown(void **state)
{
        _cleanup_free_ Bench *bench = *state;
        _cleanup_free_ char *command = string_format("rm -rf %s", bench->folder);

        principals_done(&bench->principals);
        return system(command);
}

static void put_file(const Bench *bench, const char *name, const char *lines, const char *key)
{
        _cleanup_free_ char *path = string_format("%s/%s", bench->folder, name);
        char text[256];

        (void) snprintf(text, sizeof(text), "public %s\n%s", key, lines);
        assert_int_equal(write_file_atomic(path, text, strlen(text), 0644), 0);
}

static void take_file(const Bench *bench, const char *name)
{
        _cleanup_free_ char *path = string_format("%s/%s", bench->folder, name);

        assert_int_equal(unlink(path), 0);
}

static size_t read_keys(Bench *bench)
{
        _cleanup_(key_folder_done) KeyFolder folder = {};

        assert_int_equal(key_folder_read(bench->folder, &folder), 0);
        assert_int_equal(principals_set_keys(&bench->principals, &folder), 0);
        return bench->principals.n_keys;
}

static void new_key(char public[KEY_TEXT_SIZE])
{
        char secret[KEY_TEXT_SIZE];

        assert_int_equal(zmq_curve_keypair(public, secret), 0);
}

static int find(Bench *bench, const char *domain, const char *mechanism, const char *key,
                const Principal **ret)
{
        uint8_t bytes[KEY_SIZE];
        char id[PRINCIPAL_ID_SIZE];
        const Caller caller = { domain, "localhost:12345:12345:1", mechanism,
                                key ? zmq_z85_decode(bytes, key) : NULL };
        int r = principals_find(&bench->principals, &caller, id, ret);

        if (r == 0)
                assert_ptr_equal(principals_get(&bench->principals, id), *ret);
        return r;
}

static void test_each_door_wants_its_mechanism(void **state)
{
        Bench *bench = *state;
        const Principal *found;
        char key[KEY_TEXT_SIZE];

        new_key(key);
        put_file(bench, "peer.pub", "roles submit\n", key);
        assert_int_equal(read_keys(bench), 1);
        assert_int_equal(find(bench, DOMAIN_KEYS, "CURVE", key, &found), 0);
        assert_string_equal(found->name, "key:peer");
        assert_int_equal(found->roles, ROLE_SUBMIT);
        assert_int_equal(find(bench, DOMAIN_KEYS, "NULL", NULL, &found), -EPERM);
        assert_int_equal(find(bench, DOMAIN_KEYS, "PLAIN", NULL, &found), -EPERM);
        assert_int_equal(find(bench, DOMAIN_KEYS, "CURVE", NULL, &found), -EPERM);
        assert_int_equal(find(bench, DOMAIN_LOOPBACK, "CURVE", key, &found), -EPERM);
        assert_int_equal(find(bench, DOMAIN_UNIX, "CURVE", key, &found), -EPERM);
        assert_int_equal(find(bench, "", "NULL", NULL, &found), -EPERM);
        assert_int_equal(find(bench, DOMAIN_LOOPBACK, "NULL", NULL, &found), 0);
        assert_string_equal(found->name, "loopback");
        assert_int_equal(find(bench, DOMAIN_UNIX, "NULL", NULL, &found), 0);
        assert_string_equal(found->name, "uid:12345");
}

static void test_unknown_key(void **state)
{
        const Principal *found;
        char key[KEY_TEXT_SIZE], other[KEY_TEXT_SIZE];

        new_key(key);
        new_key(other);
        put_file(*state, "peer.pub", "roles admin\n", key);
        assert_int_equal(read_keys(*state), 1);
        assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", other, &found), -EPERM);
}

static void test_a_key_taken_away_has_no_role_from_then_on(void **state)
{
        const Principal *before, *after;
        char key[KEY_TEXT_SIZE], next[KEY_TEXT_SIZE];

        new_key(key);
        new_key(next);
        put_file(*state, "peer.pub", "roles worker,submit\n", key);
        assert_int_equal(read_keys(*state), 1);
        assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", key, &before), 0);
        assert_int_equal(before->roles, ROLE_WORKER | ROLE_SUBMIT);
        take_file(*state, "peer.pub");
        assert_int_equal(read_keys(*state), 0);
        assert_int_equal(before->roles, 0);
        assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", key, &after), -EPERM);

        /* Another key under the same name gives the old one nothing. */
        put_file(*state, "peer.pub", "roles admin\n", next);
        assert_int_equal(read_keys(*state), 1);
        assert_int_equal(before->roles, 0);
        assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", next, &after), 0);
        assert_ptr_not_equal(before, after);
}

static void test_roles_change_with_the_file(void **state)
{
        const Principal *found;
        char key[KEY_TEXT_SIZE];

        new_key(key);
        put_file(*state, "peer.pub", "roles admin\n", key);
        assert_int_equal(read_keys(*state), 1);
        assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", key, &found), 0);
        assert_int_equal(found->roles, ROLE_ALL);
        put_file(*state, "peer.pub", "roles submit\n", key);
        assert_int_equal(read_keys(*state), 1);
        assert_int_equal(found->roles, ROLE_SUBMIT);
}

static void test_which_workers_a_key_may_be(void **state)
{
        static const struct {
                const char *lines, *name;
                bool may;
        } cases[] = {
                { "roles worker\n", "peer", true },
                { "roles worker\n", "peer-1", false },
                { "roles worker\n", "key:peer", false },
                { "roles worker\nworkers ruby-1 any-*\n", "ruby-1", true },
                { "roles worker\nworkers ruby-1 any-*\n", "any-77", true },
                { "roles worker\nworkers ruby-1 any-*\n", "ruby-11", false },
                { "roles worker\nworkers ruby-1 any-*\n", "peer", false },
                { "roles worker\nworkers *\n", "whoever", true },
        };
        const Principal *found;
        char key[KEY_TEXT_SIZE];

        new_key(key);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                put_file(*state, "peer.pub", cases[i].lines, key);
                assert_int_equal(read_keys(*state), 1);
                assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", key, &found), 0);
                if (principal_may_be_worker(found, cases[i].name) != cases[i].may)
                        fail_msg("case %zu", i);
        }
        assert_int_equal(find(*state, DOMAIN_LOOPBACK, "NULL", NULL, &found), 0);
        assert_true(principal_may_be_worker(found, "whoever"));
}

static void test_a_fault_shuts_out_its_own_key_alone(void **state)
{
        static const char *const faults[] = {
                "roles\n",    "roles king\n",       "", "role submit\n", "public x\n",
                "secret x\n", "roles king,submit\n"
        };
        const Principal *found;
        char good[KEY_TEXT_SIZE], bad[KEY_TEXT_SIZE];

        new_key(good);
        new_key(bad);
        put_file(*state, "good.pub", "roles submit\n", good);
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                put_file(*state, "bad.pub", faults[i], bad);
                assert_int_equal(read_keys(*state), 1);
                assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", good, &found), 0);
                assert_int_equal(find(*state, DOMAIN_KEYS, "CURVE", bad, &found), -EPERM);
        }
}

static void test_what_is_no_key_file_is_not_read(void **state)
{
        Bench *bench = *state;
        _cleanup_free_ char *fifo = string_format("%s/fifo.pub", bench->folder);
        _cleanup_free_ char *link = string_format("%s/link.pub", bench->folder);
        _cleanup_free_ char *target = string_format("%s/target", bench->folder);
        char key[KEY_TEXT_SIZE], other[KEY_TEXT_SIZE];
        const Principal *found;

        new_key(key);
        new_key(other);
        put_file(bench, "a.pub", "roles submit\n", key);
        put_file(bench, "zz.pub", "roles admin\n", key); /* the same key once more */
        put_file(bench, "target", "roles admin\n", other);
        put_file(bench, "router.pub", "roles admin\n", other);
        assert_int_equal(mkfifo(fifo, 0666), 0);
        assert_int_equal(symlink(target, link), 0);
        assert_int_equal(read_keys(bench), 1);
        assert_int_equal(find(bench, DOMAIN_KEYS, "CURVE", key, &found), 0);
        assert_int_equal(found->roles, ROLE_SUBMIT);
        assert_int_equal(find(bench, DOMAIN_KEYS, "CURVE", other, &found), -EPERM);
}

static void test_no_folder_is_no_key(void **state)
{
        _cleanup_(key_folder_done) KeyFolder folder = {};

        assert_int_equal(key_folder_read("/does/not/exist", &folder), KEY_FOLDER_MISSING);
        assert_int_equal(folder.n_entries, 0);
}

static void test_roles_of_users(void **state)
{
        char *none[] = { NULL }, *pipeline[] = { (char *) "users", (char *) "pipeline", NULL };

        assert_int_equal(roles_of_user("root", 0, none), ROLE_ALL);
        assert_int_equal(roles_of_user("pipeline-worker", 900, pipeline), ROLE_WORKER);
        assert_int_equal(roles_of_user("me", 1000, pipeline), ROLE_ALL);
        assert_int_equal(roles_of_user("me", 1000, none), ROLE_SUBMIT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_each_door_wants_its_mechanism, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown_key, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_key_taken_away_has_no_role_from_then_on, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_roles_change_with_the_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_which_workers_a_key_may_be, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_fault_shuts_out_its_own_key_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_no_key_file_is_not_read, setup, teardown),
                cmocka_unit_test(test_no_folder_is_no_key),
                cmocka_unit_test(test_roles_of_users),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
