/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of an image are taken apart by programs that were not written with malice in mind, and the trees
 * of all images belong to the same ids. So who reads one image sees no other: its mount namespace has an
 * empty folder where the store is, with its own folder in it. Then it enters one more user namespace: the
 * mounts belong to the one above, so the kernel uncovers none of them, whatever rights it has from then on.
 * All that comes before it reads a byte. Being PID 1 it takes along whatever it started. */

#include "confined.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE      4096U
#define FILE_SIZE_MAX  (UINT64_C(16) << 30)
#define OPEN_FILES_MAX 4096U
#define EXIT_SET_UP    126

/* What it takes to write files of any owner and mode. */
#define CAPABILITIES_KEPT                                                                \
        (CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE) | CAPABILITY(CAP_FOWNER) | \
         CAPABILITY(CAP_FSETID) | CAPABILITY(CAP_SETFCAP))

/* Where the mounts are made, and where it is that works among them. */
#define NAMESPACES_ABOVE (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
#define NAMESPACES_BELOW (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* Inside */

/* Makes the folders of `path` that lie below its first `n` bytes. */
static int make_folders(const char *path, size_t n)
{
        _cleanup_free_ char *part = strdup(path);

        if (!part)
                return -ENOMEM;
        for (char *slash = part + n; slash;) {
                slash = strchr(slash + 1, '/');
                if (slash)
                        *slash = '\0';
                if (mkdir(part, 0755) < 0)
                        return -errno;
                if (slash)
                        *slash = '/';
        }
        return 0;
}

