/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build is a line of steps that each wait for something, so it is a process of its own: this program
 * again, with the verb `build`. It reads the job from its standard input and writes lines of JSON
 * (build-report.c); whatever becomes of it, the end of its output is the end of the build, and the build has
 * an outcome. It leads a process group: cancelled, all of it is killed. */

#include "task-build.h"

#include "build-work.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER_PREFIX  "build-"
#define LINE_SIZE_MAX  (2U * 1024U * 1024U)
#define READ_SIZE      (16U * 1024U)
#define MARGIN_USEC    (60 * USEC_PER_SEC)
#define TIMER_ACCURACY (100 * USEC_PER_MSEC)
#define WORDS_MAX      16U

typedef struct Build {
        TaskContext context;
        Job job;
        pid_t pid; /* 0: none */
        sd_event_source *output, *timer;
        Buffer line;
        char *last; /* what it said last */
        usec_t deadline_usec;
        unsigned code; /* 0: it has not said */
        char *error;
        json_object *said; /* its last line */
} Build;

char *task_build_folder(const char *folder, const char *job)
{
        return string_format("%s/" FOLDER_PREFIX "%s", folder, job);
}

int task_build_clear(const char *folder)
{
        _cleanup_folder_ DIR *directory = opendir(folder);
        struct dirent *entry;
        int r = directory ? 0 : -errno;

        while (r == 0 && (r = folder_next(directory, &entry)) > 0)
                r = string_after(entry->d_name, FOLDER_PREFIX) ? tree_remove(dirfd(directory), entry->d_name)
                                                               : 0;
        return r;
}

static void end_process(Build *build)
{
        if (build->pid > 0) {
                (void) kill(-build->pid, SIGKILL);
                (void) kill(build->pid, SIGKILL);
                (void) waitpid(build->pid, NULL, 0);
        }
        build->pid = 0;
}

static void build_free(void *userdata)
{
        Build *build = userdata;
        _cleanup_free_ char *folder = NULL;

        if (!build)
                return;
        sd_event_source_disable_unref(build->output);
        sd_event_source_disable_unref(build->timer);
        end_process(build);
        folder = task_build_folder(build->context.host->settings->folder, build->job.job);
        if (folder && tree_remove(AT_FDCWD, folder) < 0)
                log_warning("What build %s left cannot be removed", build->job.job);
        buffer_done(&build->line);
        job_done(&build->job);
        free(build->last);
        free(build->error);
        json_object_put(build->said);
        free(build);
}

/* The end */

static int finish(Build *build, unsigned code, char *error)
{
        if (build->code == 0) {
                build->code = code;
                build->error = error;
        } else
                free(error);
        if (!build->error && build->code != STATUS_OK)
                return -ENOMEM;
        sd_event_source_disable_unref(TAKE_PTR(build->output));
        (void) sd_event_source_set_enabled(build->timer, SD_EVENT_OFF);
        end_process(build);
        return build->context.ended(build->context.task);
}

static int build_cancel(void *userdata, const char *reason)
{
        return finish(userdata, STATUS_TERMINATED,
                      reason ? string_format("it was cancelled: %s", reason) : strdup("it was cancelled"));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Build *build = userdata;

        return finish(
                build, STATUS_TIMED_OUT,
                string_format("the build took too long; the last it did: %s", build->last ?: "nothing"));
}

/* What it says */

static int take_progress(Build *build, json_object *progress)
{
        const char *text = json_text(progress, "text");

        if (!text)
                return 0;
        free(build->last);
        build->last = strdup(text);
        return build->context.progress(
                build->context.task, json_object_get_uint64(json_object_object_get(progress, "step")),
                json_object_get_uint64(json_object_object_get(progress, "steps")), text);
}

static int take_line(Build *build, const char *line, size_t size)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *wrong = NULL;
        json_object *progress;
        int r = json_object_from_bytes(line, size, &object, &wrong);

        if (r != 0)
                return MIN(r, 0);
        progress = json_object_object_get(object, "progress");
        if (progress)
                return take_progress(build, progress);
        build->code = (unsigned) json_object_get_int(json_object_object_get(object, "code"));
        free(build->error);
        build->error = strdup(json_text(object, "error") ?: "");
        json_object_put(build->said);
        build->said = TAKE_PTR(object);
        return build->error ? 0 : -ENOMEM;
}

static int take_lines(Build *build)
{
        for (;;) {
                const char *newline =
                        build->line.size > 0 ? memchr(build->line.data, '\n', build->line.size) : NULL;
                size_t n;
                int r;

                if (!newline)
                        return 0;
                n = (size_t) (newline - (const char *) build->line.data);
                r = take_line(build, (const char *) build->line.data, n);
                if (r < 0)
                        return r;
                buffer_consume(&build->line, n + 1);
        }
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Build *build = userdata;
        uint8_t chunk[READ_SIZE];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        int r;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                return finish(build, STATUS_WORKER_ERROR,
                              string_format("the build was killed; the last it did: %s",
                                            build->last ?: "nothing"));
        r = buffer_append(&build->line, chunk, (size_t) n, LINE_SIZE_MAX);
        if (r == -ENOBUFS)
                return finish(build, STATUS_WORKER_ERROR, strdup("the build said too much in one line"));
        return r < 0 ? r : take_lines(build);
}

/* The process */

