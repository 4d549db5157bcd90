/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of an image, made fit to be run. What needs images with owners is tried in the machine. */

#include "sandboxd/image-root.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The folders and files that every image gets. */
#define N_MADE 13

static int set_up(void **state)
{
        char path[] = "/tmp/pipeline-test-XXXXXX";

        *state = mkdtemp(path) ? strdup(path) : NULL;
        return *state ? 0 : -1;
}

static int tear_down(void **state)
{
        int r = tree_remove(AT_FDCWD, *state);

        free(*state);
        return r;
}

/* The error, or NULL. */
static char *prepare(const char *path, uint64_t entries_max)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint64_t size;
        char *error = NULL;
        int r = image_root_prepare(fd, "", entries_max, &size, &error);

        assert_int_equal(r, error ? IMAGE_BAD : 0);
        return error;
}

static void all_that_is_there_counts(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *error = NULL;

        assert_int_equal(mkdirat(fd, "a", 0755), 0);
        assert_int_equal(mkdirat(fd, "a/b", 0755), 0);
        assert_int_equal(symlinkat("nowhere", fd, "a/b/c"), 0);
        assert_null(prepare(*state, N_MADE + 3));
        error = prepare(*state, N_MADE + 2);
        assert_non_null(error);
        assert_non_null(string_after(error, "the image has more than 15 files and folders"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(all_that_is_there_counts, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
