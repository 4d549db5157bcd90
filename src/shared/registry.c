/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program says on its standard output, a JSON object a line, how far it is ("done", "total") and at last
 * what came of it. Both of its output streams are one pipe here: a line that is no object is kept as the
 * reason, should it end without having said one. It has a time limit of its own; the one here is for a
 * program that hangs. */

#include "registry.h"

#include "process-util.h"
#include "registry-output.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM          PKGLIBEXECDIR "/pipeline-registry"
#define LINE_SIZE_MAX    (2U * 1024U * 1024U) /* a list is one line */
#define CHUNK_SIZE       65536U
#define ARGUMENTS_MAX    8U
#define TIME_ASK         (25 * USEC_PER_SEC) /* resolve, list */
#define TIME_MARGIN      (10 * USEC_PER_SEC)
#define TIMER_ACCURACY   (100 * USEC_PER_MSEC)
#define CODE_UNAVAILABLE 503U

struct RegistryCall {
        const RegistryHandlers *handlers;
        void *userdata;
        pid_t pid; /* 0: reaped */
        int output_fd;
        sd_event_source *output, *end, *timer;
        Buffer line; /* begun */
        RegistryOutput said;
};

static const char *const VERBS[_REGISTRY_VERB_MAX] = {
        [REGISTRY_RESOLVE] = "resolve",
        [REGISTRY_LIST] = "list",
        [REGISTRY_FETCH] = "fetch",
        [REGISTRY_PUSH] = "push",
};

/* Of ours, what the program may need to get there and to say who asks. */
static const char *const PASSED_ON[] = {
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CREDENTIALS_DIRECTORY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_ENDPOINT_URL_ECR",
        "PIPELINE_LOG_LEVEL",
};

RegistryCall *registry_call_free(RegistryCall *call)
{
        if (!call)
                return NULL;
        sd_event_source_disable_unref(call->output);
        sd_event_source_disable_unref(call->end);
        sd_event_source_disable_unref(call->timer);
        if (call->pid > 0) {
                (void) kill(call->pid, SIGKILL);
                (void) waitpid(call->pid, NULL, 0);
        }
        safe_close(call->output_fd);
        buffer_done(&call->line);
        registry_output_done(&call->said);
        free(call);
        return NULL;
}

/* What it says */

static int take_line(RegistryCall *call, const char *line)
{
        uint64_t done_size, total_size;
        int r = registry_output_take(&call->said, line, &done_size, &total_size);

        if (r != REGISTRY_PROGRESS)
                return r;
        return call->handlers->progress
                       ? call->handlers->progress(call, done_size, total_size, call->userdata)
                       : 0;
}

static int take_lines(RegistryCall *call)
{
        for (uint8_t *end; (end = memchr(call->line.data, '\n', call->line.size));) {
                int r;

                *end = '\0';
                r = take_line(call, (char *) call->line.data);
                if (r < 0)
                        return r;
                buffer_consume(&call->line, (size_t) (end + 1 - call->line.data));
        }
        return 0;
}

enum {
        READ_NOTHING = 1, /* nothing more is there now */
        READ_END = 2,
};

static int read_output(RegistryCall *call)
{
        uint8_t chunk[CHUNK_SIZE];
        ssize_t n = read(call->output_fd, chunk, sizeof(chunk));
        int r;

        if (n < 0)
                return errno == EINTR ? 0 : errno == EAGAIN ? READ_NOTHING : -errno;
        if (n == 0)
                return READ_END;
        r = buffer_append(&call->line, chunk, (size_t) n, LINE_SIZE_MAX);
        if (r == -ENOBUFS) { /* of no use to anybody */
                buffer_consume(&call->line, call->line.size);
                return 0;
        }
        return r < 0 ? r : take_lines(call);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        RegistryCall *call = userdata;
        int r = read_output(call);

        return r == READ_END ? sd_event_source_set_enabled(source, SD_EVENT_OFF) : MIN(r, 0);
}

/* Its end */

