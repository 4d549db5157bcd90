/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process is made, and waits; a scope is put around it; when the scope's limits were read back from the
 * kernel it is released. What may end it early is one fault, the first. */

#include "box.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "rootless/cgroup-watch.h"
#include "rootless/confined.h"
#include "shared/log.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* For our own process and buildah, beside what the plan allows. */
#define OWN_PROCESSES   32U
#define START_USEC      (30 * USEC_PER_SEC)
#define LAST_USEC       (60 * USEC_PER_SEC) /* of the scope, for when this daemon is gone */
#define ERRORS_SIZE_MAX 1024U

/* To mount, to change ids, and what RUN steps have by custom; all of it in the namespace alone. */
#define CAPABILITIES                                                                      \
        (CAPABILITY(CAP_SYS_ADMIN) | CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_SETUID) | \
         CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_SETPCAP) | CAPABILITY(CAP_KILL) |        \
         CAPABILITY(CAP_SYS_CHROOT) | CAPABILITY(CAP_NET_BIND_SERVICE))

struct Box {
        BoxOptions options;
        BuildInside inside;
        CgroupLimits limits;
        ConfinedProcess process;
        FrameStream stream;
        Scope *scope;
        Cgroup cgroup;
        CgroupWatch watch;
        sd_event_source *child, *timer;
        usec_t started_usec; /* 0: not yet */
        uint64_t written;
        bool is_over, is_ended;
};

static const char *const limit_names[_BOX_FAULT_MAX] = {
        [BOX_WALL_TIME] = "wall_time",
        [BOX_MEMORY] = "memory",
        [BOX_PROCESSES] = "processes",
        [BOX_WRITTEN] = "written",
};

const char *box_fault_limit(BoxFault fault)
{
        return limit_names[fault];
}

/* Faults */

static void fault(Box *box, BoxFault what, const char *text)
{
        if (box->is_over)
                return;
        box->is_over = true;
        box->options.handlers->fault(box, what, text, box->options.userdata);
}

static void fault_errno(Box *box, int error, const char *what)
{
        _cleanup_free_ char *text = string_format("%s: %s", what, strerror(-error));

        fault(box, BOX_SETUP, text ?: what);
}

static const struct {
        BoxFault fault;
        const char *text;
} cgroup_faults[_CGROUP_FAULT_MAX] = {
        [CGROUP_FAULT_MEMORY] = { BOX_MEMORY, "the build takes too much memory" },
        [CGROUP_FAULT_PROCESSES] = { BOX_PROCESSES, "the build has too many processes" },
};

bool box_check_fault(const Box *box, BoxFault *ret)
{
        CgroupFault what;

        if (!cgroup_check_fault(&box->cgroup, &what))
                return false;
        *ret = cgroup_faults[what].fault;
        return true;
}

static void on_cgroup_fault(CgroupFault what, void *userdata)
{
        fault(userdata, cgroup_faults[what].fault, cgroup_faults[what].text);
}

static const CgroupWatchHandlers watch_handlers = { .fault = on_cgroup_fault };

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Box *box = userdata;

        if (box->started_usec > 0)
                fault(box, BOX_WALL_TIME, "the build took too long");
        else
                fault(box, BOX_SETUP, "the user manager did not make a scope in time");
        return 0;
}

void box_set_written(Box *box, uint64_t bytes)
{
        box->written = MAX(box->written, bytes);
        if (bytes > box->inside.plan->limits.written_bytes)
                fault(box, BOX_WRITTEN, "the build takes too much disk");
}

void box_end_for_depth(Box *box)
{
        fault(box, BOX_WRITTEN, "the build takes too much disk: its folders lie too deep to be counted");
}

void box_end_for_disk(Box *box)
{
        fault(box, BOX_DIED, "the disk that builds are on is nearly full");
}

static char *read_errors(const Box *box)
{
        char text[ERRORS_SIZE_MAX];
        ssize_t n;

        if (fd_set_nonblock(box->process.result_fd, true) < 0)
                return NULL;
        n = read(box->process.result_fd, text, sizeof(text));
        return n > 0 ? string_escape(text, (size_t) n, sizeof(text)) : NULL;
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        Box *box = userdata;
        _cleanup_free_ char *text = read_errors(box);
        BoxFault what = BOX_DIED;

        box->process.pid = 0;
        (void) box_check_fault(box, &what);
        fault(box, what, text ?: "the build's first process was killed");
        return 0;
}

/* Frames */

static void on_frame(FrameStream *stream, const Frame *frame, int *fd, void *userdata)
{
        Box *box = userdata;

        if (box->started_usec == 0)
                fault(box, BOX_SETUP, "the build's first process spoke before it was asked");
        else if (!box->is_over)
                box->options.handlers->frame(box, frame, box->options.userdata);
}

static void on_drained(FrameStream *stream, void *userdata)
{
        Box *box = userdata;

        if (!box->is_over && box->options.handlers->drained)
                box->options.handlers->drained(box, box->options.userdata);
}

