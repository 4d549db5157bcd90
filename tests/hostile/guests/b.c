/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* B: evading time and death. */

#include "guest.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/time.h>

__attribute__((noreturn)) static int asleep(void)
{
        for (;;)
                sleep_milliseconds(100000);
}

__attribute__((noreturn)) static int in_select(void)
{
        for (;;)
                (void) select(0, NULL, NULL, NULL, NULL);
}

static int stopped(void)
{
        (void) raise(SIGSTOP);
        wait_for_the_end();
}

static void ignore_signals(void)
{
        for (int i = 1; i < 65; i++)
                (void) signal(i, SIG_IGN);
}

__attribute__((noreturn)) static int deaf(void)
{
        ignore_signals();
        for (volatile unsigned i = 0;; i++)
                ;
}

/* A process of its own session, deaf, whose parent is gone. */
static bool become_daemon(void)
{
        if (fork() != 0)
                return false;
        (void) setsid();
        if (fork() != 0)
                _exit(0);
        ignore_signals();
        return true;
}

static int daemon_left(void)
{
        if (become_daemon())
                for (;;)
                        sleep_milliseconds(1);
        return finish();
}

static int output_held(void)
{
        if (become_daemon())
                for (;;) {
                        (void) !write(STDOUT_FILENO, "x", 1);
                        sleep_milliseconds(1);
                }
        return finish();
}

/* Each of the two texts is whole: only a result that was read while it was exchanged could
 * be anything else. */
static int result_rewritten(void)
{
        int r = out_text("{\"by\": \"parent\"}");

        if (become_daemon())
                for (;;) {
                        FILE *f = out_open("next");

                        (void) fputs("{\"by\": \"child\"}", f);
                        (void) fclose(f);
                        (void) rename("/mnt/exercism-iteration/next",
                                      "/mnt/exercism-iteration/results.json");
                }
        return r;
}

static int stop_init(void)
{
        TRY("stop", kill(1, SIGSTOP));
        TRY("kill", kill(1, SIGKILL));
        TRY("parent", kill(getppid(), SIGSTOP));
        TRY("queue", syscall(SYS_rt_sigqueueinfo, 1, SIGSTOP, NULL));
        TRY("pidfd", syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, 1, 0), SIGSTOP, NULL, 0));
        return finish();
}

static int kill_all(void)
{
        if (fork() == 0) {
                (void) kill(-1, SIGKILL);
                wait_for_the_end();
        }
        wait_for_the_end();
}

static int stopped_children(void)
{
        pid_t child = fork();

        if (child == 0) {
                note("traced", ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0);
                (void) raise(SIGSTOP);
                wait_for_the_end();
        }
        (void) waitpid(child, NULL, WUNTRACED);
        TRY("attach", ptrace(PTRACE_ATTACH, child, NULL, NULL));
        TRY("seize", ptrace(PTRACE_SEIZE, child, NULL, NULL));
        return finish();
}

/* A parent within vfork waits without being interruptible, but for what kills it. */
static int uninterruptible(void)
{
        TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
        TRY("fuse", open("/dev/fuse", O_RDWR));
        if (vfork() == 0)
                wait_for_the_end();
        return 0;
}

static int freeze(void)
{
        TRY("freeze", open("/sys/fs/cgroup/cgroup.freeze", O_WRONLY));
        TRY("procs", open("/sys/fs/cgroup/cgroup.procs", O_WRONLY));
        return finish();
}

/* Never many at once, and never the same for long. */
static int runaway(void)
{
        for (int i = 0; i < 4; i++)
                if (fork() == 0)
                        break;
        (void) signal(SIGCHLD, SIG_IGN);
        for (;;)
                if (fork() != 0)
                        _exit(0);
}

static int runaway_beside_parent(void)
{
        if (fork() == 0)
                (void) runaway();
        wait_for_the_end();
}

static void *spin(void *unused)
{
        for (volatile unsigned i = 0;; i++)
                ;
        return NULL;
}

static int threads_spin(void)
{
        pthread_t id;

        (void) pthread_create(&id, NULL, spin, NULL);
        (void) spin(NULL);
        return 0;
}

static int subreaper(void)
{
        TRY("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1));
        TRY("death_signal", prctl(PR_SET_PDEATHSIG, 0));
        if (become_daemon()) {
                (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
                for (;;)
                        sleep_milliseconds(1);
        }
        return finish();
}

static int clocks(void)
{
        struct timespec t = { .tv_sec = 1 };
        struct timeval v = { .tv_sec = 1 };

        TRY("settime", clock_settime(CLOCK_REALTIME, &t));
        TRY("settimeofday", settimeofday(&v, NULL));
        TRY("adjust", syscall(SYS_adjtimex, NULL));
        return finish();
}

const Case cases_b[] = {
        { "B1", asleep },
        { "B2", in_select },
        { "B3", stopped },
        { "B4", deaf },
        { "B5", daemon_left },
        { "B6", output_held },
        { "B7", result_rewritten },
        { "B8", stop_init },
        { "B9", kill_all },
        { "B10", stopped_children },
        { "B11", uninterruptible },
        { "B12", freeze },
        { "B13", runaway_beside_parent },
        { "B15", threads_spin },
        { "B16", subreaper },
        { "B17", clocks },
        { "B17-jump", asleep },
        {},
};