static int end(RegistryCall *call, const RegistryAnswer *answer)
{
        (void) sd_event_source_set_enabled(call->output, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(call->end, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(call->timer, SD_EVENT_OFF);
        return call->handlers->ended(call, answer, call->userdata);
}

static int fail(RegistryCall *call, const char *error)
{
        const RegistryAnswer answer = { .code = CODE_UNAVAILABLE, .error = error };

        return end(call, &answer);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        RegistryCall *call = userdata;
        RegistryAnswer answer = {};
        int status, r;

        if (waitpid(call->pid, &status, WNOHANG) != call->pid)
                return 0;
        call->pid = 0;
        do /* what it wrote before it ended */
                r = read_output(call);
        while (r == 0);
        if (r < 0)
                return r;
        registry_output_answer(&call->said, &answer);
        return end(call, &answer);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        RegistryCall *call = userdata;

        (void) kill(call->pid, SIGKILL); /* it is reaped with the call */
        return fail(call, "the registry did not answer in time");
}

/* Its start */

static int make_environment(const RegistrySettings *settings, char ***ret)
{
        _cleanup_(strv_freep) char **environment = NULL;
        int r;

        r = registry_settings_to_environment(settings, &environment);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(PASSED_ON); i++) {
                const char *value = getenv(PASSED_ON[i]);
                _cleanup_free_ char *variable = NULL;

                if (!value)
                        continue;
                variable = string_format("%s=%s", PASSED_ON[i], value);
                r = variable ? strv_extend(&environment, variable) : -ENOMEM;
        }
        if (r == 0)
                *ret = TAKE_PTR(environment);
        return r;
}

static int make_arguments(const RegistryQuestion *question, char ***ret)
{
        const char *const words[ARGUMENTS_MAX] = {
                PROGRAM, VERBS[question->verb], "--", question->channel, question->track,
        };
        const char *const further[] = { question->folder, question->digest, question->version };
        _cleanup_(strv_freep) char **argv = NULL;
        int r = 0;

        for (size_t i = 0; words[i] && r == 0; i++)
                r = strv_extend(&argv, words[i]);
        for (size_t i = 0; i < ARRAY_SIZE(further) && r == 0; i++)
                if (further[i])
                        r = strv_extend(&argv, further[i]);
        for (char *const *tag = question->tags; tag && *tag && r == 0; tag++)
                r = strv_extend(&argv, *tag);
        if (r == 0)
                *ret = TAKE_PTR(argv);
        return r;
}

static int spawn(RegistryCall *call, const RegistrySettings *settings, const RegistryQuestion *question)
{
        _cleanup_(strv_freep) char **argv = NULL, **environment = NULL;
        _cleanup_close_ int write_fd = -EBADF;
        ProcessOptions options = {};
        int fds[2], r;

        r = make_arguments(question, &argv);
        if (r == 0)
                r = make_environment(settings, &environment);
        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        call->output_fd = fds[0];
        write_fd = fds[1];
        r = fd_set_nonblock(call->output_fd, true);
        if (r < 0)
                return r;
        options.argv = (const char *const *) argv;
        options.environment = (const char *const *) environment;
        return process_spawn(&options, write_fd, &call->pid);
}

static int watch(RegistryCall *call, sd_event *event, usec_t time)
{
        _cleanup_close_ int pid_fd = (int) syscall(SYS_pidfd_open, call->pid, 0);
        int r;

        if (pid_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &call->output, call->output_fd, EPOLLIN, on_output, call);
        if (r >= 0)
                r = sd_event_add_io(event, &call->end, pid_fd, EPOLLIN, on_end, call);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(call->end, true);
        if (r < 0)
                return r;
        pid_fd = -EBADF;
        r = sd_event_add_time_relative(event, &call->timer, CLOCK_MONOTONIC, time, TIMER_ACCURACY, on_timer,
                                       call);
        return r < 0 ? r : 0;
}

int registry_call_new(sd_event *event, const RegistrySettings *settings, const RegistryQuestion *question,
                      const RegistryHandlers *handlers, void *userdata, RegistryCall **ret)
{
        _cleanup_(registry_call_freep) RegistryCall *call = malloc(sizeof(RegistryCall));
        bool is_question = question->verb == REGISTRY_RESOLVE || question->verb == REGISTRY_LIST;
        int r;

        if (!call)
                return -ENOMEM;
        *call = (RegistryCall){ .handlers = handlers, .userdata = userdata, .output_fd = -EBADF };
        r = spawn(call, settings, question);
        if (r >= 0)
                r = watch(call, event, is_question ? TIME_ASK : settings->time_usec + TIME_MARGIN);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

/* What was fetched */

void registry_fetched_remove(const char *folder, const char *digest)
{
        _cleanup_close_ int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock_fd = -EBADF;
        _cleanup_free_ char *lock = string_format("%s.lock", digest_hex(digest));

        if (folder_fd < 0 || !lock)
                return;
        lock_fd = openat(folder_fd, lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (lock_fd < 0 || flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
                return;
        if (tree_remove(folder_fd, digest_hex(digest)) < 0)
                return; /* it is old one day, and removed then */
}