/* A private look at the file system: an empty folder over `hidden`, `folder` at its place in it. */
static int hide(const char *hidden, const char *folder)
{
        _cleanup_close_ int fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char own[64];
        int r;

        if (fd < 0)
                return -errno;
        (void) snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
            mount("tmpfs", hidden, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") < 0)
                return -errno;
        r = make_folders(folder, strlen(hidden));
        if (r < 0)
                return r;
        if (mount(own, folder, NULL, MS_BIND, NULL) < 0 || chdir(folder) < 0)
                return -errno;
        return 0;
}

/* What is the service's own, or another's, is covered. */
static int cover_system(void)
{
        static const char *const folders[] = { "/run", "/tmp", "/var/tmp", "/dev/shm" };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (mount("tmpfs", folders[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
                        return -errno;
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return -errno;
        return 0;
}

/* The child that stays above: waits until its parent, PID 1, is below, and ends with an errno as its
 * status. */
_Noreturn static void map_from_above(int entered_fd, const Identity *identity)
{
        char entered;
        int r = read(entered_fd, &entered, 1) == 1 ? identity_write_nested_maps(identity, getppid()) : -EIO;

        _exit(-r);
}

static int wait_for_maps(pid_t child)
{
        int status;

        if (waitpid(child, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* Enters a user namespace of the same ids, with what it may administer. Mounts that were made before are
 * locked there; nothing is left above that it could look for. */
static int enter_below(const Identity *identity)
{
        _cleanup_close_ int entered_read = -EBADF, entered_write = -EBADF;
        int entered[2], r = 0;
        pid_t child;

        if (pipe2(entered, O_CLOEXEC) < 0)
                return -errno;
        entered_read = entered[0];
        entered_write = entered[1];
        /* Only of what may be dumped are the maps the child's to write. */
        if (prctl(PR_SET_DUMPABLE, 1) < 0)
                return -errno;
        child = fork();
        if (child < 0)
                return -errno;
        if (child == 0) {
                close(entered_write);
                map_from_above(entered_read, identity);
        }
        if (unshare(NAMESPACES_BELOW) < 0 || write(entered_write, "", 1) != 1)
                r = -errno;
        entered_write = safe_close(entered_write);
        if (r < 0)
                return r;
        r = wait_for_maps(child);
        return r < 0 ? r : prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static int limit(uint64_t memory_max)
{
        const struct rlimit file = { FILE_SIZE_MAX, FILE_SIZE_MAX }, core = { 0, 0 },
                            open_files = { OPEN_FILES_MAX, OPEN_FILES_MAX },
                            memory = { memory_max, memory_max };

        if (setrlimit(RLIMIT_FSIZE, &file) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 ||
            setrlimit(RLIMIT_NOFILE, &open_files) < 0)
                return -errno;
        return memory_max > 0 && setrlimit(RLIMIT_DATA, &memory) < 0 ? -errno : 0;
}

static int drop_capabilities(uint64_t kept)
{
        int r = capability_bound(kept);

        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return capability_keep(kept);
}

/* Becomes root of the namespace, and no more than that. */
static int set_up(const ConfinedOptions *options)
{
        int r;

        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        (void) umask(0022);
        r = hide(options->hidden, options->folder);
        if (r == 0)
                r = cover_system();
        if (r == 0)
                r = enter_below(options->identity);
        if (r == 0)
                r = limit(options->memory_max);
        return r < 0 ? r : drop_capabilities(CAPABILITIES_KEPT | options->more_capabilities);
}

_Noreturn static void run(const ConfinedOptions *options, int mapped_fd, int result_fd)
{
        char mapped;
        int r;

        if (read(mapped_fd, &mapped, 1) != 1)
                _exit(EXIT_SET_UP);
        r = set_up(options);
        if (r < 0) {
                (void) dprintf(result_fd, "%s", strerror(-r));
                _exit(EXIT_SET_UP);
        }
        _exit(options->main(result_fd, options->userdata));
}

/* Outside */

void confined_process_done(ConfinedProcess *process)
{
        if (process->pid > 0) {
                kill(process->pid, SIGKILL);
                waitpid(process->pid, NULL, 0);
        }
        safe_close(process->release_fd);
        safe_close(process->result_fd);
        *process = CONFINED_PROCESS_INIT;
}

static int read_result(int fd, size_t size_max, Buffer *result)
{
        uint8_t chunk[READ_SIZE];
        ssize_t n;
        int r;

        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                r = buffer_append(result, chunk, (size_t) n, size_max);
                if (r < 0)
                        return r;
        }
        return buffer_append(result, "", 1, SIZE_MAX);
}

static int reap(ConfinedProcess *process)
{
        int status;

        while (waitpid(process->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        process->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int confined_start(const ConfinedOptions *options, ConfinedProcess *ret)
{
        struct clone_args arguments = {
                .flags = NAMESPACES_ABOVE,
                .exit_signal = SIGCHLD,
        };
        _cleanup_(confined_process_done) ConfinedProcess process = CONFINED_PROCESS_INIT;
        _cleanup_close_ int mapped_read = -EBADF, result_write = -EBADF;
        int mapped[2], results[2], r;

        if (pipe2(mapped, O_CLOEXEC) < 0)
                return -errno;
        mapped_read = mapped[0];
        process.release_fd = mapped[1];
        if (pipe2(results, O_CLOEXEC) < 0)
                return -errno;
        process.result_fd = results[0];
        result_write = results[1];
        process.pid = (pid_t) syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (process.pid < 0) {
                process.pid = 0;
                return -errno;
        }
        if (process.pid == 0) {
                close(process.release_fd);
                run(options, mapped_read, result_write);
        }
        r = identity_write_maps(options->identity, process.pid, -1);
        if (r < 0)
                return r;
        *ret = process;
        process = CONFINED_PROCESS_INIT;
        return 0;
}

int confined_release(ConfinedProcess *process)
{
        if (write(process->release_fd, "", 1) != 1)
                return -errno;
        process->release_fd = safe_close(process->release_fd);
        return 0;
}

int confined_run(const ConfinedOptions *options, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_(confined_process_done) ConfinedProcess process = CONFINED_PROCESS_INIT;
        _cleanup_(buffer_done) Buffer result = {};
        int r;

        r = confined_start(options, &process);
        if (r < 0)
                return r;
        r = confined_release(&process);
        if (r < 0)
                return r;
        r = read_result(process.result_fd, size_max, &result);
        if (r < 0)
                return r;
        r = reap(&process);
        if (r >= 0) {
                *ret_size = result.size - 1;
                *ret = (char *) TAKE_PTR(result.data);
        }
        return r;
}
