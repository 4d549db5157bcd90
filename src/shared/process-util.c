/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child process is started by posix_spawn: no shell takes part, so an argument is an argument whatever it
 * holds, and threads of the caller do not matter. Both of its output streams are pipes that are read to
 * their ends, so it never waits for us; only so many bytes are kept. */

#include "process-util.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEARCH_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ERROR_SIZE_MAX  400U
#define READ_CHUNK_SIZE 4096U

typedef struct Child {
        pid_t pid; /* 0: reaped */
        int output_fd, errors_fd;
} Child;

/* A child that is not reaped yet does not outlive its owner. */
static void child_done(Child *child)
{
        if (child->pid > 0) {
                kill(child->pid, SIGKILL);
                waitpid(child->pid, NULL, 0);
        }
        safe_close(child->output_fd);
        safe_close(child->errors_fd);
}

void process_result_done(ProcessResult *result)
{
        buffer_done(&result->output);
        buffer_done(&result->errors);
}

static int environment_of(const ProcessOptions *options, char ***ret)
{
        static const char *const always[] = { "PATH=" SEARCH_PATH, "LANG=C.UTF-8" };
        _cleanup_(strv_freep) char **environment = NULL;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
                r = strv_extend(&environment, always[i]);
                if (r < 0)
                        return r;
        }
        for (const char *const *e = options->environment; e && *e; e++) {
                r = strv_extend(&environment, *e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(environment);
        return 0;
}

/* The absolute path of the program, so that nobody's PATH decides what runs. */
static int find_program(const char *name, char **ret)
{
        static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                               "/usr/bin",        "/sbin",          "/bin" };

        for (size_t i = 0; i < ARRAY_SIZE(folders) && !strchr(name, '/'); i++) {
                _cleanup_free_ char *path = string_format("%s/%s", folders[i], name);

                if (!path)
                        return -ENOMEM;
                if (access(path, X_OK) == 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        if (!strchr(name, '/'))
                return -ENOENT;
        *ret = strdup(name);
        return *ret ? 0 : -ENOMEM;
}

/* Standard input is /dev/null; no signal is blocked or ignored. */
static int set_up_spawn(const ProcessOptions *options, int output_fd, int errors_fd,
                        posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes)
{
        sigset_t none, all;
        int e;

        sigemptyset(&none);
        sigfillset(&all);
        e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
                    ?: posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO)
                    ?: posix_spawn_file_actions_adddup2(actions, errors_fd, STDERR_FILENO)
                    ?: posix_spawnattr_setsigmask(attributes, &none)
                    ?: posix_spawnattr_setsigdefault(attributes, &all)
                    ?: posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (e == 0 && options->folder)
                e = posix_spawn_file_actions_addchdir_np(actions, options->folder);
        return -e;
}

static int spawn(const ProcessOptions *options, int output_fd, int errors_fd, pid_t *ret_pid)
{
        _cleanup_(strv_freep) char **environment = NULL;
        _cleanup_free_ char *program = NULL;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = find_program(options->argv[0], &program);
        if (r < 0)
                return r;
        r = environment_of(options, &environment);
        if (r < 0)
                return r;
        r = -posix_spawn_file_actions_init(&actions);
        if (r < 0)
                return r;
        r = -posix_spawnattr_init(&attributes);
        if (r == 0) {
                r = set_up_spawn(options, output_fd, errors_fd, &actions, &attributes);
                if (r == 0)
                        r = -posix_spawn(ret_pid, program, &actions, &attributes,
                                         (char *const *) options->argv, environment);
                posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

int process_spawn(const ProcessOptions *options, int output_fd, pid_t *ret_pid)
{
        _cleanup_close_ int null_fd = -EBADF;

        if (output_fd < 0) {
                null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
                if (null_fd < 0)
                        return -errno;
                output_fd = null_fd;
        }
        return spawn(options, output_fd, output_fd, ret_pid);
}

static int child_start(const ProcessOptions *options, Child *child)
{
        _cleanup_close_ int output_fd = -EBADF, errors_fd = -EBADF;
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        child->output_fd = pipe_fds[0];
        output_fd = pipe_fds[1];
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        child->errors_fd = pipe_fds[0];
        errors_fd = pipe_fds[1];
        return spawn(options, output_fd, errors_fd, &child->pid);
}

/* Reads what is there; closes the descriptor at its end. What does not fit is dropped. */
static int read_some(int *fd, Buffer *buffer, size_t size_max)
{
        uint8_t chunk[READ_CHUNK_SIZE];
        ssize_t n = read(*fd, chunk, sizeof(chunk));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0) {
                *fd = safe_close(*fd);
                return 0;
        }
        return buffer_append(buffer, chunk, MIN((size_t) n, size_max - buffer->size), size_max);
}

static int milliseconds_until(usec_t deadline)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (deadline == USEC_INFINITY)
                return -1;
        return now >= deadline ? 0 : (int) MIN((deadline - now) / USEC_PER_MSEC + 1, (usec_t) INT32_MAX);
}

/* Reads both streams to their ends, then waits until `pid_fd` says that it ended. 1 at the deadline. */
static int child_watch(const ProcessOptions *options, Child *child, int pid_fd, ProcessResult *result)
{
        usec_t deadline = options->timeout_usec > 0 ? now_usec(CLOCK_MONOTONIC) + options->timeout_usec
                                                    : USEC_INFINITY;

        for (;;) {
                struct pollfd fds[] = { { child->output_fd, POLLIN, 0 },
                                        { child->errors_fd, POLLIN, 0 },
                                        { pid_fd, POLLIN, 0 } };
                int n, r = 0;

                n = poll(fds, ARRAY_SIZE(fds), milliseconds_until(deadline));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return 1;
                if (n < 0)
                        continue;
                if (fds[0].revents != 0)
                        r = read_some(&child->output_fd, &result->output, options->output_size_max);
                if (r == 0 && fds[1].revents != 0)
                        r = read_some(&child->errors_fd, &result->errors, options->output_size_max);
                if (r < 0)
                        return r;
                /* A grandchild may hold the streams open for ever: what it writes is not waited for. */
                if (fds[2].revents != 0 && fds[0].revents == 0 && fds[1].revents == 0)
                        return 0;
        }
}

int process_run(const ProcessOptions *options, ProcessResult *ret)
{
        _cleanup_(child_done) Child child = { .output_fd = -EBADF, .errors_fd = -EBADF };
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_close_ int pid_fd = -EBADF;
        int status, r;

        r = child_start(options, &child);
        if (r < 0)
                return r;
        pid_fd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        if (pid_fd < 0)
                return -errno;
        r = child_watch(options, &child, pid_fd, &result);
        if (r < 0)
                return r;
        result.timed_out = r > 0;
        if (result.timed_out)
                kill(child.pid, SIGKILL);
        while (waitpid(child.pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        child.pid = 0;
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        *ret = result;
        result = (ProcessResult){};
        return 0;
}

/* The last line that is not empty. */
static char *last_line(const Buffer *text)
{
        const char *data = (const char *) text->data, *line;
        size_t size = text->size;

        while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == ' '))
                size--;
        line = size > 0 ? memrchr(data, '\n', size) : NULL;
        line = line ? line + 1 : data;
        return size > 0 ? string_escape(line, (size_t) (data + size - line), ERROR_SIZE_MAX) : NULL;
}

char *process_error(const ProcessOptions *options, const ProcessResult *result)
{
        _cleanup_free_ char *line = last_line(&result->errors);

        if (result->timed_out)
                return string_format("%s did not end within %" PRIu64 " s", options->argv[0],
                                     options->timeout_usec / USEC_PER_SEC);
        if (line)
                return string_format("%s: %s", options->argv[0], line);
        if (result->status < 0)
                return string_format("%s was ended by signal %d", options->argv[0], -result->status);
        return string_format("%s ended with exit status %d", options->argv[0], result->status);
}