/* Its process ended, or will be found ended in a moment. */
static void on_stream_ended(FrameStream *stream, FrameStreamEnd end, void *userdata)
{
        if (end != FRAME_STREAM_CLOSED)
                fault(userdata, BOX_DIED, "the build's first process sent no frame");
}

static const FrameStreamHandlers stream_handlers = { on_frame, on_drained, on_stream_ended };

/* The scope */

static int check_limits(Box *box)
{
        int r = box->options.limits_enforced ? cgroup_check_limits(&box->cgroup, &box->limits) : 0;

        if (r > 0)
                fault(box, BOX_SETUP, "the kernel does not hold the limits of the scope");
        return r;
}

static int release(Box *box)
{
        int r;

        r = cgroup_open(box->process.pid, scope_name(box->scope), &box->cgroup);
        if (r < 0)
                return r;
        r = cgroup_watch_init(&box->watch, box->options.event, &box->cgroup, &watch_handlers, box);
        if (r < 0)
                return r;
        r = check_limits(box);
        if (r != 0)
                return MIN(r, 0);
        r = sd_event_source_set_time_relative(box->timer, box->inside.plan->limits.wall_usec);
        if (r < 0)
                return r;
        r = confined_release(&box->process);
        if (r < 0)
                return r;
        box->started_usec = now_usec(CLOCK_MONOTONIC);
        box->options.handlers->started(box, box->options.userdata);
        return 0;
}

static void on_scope(Scope *scope, int error, void *userdata)
{
        Box *box = userdata;
        int r;

        if (error < 0) {
                fault_errno(box, error, "the user manager refused the scope or its limits");
                return;
        }
        r = release(box);
        if (r < 0)
                fault_errno(box, r, "the scope cannot be looked at");
}

/* Lifecycle */

static int start_process(Box *box, int socket_fd)
{
        const ConfinedOptions options = {
                .identity = box->options.identity,
                .hidden = box->options.state_folder,
                .folder = box->options.folder,
                .main = build_inside,
                .userdata = &box->inside,
                .more_capabilities = CAPABILITIES,
        };

        box->inside.socket_fd = socket_fd;
        return confined_start(&options, &box->process);
}

static int start(Box *box)
{
        const BuildLimits *limits = &box->inside.plan->limits;
        _cleanup_close_ int theirs = -EBADF;
        int sockets[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return -errno;
        theirs = sockets[1];
        r = frame_stream_init(&box->stream, box->options.event, sockets[0], &stream_handlers, box);
        if (r < 0)
                return r;
        r = start_process(box, theirs);
        if (r < 0)
                return r;
        r = sd_event_add_child(box->options.event, &box->child, box->process.pid, WEXITED, on_child, box);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(box->options.event, &box->timer, CLOCK_MONOTONIC, START_USEC, 0,
                                       on_timer, box);
        if (r < 0)
                return r;
        box->limits = (CgroupLimits){ limits->memory_bytes, limits->processes + OWN_PROCESSES,
                                      limits->cpu_percent };
        return scope_new(box->options.scopes, box->inside.plan->job, box->process.pid, &box->limits,
                         limits->wall_usec + LAST_USEC, on_scope, box, &box->scope);
}

int box_new(const BoxOptions *options, Box **ret)
{
        _cleanup_(box_freep) Box *box = calloc(1, sizeof(Box));
        int r;

        if (!box)
                return -ENOMEM;
        box->options = *options;
        box->inside = *options->inside;
        box->process = CONFINED_PROCESS_INIT;
        box->cgroup = CGROUP_INIT;
        r = start(box);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(box);
        return 0;
}

/* The end of its first process is the end of all: it is PID 1 of their namespace. */
void box_end(Box *box)
{
        if (box->is_ended)
                return;
        box->is_ended = box->is_over = true;
        sd_event_source_disable_unref(box->child);
        if (cgroup_is_open(&box->cgroup) && cgroup_kill(&box->cgroup) < 0)
                log_debug("The control group of build %s is gone already", box->inside.plan->job);
        confined_process_done(&box->process);
        frame_stream_done(&box->stream);
        scope_free(box->scope);
        sd_event_source_disable_unref(box->timer);
        cgroup_watch_done(&box->watch);
        cgroup_done(&box->cgroup);
}

Box *box_free(Box *box)
{
        if (!box)
                return NULL;
        box_end(box);
        free(box);
        return NULL;
}

FrameStream *box_stream(Box *box)
{
        return &box->stream;
}

const char *box_scope_name(const Box *box)
{
        return box->scope ? scope_name(box->scope) : NULL;
}

void box_read_usage(const Box *box, BoxUsage *ret)
{
        bool has_group = cgroup_is_open(&box->cgroup);

        *ret = (BoxUsage){
                .wall_usec = box->started_usec > 0 ? now_usec(CLOCK_MONOTONIC) - box->started_usec : 0,
                .cpu_usec = has_group ? cgroup_cpu_usec(&box->cgroup) : 0,
                .memory_peak = has_group ? cgroup_memory_peak(&box->cgroup) : 0,
                .written = box->written,
        };
}
