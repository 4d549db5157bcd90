/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between fork and execve the new process gives up, in this order, everything a guest must not have: the
 * session and its terminal, descriptors, rank before the OOM killer, resources, capabilities, ids, keyring,
 * and at last system calls. Each stage is a row of one table; the first that fails is named to pipeline-init
 * through a pipe that closes by itself when the program is executed. */

#include "guest.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "confine.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUEST_PATH_DEFAULT  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define GUEST_OOM_SCORE     "1000"
#define GUEST_FIRST_FREE_FD 3

/* What one stage works with, in the new process. */
typedef struct Start {
        const Conversation *job;
        int output_fds[2]; /* the write ends */
        int failure_fd;
} Start;

/* Sent through the pipe. */
typedef struct GuestFailure {
        uint32_t stage;
        int32_t error;
} GuestFailure;

static int begin_session(Start *start)
{
        sigset_t none;

        (void) sigemptyset(&none);
        (void) umask(022);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setsid() < 0)
                return -errno;
        return 0;
}

static int arrange_descriptors(Start *start)
{
        _cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int failure_fd;

        /* Above all others first, so that none of the moves below closes it. */
        failure_fd = fcntl(start->failure_fd, F_DUPFD_CLOEXEC, 64);
        if (failure_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
            dup2(start->output_fds[0], STDOUT_FILENO) < 0 || dup2(start->output_fds[1], STDERR_FILENO) < 0 ||
            dup3(failure_fd, GUEST_FIRST_FREE_FD, O_CLOEXEC) < 0 ||
            close_range(GUEST_FIRST_FREE_FD + 1, UINT_MAX, 0) < 0)
                return -errno;
        start->failure_fd = GUEST_FIRST_FREE_FD;
        null_fd = -EBADF; /* closed above */
        return 0;
}

static int become_oom_victim(Start *start)
{
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : write_all(fd, GUEST_OOM_SCORE, strlen(GUEST_OOM_SCORE));
}

static int limit_resources(Start *start)
{
        return confine_resources(start->job->setup.open_files);
}

/* The bounding set can only be emptied while there is a capability to do it with, the ids only changed with
 * two others; what is left after that goes last, also where the kernel was told to keep it. */
static int drop_privileges(Start *start)
{
        uid_t id = (uid_t) start->job->setup.guest_id;
        int r;

        r = confine_capabilities(CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID));
        if (r < 0)
                return r;
        if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
                return -errno;
        r = capability_keep(0);
        if (r < 0)
                return r;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* Charged to the guest's own id, so that guests do not share a quota. */
static int join_new_keyring(Start *start)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
                return -errno;
        return 0;
}

static int enter_folder(Start *start)
{
        return chdir(start->job->folder) < 0 ? -errno : 0;
}

static int load_filters(Start *start)
{
        for (size_t i = 0; i < start->job->n_filters; i++) {
                const Buffer *filter = &start->job->filters[i];
                struct sock_fprog program = {
                        .len = (unsigned short) (filter->size / sizeof(struct sock_filter)),
                        .filter = (struct sock_filter *) filter->data,
                };

                if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                        return -errno;
        }
        return 0;
}

static const char *search_path(char *const *environment)
{
        for (; *environment; environment++) {
                const char *value = string_after(*environment, "PATH=");

                if (value)
                        return value;
        }
        return GUEST_PATH_DEFAULT;
}

