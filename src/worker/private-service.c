/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* It is a process group of its own: a Ctrl-C at the terminal is the worker's to hear, who lets the jobs that
 * run come to their end first. */

#include "private-service.h"

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
#include <sys/wait.h>
#include <unistd.h>

#define START_USEC    (20 * USEC_PER_SEC)
#define INTERVAL_USEC (20 * USEC_PER_MSEC)

struct PrivateService {
        pid_t pid; /* 0: not a child of ours, or reaped */
        int pid_fd;
        sd_event_source *watch;
};

PrivateService *private_service_free(PrivateService *service)
{
        if (!service)
                return NULL;
        sd_event_source_disable_unref(service->watch);
        if (service->pid > 0) {
                (void) kill(service->pid, SIGTERM);
                (void) waitpid(service->pid, NULL, 0);
        }
        safe_close(service->pid_fd);
        free(service);
        return NULL;
}

char *private_service_address(const char *worker_folder, const char *name)
{
        return string_format("%s/%s/%s.sock", worker_folder, name, name);
}

static bool is_listening(const char *path)
{
        _cleanup_close_ int fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);

        return fd >= 0;
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

/* What runs in it are subordinate ids of its user, to which each folder on the way is somebody else's. */
static int check_way(const char *path)
{
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_free_ char *folder = strndup(path, (size_t) (slash - path));
                struct stat st;

                if (!folder)
                        return -ENOMEM;
                if (stat(folder, &st) < 0)
                        return log_errno(-errno, "Cannot use %s", folder);
                if (!(st.st_mode & S_IXOTH)) {
                        log_error("Subordinate ids cannot enter %s: chmod o+x %s", folder, folder);
                        return -EACCES;
                }
        }
        return 0;
}

static int start(PrivateService *service, const char *name, const char *worker_folder, const char *socket)
{
        _cleanup_free_ char *program = string_format(PKGLIBEXECDIR "/pipeline-%sd", name);
        _cleanup_free_ char *folder = string_format("%s/%s", worker_folder, name);
        _cleanup_free_ char *folder_option = folder ? string_format("--folder=%s", folder) : NULL;
        _cleanup_free_ char *socket_option = string_format("--socket=%s", socket);
        char *argv[] = { program, folder_option, socket_option, NULL };
        int r;

        if (!program || !folder_option || !socket_option)
                return -ENOMEM;
        if (mkdir(folder, 0711) < 0 && errno != EEXIST)
                return log_errno(-errno, "Cannot make %s", folder);
        r = check_way(folder);
        if (r < 0)
                return r;
        r = spawn(argv, &service->pid);
        if (r < 0)
                return log_errno(r, "Cannot start %s", program);
        service->pid_fd = (int) syscall(SYS_pidfd_open, service->pid, 0);
        return service->pid_fd < 0 ? -errno : 0;
}

static int wait_until_listening(PrivateService *service, const char *name, const char *path)
{
        usec_t end = now_usec(CLOCK_MONOTONIC) + START_USEC;

        while (!is_listening(path)) {
                if (waitpid(service->pid, NULL, WNOHANG) == service->pid) {
                        service->pid = 0;
                        log_error("The private %s service ended; what it says is above", name);
                        return -EIO;
                }
                if (now_usec(CLOCK_MONOTONIC) > end)
                        return log_errno(-ETIMEDOUT, "The private %s service does not listen", name);
                (void) usleep(INTERVAL_USEC);
        }
        return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        PrivateService *service = userdata;

        (void) waitpid(service->pid, NULL, 0);
        service->pid = 0;
        log_error("A private service ended");
        return sd_event_exit(sd_event_source_get_event(source), EXIT_FAILURE);
}

int private_service_new(sd_event *event, const char *name, const char *worker_folder, const char *socket,
                        PrivateService **ret)
{
        _cleanup_(private_service_freep) PrivateService *service = calloc(1, sizeof(PrivateService));
        int r;

        if (!service)
                return -ENOMEM;
        service->pid_fd = -EBADF;
        if (!is_listening(socket)) {
                r = start(service, name, worker_folder, socket);
                if (r < 0)
                        return r;
                r = wait_until_listening(service, name, socket);
                if (r < 0)
                        return r;
                r = sd_event_add_io(event, &service->watch, service->pid_fd, EPOLLIN, on_end, service);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_enabled(service->watch, SD_EVENT_ONESHOT);
        }
        *ret = TAKE_PTR(service);
        return 0;
}
