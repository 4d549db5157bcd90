/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An order is one message for each descriptor of RuntimeFd, the first of which says the bundle's folder and
 * the container's name; the answer is the pid of the child, or -errno. The child is the daemon's, which can
 * wait for it. */

#include "launcher.h"

#include "basic/fd-util.h"
#include "rootless/child.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDER_SIZE_MAX (PATH_MAX + 256)
#define RESTART_USEC   (500 * USEC_PER_MSEC)
#define ANSWER_SEC     10 /* of a host that is out of breath */

/* Of itself and of what was forked but is in no scope of its own yet. */
#define SCOPE_MEMORY    (UINT64_C(256) << 20)
#define SCOPE_PROCESSES UINT64_C(4096)
#define SCOPE_CPU       UINT64_C(10000)

struct Launcher {
        sd_event *event;
        ScopeManager *scopes;
        const Runtime *runtime;
        LauncherHandler handler;
        void *userdata;
        Child *child;
        Scope *scope;
        int fd, child_fd; /* the daemon's end, and the other while it is forked */
        bool is_ready;
        sd_event_source *timer; /* starts it anew */
};

/* Its process */

static int receive_order(int socket, char *text, int *fds)
{
        for (size_t i = 0; i < _RUNTIME_FD_MAX; i++) {
                char rest;
                ssize_t n = i == 0 ? fd_receive(socket, text, ORDER_SIZE_MAX, &fds[i])
                                   : fd_receive(socket, &rest, sizeof(rest), &fds[i]);

                if (n <= 0)
                        return n < 0 ? (int) n : -ECONNRESET;
                if (fds[i] < 0)
                        return -EPROTO;
        }
        return 0;
}

/* The pid, or -errno. */
static int fork_runtime(const Runtime *runtime, const char *folder, const int *fds)
{
        struct clone_args arguments = { .flags = CLONE_PARENT | (runtime->is_crun ? CLONE_NEWUSER : 0) };
        int pid = (int) syscall(SYS_clone3, &arguments, sizeof(arguments));

        if (pid == 0)
                runtime_run(runtime, folder, folder + strlen(folder) + 1, fds);
        return pid < 0 ? -errno : pid;
}

static int obey(const Runtime *runtime, int socket)
{
        int fds[_RUNTIME_FD_MAX] = { -EBADF, -EBADF, -EBADF };
        char text[ORDER_SIZE_MAX];
        int r = receive_order(socket, text, fds), answer;

        if (r == 0) {
                answer = fork_runtime(runtime, text, fds);
                r = (int) MIN(fd_send(socket, &answer, sizeof(answer), -EBADF), 0);
        }
        for (size_t i = 0; i < _RUNTIME_FD_MAX; i++)
                safe_close(fds[i]);
        return r;
}

static int launcher_main(void *userdata)
{
        const Launcher *launcher = userdata;
        sigset_t none;

        (void) sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGPIPE, SIG_DFL) == SIG_ERR)
                return EXIT_FAILURE;
        while (obey(launcher->runtime, launcher->child_fd) >= 0)
                ;
        return EXIT_SUCCESS;
}

/* Its life */

static void launcher_end(Launcher *launcher)
{
        launcher->is_ready = false;
        launcher->scope = scope_free(launcher->scope);
        launcher->child = child_free(launcher->child);
        launcher->fd = safe_close(launcher->fd);
        launcher->child_fd = safe_close(launcher->child_fd);
}

/* Whatever it was: anew. */
static void launcher_fail(Launcher *launcher, const char *why)
{
        log_warning("What launches the OCI runtime %s; it is started anew", why);
        launcher_end(launcher);
        if (sd_event_source_set_time_relative(launcher->timer, RESTART_USEC) < 0 ||
            sd_event_source_set_enabled(launcher->timer, SD_EVENT_ONESHOT) < 0)
                log_error("It cannot be: no timer");
        launcher->handler(launcher, false, launcher->userdata);
}

static void on_child(Child *child, int status, void *userdata)
{
        launcher_fail(userdata, "ended");
}

static void on_scope(Scope *scope, int error, void *userdata)
{
        Launcher *launcher = userdata;

        if (error < 0) {
                launcher_fail(launcher, "got no scope");
                return;
        }
        launcher->is_ready = true;
        launcher->handler(launcher, true, launcher->userdata);
}

