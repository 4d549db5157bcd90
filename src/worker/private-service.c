/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* It is a process group of its own: a Ctrl-C at the terminal is the worker's to hear, who lets the jobs that
 * run come to their end first. */

#include "private-sandbox.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/time-util.h"
#include "shared/log.h"

#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM       PKGLIBEXECDIR "/pipeline-sandboxd"
#define SOCKET_NAME   "sandbox.sock"
#define FOLDER_NAME   "sandbox"
#define START_USEC    (20 * USEC_PER_SEC)
#define INTERVAL_USEC (20 * USEC_PER_MSEC)

struct PrivateSandbox {
        pid_t pid; /* 0: not a child of ours, or reaped */
        int pid_fd;
        sd_event_source *watch;
};

PrivateSandbox *private_sandbox_free(PrivateSandbox *sandbox)
{
        if (!sandbox)
                return NULL;
        sd_event_source_disable_unref(sandbox->watch);
        if (sandbox->pid > 0) {
                (void) kill(sandbox->pid, SIGTERM);
                (void) waitpid(sandbox->pid, NULL, 0);
        }
        safe_close(sandbox->pid_fd);
        free(sandbox);
        return NULL;
}

char *private_sandbox_address(const char *worker_folder)
{
        return string_format("%s/" FOLDER_NAME "/" SOCKET_NAME, worker_folder);
}

static bool is_listening(const char *path)
{
        union {
                struct sockaddr header;
                struct sockaddr_un un;
        } address = { .un.sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || strlen(path) >= sizeof(address.un.sun_path))
                return false;
        (void) strcpy(address.un.sun_path, path);
        return connect(fd, &address.header, sizeof(address.un)) == 0;
}

/* Not a process of the worker's terminal, and none of its signals are blocked. */
static int spawn(char *const *argv, pid_t *ret)
{
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        r = posix_spawnattr_init(&attributes);
        if (r != 0)
                return -r;
        r = posix_spawnattr_setflags(&attributes,
                                     POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
                    ?: posix_spawnattr_setpgroup(&attributes, 0)
                    ?: posix_spawnattr_setsigmask(&attributes, &none)
                    ?: posix_spawnattr_setsigdefault(&attributes, &all)
                    ?: posix_spawn(ret, argv[0], NULL, &attributes, argv, environ);
        (void) posix_spawnattr_destroy(&attributes);
        return -r;
}

static int start(PrivateSandbox *sandbox, const WorkerSettings *settings)
{
        _cleanup_free_ char *folder = string_format("%s/" FOLDER_NAME, settings->folder);
        _cleanup_free_ char *folder_option = folder ? string_format("--folder=%s", folder) : NULL;
        _cleanup_free_ char *socket_option = string_format("--socket=%s", settings->sandbox);
        char *argv[] = { (char *) PROGRAM, folder_option, socket_option, NULL };
        int r;

        if (!folder_option || !socket_option)
                return -ENOMEM;
        if (mkdir(folder, 0711) < 0 && errno != EEXIST)
                return log_errno(-errno, "Cannot make %s", folder);
        r = spawn(argv, &sandbox->pid);
        if (r < 0)
                return log_errno(r, "Cannot start " PROGRAM);
        sandbox->pid_fd = (int) syscall(SYS_pidfd_open, sandbox->pid, 0);
        return sandbox->pid_fd < 0 ? -errno : 0;
}

static int wait_until_listening(PrivateSandbox *sandbox, const char *path)
{
        usec_t end = now_usec(CLOCK_MONOTONIC) + START_USEC;

        while (!is_listening(path)) {
                if (waitpid(sandbox->pid, NULL, WNOHANG) == sandbox->pid) {
                        sandbox->pid = 0;
                        log_error("The private sandbox service ended; what it says is above");
                        return -EIO;
                }
                if (now_usec(CLOCK_MONOTONIC) > end)
                        return log_errno(-ETIMEDOUT, "The private sandbox service does not listen");
                (void) usleep(INTERVAL_USEC);
        }
        return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        PrivateSandbox *sandbox = userdata;

        (void) waitpid(sandbox->pid, NULL, 0);
        sandbox->pid = 0;
        log_error("The private sandbox service ended");
        return sd_event_exit(sd_event_source_get_event(source), EXIT_FAILURE);
}

int private_sandbox_new(sd_event *event, const WorkerSettings *settings, PrivateSandbox **ret)
{
        _cleanup_(private_sandbox_freep) PrivateSandbox *sandbox = calloc(1, sizeof(PrivateSandbox));
        int r;

        if (!sandbox)
                return -ENOMEM;
        sandbox->pid_fd = -EBADF;
        if (!is_listening(settings->sandbox)) {
                r = start(sandbox, settings);
                if (r < 0)
                        return r;
                r = wait_until_listening(sandbox, settings->sandbox);
                if (r < 0)
                        return r;
                r = sd_event_add_io(event, &sandbox->watch, sandbox->pid_fd, EPOLLIN, on_end, sandbox);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_enabled(sandbox->watch, SD_EVENT_ONESHOT);
        }
        *ret = TAKE_PTR(sandbox);
        return 0;
}
