/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* crun is root of a user namespace that was made for its container, and so can reach nothing that belongs to
 * the daemon's user. Others want a control group of their own below the scope, which belongs to the daemon's
 * user: so they are that user, and make the namespace. */

#include "runtime.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RUNTIME_PATH "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

/* Descriptors of the waiting child, beside the standard ones. The runtime hands the socket on. */
enum {
        INIT_FD = STDERR_FILENO + 1,
        RELEASE_FD,
        PROGRAM_FD,
        _N_CHILD_FDS,
};

/* What runtimes take as a sign that they are a copy already. */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int load_sealed(const char *path, int *ret_fd)
{
        _cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int to = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct stat status;

        if (from < 0 || to < 0 || fstat(from, &status) < 0)
                return -errno;
        for (off_t left = status.st_size; left > 0;) {
                ssize_t n = sendfile(to, from, NULL, (size_t) left);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                left -= n;
        }
        if (fcntl(to, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = TAKE_FD(to);
        return 0;
}

int runtime_init(Runtime *runtime, const char *path)
{
        Runtime new = { .path = path, .is_crun = string_ends_with(path, "/crun"), .program_fd = -EBADF };
        int r = new.is_crun ? load_sealed(path, &new.program_fd) : 0;

        if (r >= 0)
                *runtime = new;
        return r;
}

void runtime_done(Runtime *runtime)
{
        runtime->program_fd = safe_close(runtime->program_fd);
}

/* The child */

/* Only what the runtime needs stays open, so that no waiting child keeps another's socket or pipe from
 * closing. A runtime that is executed from its file has no program here. */
static int keep_descriptors(const int *fds, int program_fd)
{
        const int sources[_N_CHILD_FDS] = { open("/dev/null", O_RDWR | O_CLOEXEC),
                                            fds[RUNTIME_ERRORS],
                                            fds[RUNTIME_ERRORS],
                                            fds[RUNTIME_INIT],
                                            fds[RUNTIME_RELEASE],
                                            program_fd };
        unsigned n = program_fd < 0 ? PROGRAM_FD : _N_CHILD_FDS;
        int moved[_N_CHILD_FDS];

        /* Above all places first, so that none of the moves below closes another. */
        for (size_t i = 0; i < n; i++) {
                moved[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, _N_CHILD_FDS);
                if (moved[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < n; i++)
                if (dup2(moved[i], (int) i) < 0)
                        return -errno;
        if (close_range(n, ~0U, 0) < 0)
                return -errno;
        return program_fd < 0 ? 0 : fd_set_cloexec(PROGRAM_FD, true);
}

static int become_root(void)
{
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return -errno;
        return 0;
}

/* runc gives its pipes to the container's root, and opens a pipe that is root's: so it needs the rights to,
 * in the daemon's own namespace. */
static int hand_on_rights(void)
{
        return capability_hand_on(CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE));
}

/* Returns only where it failed. */
static void become_runtime(const Runtime *runtime, char *const *argv)
{
        char *const environment[] = { (char *) RUNTIME_PATH, NULL };

        if (runtime->is_crun && become_root() == 0)
                (void) syscall(SYS_execveat, PROGRAM_FD, "", argv, environment, AT_EMPTY_PATH);
        else if (!runtime->is_crun && hand_on_rights() == 0)
                (void) execve(runtime->path, argv, environment);
        (void) dprintf(STDERR_FILENO, "cannot become %s: %s", runtime->path, strerror(errno));
}

void runtime_run(const Runtime *runtime, const char *folder, const char *name, const int *fds)
{
        char root[PATH_MAX + 16], released;
        /* The group is there already. crun leaves the process in it; others are told that they
         * are not root. */
        char *const argv[] = { (char *) runtime->path,
                               root,
                               (char *) (runtime->is_crun ? "--cgroup-manager=disabled" : "--rootless=true"),
                               (char *) "run",
                               (char *) "--preserve-fds=1",
                               (char *) "--bundle",
                               (char *) folder,
                               (char *) name,
                               NULL };

        (void) snprintf(root, sizeof(root), "--root=%s/runtime", folder);
        if (keep_descriptors(fds, runtime->program_fd) == 0 && read(RELEASE_FD, &released, 1) == 1 &&
            close(RELEASE_FD) == 0)
                become_runtime(runtime, argv);
        _exit(EXIT_FAILURE);
}