static int launcher_begin(Launcher *launcher)
{
        static const struct timeval patience = { .tv_sec = ANSWER_SEC };
        static const CgroupLimits limits = { SCOPE_MEMORY, SCOPE_PROCESSES, SCOPE_CPU };
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        launcher->fd = fds[0];
        launcher->child_fd = fds[1];
        if (setsockopt(launcher->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
                return -errno;
        /* What its process keeps: its end, and crun's program where that is the runtime. */
        fds[0] = launcher->runtime->program_fd;
        r = child_start(launcher->event, launcher_main, on_child, launcher, fds[0] < 0 ? fds + 1 : fds,
                        fds[0] < 0 ? 1 : 2, &launcher->child);
        launcher->child_fd = safe_close(launcher->child_fd);
        if (r < 0)
                return r;
        return scope_new(launcher->scopes, "launcher", child_pid(launcher->child), &limits, USEC_INFINITY,
                         on_scope, launcher, &launcher->scope);
}

void launcher_start(Launcher *launcher)
{
        if (launcher_begin(launcher) < 0)
                launcher_fail(launcher, "cannot be started");
}

void launcher_stop(Launcher *launcher)
{
        (void) sd_event_source_set_enabled(launcher->timer, SD_EVENT_OFF);
        launcher_end(launcher);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        launcher_start(userdata);
        return 0;
}

int launcher_new(sd_event *event, ScopeManager *scopes, const Runtime *runtime, LauncherHandler handler,
                 void *userdata, Launcher **ret)
{
        _cleanup_(launcher_freep) Launcher *launcher = calloc(1, sizeof(*launcher));
        int r;

        if (!launcher)
                return -ENOMEM;
        *launcher = (Launcher){
                .event = sd_event_ref(event),
                .scopes = scopes,
                .runtime = runtime,
                .handler = handler,
                .userdata = userdata,
                .fd = -EBADF,
                .child_fd = -EBADF,
        };
        r = sd_event_add_time_relative(event, &launcher->timer, CLOCK_MONOTONIC, 0, 0, on_timer, launcher);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(launcher->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(launcher);
        return 0;
}

Launcher *launcher_free(Launcher *launcher)
{
        if (!launcher)
                return NULL;
        launcher_end(launcher);
        sd_event_source_disable_unref(launcher->timer);
        sd_event_unref(launcher->event);
        free(launcher);
        return NULL;
}

/* Launching */

static void launched_done(Launched *launched)
{
        safe_close(launched->release_fd);
        safe_close(launched->errors_fd);
        safe_close(launched->init_fd);
        if (launched->pid > 0) {
                (void) kill(launched->pid, SIGKILL);
                (void) waitpid(launched->pid, NULL, 0);
        }
}

/* `theirs` by RuntimeFd. */
static int make_channels(Launched *launched, int *theirs)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        launched->init_fd = fds[0];
        theirs[RUNTIME_INIT] = fds[1];
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        theirs[RUNTIME_RELEASE] = fds[0];
        launched->release_fd = fds[1];
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        launched->errors_fd = fds[0];
        theirs[RUNTIME_ERRORS] = fds[1];
        return 0;
}

/* Whether it went to and fro; `ret_answer` is the pid, or -errno. */
static int order(int socket, const LaunchOptions *options, const int *theirs, int *ret_answer)
{
        char text[ORDER_SIZE_MAX];
        int n = snprintf(text, sizeof(text), "%s%c%s", options->folder, '\0', options->name), none;
        ssize_t r;

        if (n < 0 || (size_t) n >= sizeof(text))
                return -ENAMETOOLONG;
        for (size_t i = 0; i < _RUNTIME_FD_MAX; i++) {
                r = fd_send(socket, text, i == 0 ? (size_t) n + 1 : 1, theirs[i]);
                if (r < 0)
                        return (int) r;
        }
        r = fd_receive(socket, ret_answer, sizeof(*ret_answer), &none);
        if (r < 0)
                return (int) r;
        safe_close(none);
        return r == sizeof(*ret_answer) ? 0 : -ECONNRESET;
}

/* What is half said cannot be taken back: then it is begun anew. */
static int ask_for_child(Launcher *launcher, const LaunchOptions *options, Launched *launched)
{
        int theirs[_RUNTIME_FD_MAX] = { -EBADF, -EBADF, -EBADF }, answer = 0, r;

        r = make_channels(launched, theirs);
        if (r >= 0) {
                r = order(launcher->fd, options, theirs, &answer);
                if (r < 0)
                        launcher_fail(launcher, "does not answer");
        }
        for (size_t i = 0; i < _RUNTIME_FD_MAX; i++)
                safe_close(theirs[i]);
        if (r < 0 || answer < 0)
                return r < 0 ? r : answer;
        launched->pid = answer;
        return 0;
}

int launcher_launch(Launcher *launcher, const LaunchOptions *options, Launched *ret)
{
        _cleanup_(launched_done) Launched launched = { 0, -EBADF, -EBADF, -EBADF };
        int r;

        if (!launcher->is_ready)
                return -ENOTCONN;
        r = ask_for_child(launcher, options, &launched);
        if (r >= 0 && launcher->runtime->is_crun)
                r = identity_write_maps(options->identity, launched.pid, (int64_t) options->guest);
        if (r < 0)
                return r;
        *ret = launched;
        launched = (Launched){ 0, -EBADF, -EBADF, -EBADF };
        return 0;
}
