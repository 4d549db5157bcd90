/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders that are read, and trees that are removed. */

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder of its own for each test, with: file, .hidden, below/file, link -> below */
static int set_up_at(char *path, void **state)
{
        int fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        static const char *const files[] = { "file", ".hidden", "below/file" };

        if (fd < 0 || mkdirat(fd, "below", 0700) < 0 || symlinkat("below", fd, "link") < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                safe_close(openat(fd, files[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        *state = strdup(path);
        return *state ? close(fd) : -1;
}

static int set_up(void **state)
{
        char path[] = "/tmp/pipeline-test-XXXXXX";

        return set_up_at(path, state);
}

/* For very many folders a disk is slow. */
static int set_up_in_memory(void **state)
{
        char path[] = "/dev/shm/pipeline-test-XXXXXX";

        return set_up_at(path, state);
}

static int tear_down(void **state)
{
        int r = tree_remove(AT_FDCWD, *state);

        free(*state);
        return r;
}

static int count(const char *path)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int n = 0, r = folder_open(AT_FDCWD, path, &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0) {
                n++;
                r = 0;
        }
        return r < 0 ? r : n;
}

static void all_but_dots_are_read(void **state)
{
        _cleanup_free_ char *below = string_format("%s/below", (char *) *state);

        assert_int_equal(count(*state), 4);
        assert_int_equal(count(below), 1);
}

static void the_folder_is_open_beside_what_reads_it(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_folder_ DIR *folder = NULL, *again = NULL;
        struct dirent *entry;

        assert_int_equal(folder_open(fd, ".", &folder), 0);
        while (folder_next(folder, &entry) > 0)
                ;
        assert_int_equal(folder_open(fd, ".", &again), 0);
        assert_int_equal(folder_next(again, &entry), 1);
        assert_int_equal(faccessat(dirfd(again), entry->d_name, F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

static void what_is_no_folder_is_not_opened(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_folder_ DIR *folder = NULL;

        assert_int_equal(folder_open(fd, "link", &folder), -ENOTDIR);
        assert_int_equal(folder_open(fd, "file", &folder), -ENOTDIR);
        assert_int_equal(folder_open(fd, "none", &folder), -ENOENT);
        assert_null(folder);
}

static void a_tree_is_cleared(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(tree_remove(fd, "link"), 0);
        assert_int_equal(faccessat(fd, "below/file", F_OK, 0), 0);
        assert_int_equal(tree_clear(fd), 0);
        assert_int_equal(count(*state), 0);
        assert_int_equal(tree_remove(fd, "none"), 0);
}

/* Makes so many folders in each other, with a link to what is outside in the last, which nobody may read. */
static int make_depth(int top_fd, unsigned n)
{
        int fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 0);

        for (unsigned i = 0; i < n && fd >= 0; i++) {
                int next = mkdirat(fd, "a", 0700) < 0 ? -1 : openat(fd, "a", O_RDONLY | O_CLOEXEC);

                safe_close(fd);
                fd = next;
        }
        if (fd < 0 || symlinkat("/tmp", fd, "out") < 0 || mkdirat(fd, "closed", 0) < 0 || fchmod(fd, 0) < 0)
                return -1;
        return close(fd);
}

static int clear_with_little(int fd)
{
        const struct rlimit files = { 64, 64 }, stack = { 1U << 20, 1U << 20 };

        if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_STACK, &stack) < 0)
                return -errno;
        return tree_clear(fd);
}

static void a_tree_of_any_depth_is_cleared(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int status;
        pid_t pid;

        assert_int_equal(make_depth(fd, 100000), 0);
        pid = fork();
        if (pid == 0)
                _exit(clear_with_little(fd) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(count(*state), 0);
}

static void folders_that_nobody_may_read_are_removed(void **state)
{
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(mkdirat(fd, "below/closed", 0700), 0);
        assert_int_equal(symlinkat("../../file", fd, "below/closed/link"), 0);
        assert_int_equal(fchmodat(fd, "below/closed", 0, 0), 0);
        assert_int_equal(fchmodat(fd, "below", 0, 0), 0);
        assert_int_equal(tree_remove(fd, "below"), 0);
        assert_int_equal(faccessat(fd, "below", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        assert_int_equal(faccessat(fd, "file", F_OK, 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(all_but_dots_are_read, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_folder_is_open_beside_what_reads_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_no_folder_is_not_opened, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_tree_is_cleared, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_tree_of_any_depth_is_cleared, set_up_in_memory, tear_down),
                cmocka_unit_test_setup_teardown(folders_that_nobody_may_read_are_removed, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
