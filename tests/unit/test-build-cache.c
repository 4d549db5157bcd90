/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a track's folder takes of the disk: never less than it does. */

#include "buildd/build-inside.h"
#include "buildd/cache.h"

#include "basic/fd-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_SIZE (UINT64_C(1) << 20)

static int cache_fd;

/* A cache with a folder `track`. */
static int set_up(void **state)
{
        char path[] = "/tmp/pipeline-test-XXXXXX";

        cache_fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        *state = strdup(path);
        return cache_fd < 0 || !*state ? -1 : mkdirat(cache_fd, "track", 0700);
}

static int tear_down(void **state)
{
        int r = tree_remove(AT_FDCWD, *state);

        free(*state);
        safe_close(cache_fd);
        return r;
}

/* A file below so many folders. */
static void fill(unsigned depth)
{
        int fd = openat(cache_fd, "track", O_RDONLY | O_CLOEXEC), file;

        for (unsigned i = 0; i < depth; i++) {
                int next;

                assert_int_equal(mkdirat(fd, "a", 0700), 0);
                next = openat(fd, "a", O_RDONLY | O_CLOEXEC);
                safe_close(fd);
                fd = next;
        }
        file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(posix_fallocate(file, 0, (off_t) FILE_SIZE), 0);
        safe_close(file);
        safe_close(fd);
}

static uint64_t measured(void)
{
        uint64_t bytes = 0;

        assert_int_equal(cache_measure(cache_fd, "track", &bytes), 0);
        return bytes;
}

static void what_lies_deep_is_counted(void **state)
{
        fill(230);
        assert_in_range(measured(), FILE_SIZE, 2 * FILE_SIZE);
}

static void what_lies_too_deep_is_more_than_any_bound(void **state)
{
        const CacheBounds bounds = { UINT64_MAX - 1, UINT64_MAX - 1 };

        fill(400);
        assert_true(measured() == CACHE_ENDLESS);
        assert_int_equal(cache_settle(cache_fd, "track", &bounds), 0);
        assert_int_equal(faccessat(cache_fd, "track", F_OK, 0), -1);
}

static void a_file_counts_once_wherever_its_names_are(void **state)
{
        fill(0);
        assert_int_equal(linkat(cache_fd, "track/file", cache_fd, "track/again", 0), 0);
        assert_in_range(measured(), FILE_SIZE, FILE_SIZE * 3 / 2);
        assert_int_equal(linkat(cache_fd, "track/file", cache_fd, "outside", 0), 0);
        assert_int_equal(unlinkat(cache_fd, "track/again", 0), 0);
        assert_in_range(measured(), FILE_SIZE, FILE_SIZE * 3 / 2);
}

static void what_a_build_left_is_seen_and_removed(void **state)
{
        assert_false(cache_has_work(cache_fd, "track"));
        assert_int_equal(mkdirat(cache_fd, "track/" BUILD_WORK, 0700), 0);
        assert_true(cache_has_work(cache_fd, "track"));
        assert_int_equal(cache_clear_work(cache_fd, "track"), 0);
        assert_false(cache_has_work(cache_fd, "track"));
        assert_int_equal(cache_clear_work(cache_fd, "none"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(what_lies_deep_is_counted, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_lies_too_deep_is_more_than_any_bound, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(what_a_build_left_is_seen_and_removed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_file_counts_once_wherever_its_names_are, set_up,
                                                tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