_Noreturn static void execute(char *const *words, int socket_fd)
{
        sigset_t none;

        (void) sigemptyset(&none);
        if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(socket_fd, STDIN_FILENO) < 0 ||
            dup2(socket_fd, STDOUT_FILENO) < 0 || signal(SIGPIPE, SIG_DFL) == SIG_ERR ||
            sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(EXIT_FAILURE);
        (void) execv("/proc/self/exe", words);
        _exit(EXIT_FAILURE);
}

static int spawn(Build *build, int *ret_fd)
{
        const char *const *own = build->context.userdata;
        char *words[WORDS_MAX] = { (char *) "pipeline-builder", (char *) "build" };
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        int sockets[2];

        for (size_t i = 0, n = 2; own[i] && n < WORDS_MAX - 1; i++, n++)
                words[n] = (char *) own[i];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return -errno;
        ours = sockets[0];
        theirs = sockets[1];
        build->pid = fork();
        if (build->pid < 0) {
                build->pid = 0;
                return -errno;
        }
        if (build->pid == 0)
                execute(words, theirs);
        *ret_fd = TAKE_FD(ours);
        return 0;
}

static int send_job(const Build *build, int fd)
{
        _cleanup_json_ json_object *object = job_to_json(&build->job);
        const char *text = object ? json_object_text(object) : NULL;
        int r = text ? write_all(fd, text, strlen(text)) : -ENOMEM;

        if (r == 0 && shutdown(fd, SHUT_WR) < 0)
                return -errno;
        return r;
}

static int build_start(void *userdata)
{
        Build *build = userdata;
        _cleanup_close_ int fd = -EBADF;
        int r = spawn(build, &fd);

        if (r == 0)
                r = send_job(build, fd);
        if (r == 0)
                r = fd_set_nonblock(fd, true);
        if (r == 0)
                r = sd_event_add_io(build->context.host->event, &build->output, fd, EPOLLIN, on_output,
                                    build);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(build->output, true);
        if (r < 0)
                return finish(build, STATUS_WORKER_ERROR,
                              string_format("the build cannot begin: %s", strerror(-r)));
        (void) TAKE_FD(fd);
        return 0;
}

static int build_new(const TaskContext *context, Job *job, void **ret)
{
        Build *build = calloc(1, sizeof(Build));
        int r;

        if (!build)
                return -ENOMEM;
        build->context = *context;
        build->job = *job;
        *job = (Job){};
        build->deadline_usec = now_usec(CLOCK_MONOTONIC) + build->job.build_usec + MARGIN_USEC;
        r = sd_event_add_time(context->host->event, &build->timer, CLOCK_MONOTONIC, build->deadline_usec,
                              TIMER_ACCURACY, on_timer, build);
        if (r < 0) {
                build_free(build);
                return r;
        }
        *ret = build;
        return 0;
}

static const Job *build_job(const void *userdata)
{
        return &((const Build *) userdata)->job;
}

static usec_t build_deadline(const void *userdata)
{
        return ((const Build *) userdata)->deadline_usec;
}

/* The outcome */

static int put_object(Buffer *part, json_object *object)
{
        const char *text = object ? json_object_text(object) : NULL;

        return text ? buffer_append(part, text, strlen(text), PEER_PART_SIZE_MAX) : -ENOMEM;
}

static int put_context(const Build *build, Buffer *part)
{
        _cleanup_json_ json_object *context = json_object_new_object();

        if (!context || json_add_text(context, "job", build->job.job) < 0 ||
            json_add_text(context, "worker", build->context.host->settings->name) < 0)
                return -ENOMEM;
        return put_object(part, context);
}

/* Of a build that did not come to say it itself. */
static int put_detail(const Build *build, Buffer *part)
{
        json_object *said = json_object_object_get(build->said, "error_detail");
        _cleanup_json_ json_object *detail = NULL;

        if (said)
                return put_object(part, said);
        detail = json_object_new_object();
        if (!detail || json_add_text(detail, "step", build->last ?: "start") < 0)
                return -ENOMEM;
        return put_object(part, detail);
}

static int build_outcome(const void *userdata, OutcomeText *ret)
{
        const Build *build = userdata;
        OutcomeText text = { .outcome = { .status_code = build->code } };
        int r = put_context(build, &text.parts[OUTCOME_CONTEXT]);

        text.outcome.job = strdup(build->job.job);
        text.outcome.token = strdup(build->job.token);
        text.outcome.resend_key = build->job.resend_key ? strdup(build->job.resend_key) : NULL;
        if (build->code != STATUS_OK)
                text.outcome.error = strdup(build->error);
        if (!text.outcome.job || !text.outcome.token || (build->code != STATUS_OK && !text.outcome.error))
                r = -ENOMEM;
        if (r == 0)
                r = build->code == STATUS_OK ? put_object(&text.parts[OUTCOME_RESPONSE],
                                                          json_object_object_get(build->said, "response"))
                                             : put_detail(build, &text.parts[OUTCOME_ERROR_DETAIL]);
        if (r < 0)
                outcome_text_done(&text);
        else
                *ret = text;
        return r;
}

const TaskType task_build = {
        .new = build_new,
        .start = build_start,
        .cancel = build_cancel,
        .free = build_free,
        .job = build_job,
        .deadline = build_deadline,
        .outcome = build_outcome,
};
