/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A forked child inherits every descriptor of the daemon: connections whose end their peers wait for,
 * pidfds, the bus. It closes them first of all, but for those that it was given. */

#include "child.h"

#include "basic/fd-util.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct Child {
        pid_t pid; /* 0: reaped */
        sd_event_source *source;
        ChildHandler handler;
        void *userdata;
};

pid_t child_pid(const Child *child)
{
        return child->pid;
}

Child *child_free(Child *child)
{
        if (!child)
                return NULL;
        sd_event_source_disable_unref(child->source);
        if (child->pid > 0) {
                kill(child->pid, SIGKILL);
                waitpid(child->pid, NULL, 0);
        }
        free(child);
        return NULL;
}

_Noreturn static void run(pid_t parent, ChildMain main, void *userdata, int *fds, size_t n_fds)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || fd_close_others(fds, n_fds) < 0)
                _exit(EXIT_FAILURE);
        _exit(main(userdata));
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Child *child = userdata;
        int status;

        if (waitpid(child->pid, &status, WNOHANG) != child->pid)
                return 0;
        child->pid = 0;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        child->handler(child, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), child->userdata);
        return 0;
}

static int watch(Child *child, sd_event *event)
{
        _cleanup_close_ int fd = (int) syscall(SYS_pidfd_open, child->pid, 0);
        int r;

        if (fd < 0)
                return -errno;
        r = sd_event_add_io(event, &child->source, fd, EPOLLIN, on_end, child);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(child->source, true);
        if (r < 0)
                return r;
        fd = -EBADF;
        return 0;
}

int child_start(sd_event *event, ChildMain main, ChildHandler handler, void *userdata, const int *fds,
                size_t n_fds, Child **ret)
{
        _cleanup_(child_freep) Child *child = calloc(1, sizeof(Child));
        _cleanup_free_ int *kept = calloc(n_fds ?: 1, sizeof(int));
        pid_t parent = getpid();
        int r;

        if (!child || !kept)
                return -ENOMEM;
        for (size_t i = 0; i < n_fds; i++)
                kept[i] = fds[i];
        child->handler = handler;
        child->userdata = userdata;
        child->pid = fork();
        if (child->pid < 0) {
                child->pid = 0;
                return -errno;
        }
        if (child->pid == 0)
                run(parent, main, userdata, kept, n_fds);
        r = watch(child, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(child);
        return 0;
}