/* Like execvpe(3), but with the PATH of the guest, and without giving what is not a program to a shell. */
static int execute(Start *start)
{
        char **arguments = start->job->arguments, **environment = start->job->environment;
        const char *part, *end;
        int error = -ENOENT;

        if (strchr(arguments[0], '/')) {
                (void) execve(arguments[0], arguments, environment);
                return -errno;
        }
        for (part = search_path(environment);; part = end + 1) {
                char path[PATH_MAX];
                int n;

                end = strchrnul(part, ':');
                n = snprintf(path, sizeof(path), "%.*s%s%s", (int) MIN(end - part, PATH_MAX), part,
                             end > part ? "/" : "", arguments[0]);
                if (n > 0 && (size_t) n < sizeof(path)) {
                        (void) execve(path, arguments, environment);
                        if (errno == EACCES)
                                error = -EACCES;
                        else if (errno != ENOENT && errno != ENOTDIR)
                                return -errno;
                }
                if (*end == '\0')
                        return error;
        }
}

static const struct {
        int (*run)(Start *start);
        const char *text;
        uint16_t flags;
} stages[] = {
        { begin_session, "cannot begin a session for the guest", 0 },
        { arrange_descriptors, "cannot arrange the guest's descriptors", 0 },
        { become_oom_victim, "cannot set the guest's OOM score", 0 },
        { limit_resources, "cannot limit the guest's resources", 0 },
        { drop_privileges, "cannot drop the guest's privileges", 0 },
        { join_new_keyring, "cannot give the guest a keyring of its own", 0 },
        { enter_folder, "cannot enter the working folder", FRAME_FLAG_PROGRAM },
        { load_filters, "cannot load the seccomp filters", 0 },
        { execute, "cannot execute the program", FRAME_FLAG_PROGRAM },
};

static _Noreturn void run_stages(Start *start)
{
        for (uint32_t i = 0; i < ARRAY_SIZE(stages); i++) {
                GuestFailure failure = { .stage = i, .error = stages[i].run(start) };

                if (failure.error < 0) /* where even that cannot be said, the exit status has to do */
                        _exit(write_all(start->failure_fd, &failure, sizeof(failure)) < 0 ? 255 : 1);
        }
        _exit(EXIT_SUCCESS); /* not reached: the last stage executes the program or fails */
}

static int make_pipes(int pipes[3][2])
{
        for (size_t i = 0; i < 3; i++)
                if (pipe2(pipes[i], O_CLOEXEC) < 0)
                        return -errno;
        for (size_t i = 0; i < 2; i++) {
                int r = fd_set_nonblock(pipes[i][0], true);

                if (r < 0)
                        return r;
        }
        return 0;
}

int guest_start(const Conversation *job, Guest *ret)
{
        int pipes[3][2];
        pid_t pid;
        int r;

        r = make_pipes(pipes);
        if (r < 0)
                return r;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                run_stages(&(Start){
                        .job = job, .output_fds = { pipes[0][1], pipes[1][1] }, .failure_fd = pipes[2][1] });
        for (size_t i = 0; i < 3; i++)
                safe_close(pipes[i][1]);
        *ret = (Guest){ .pid = pid, .start_fd = pipes[2][0], .output_fds = { pipes[0][0], pipes[1][0] } };
        return 0;
}

static const char *stage_subject(uint32_t stage, const Conversation *job)
{
        return stages[stage].run == execute        ? job->arguments[0]
               : stages[stage].run == enter_folder ? job->folder
                                                   : NULL;
}

int guest_check_start(const Guest *guest, const Conversation *job, char **ret_text, uint16_t *ret_flags)
{
        GuestFailure failure;
        const char *subject;
        ssize_t n;

        n = read_full(guest->start_fd, &failure, sizeof(failure));
        if (n < 0)
                return (int) n;
        if (n == 0)
                return 0;
        if (n != sizeof(failure) || failure.stage >= ARRAY_SIZE(stages))
                return -EPROTO;
        subject = stage_subject(failure.stage, job);
        *ret_text = subject ? string_format("%s '%s': %s", stages[failure.stage].text, subject,
                                            strerror(-failure.error))
                            : string_format("%s: %s", stages[failure.stage].text, strerror(-failure.error));
        if (!*ret_text)
                return -ENOMEM;
        *ret_flags = stages[failure.stage].flags;
        return GUEST_FAILED;
}
