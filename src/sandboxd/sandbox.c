/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a sandbox comes to be: the launcher forks a child that waits on a pipe; a scope is put around it; when
 * the scope's limits were read back from the kernel the child is released and becomes the OCI runtime, which
 * makes the container and starts pipeline-init as its PID 1; pipeline-init says READY over the one socket it
 * has.
 *
 * How it ends: its control group is killed, whatever state it was in. It is DEAD when the child was reaped
 * and the group is empty; only then its guest's id may be given to another. */

#include "sandbox.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNTIME_CGROUP "container" /* of runtimes that want one, below the scope */

#define NAME_BYTES      8U
#define ERRORS_SIZE_MAX 1024U

/* For the runtime and pipeline-init, beside what the guest may use. */
#define OWN_MEMORY_BYTES (UINT64_C(32) << 20)
#define OWN_PROCESSES    4U

/* What it takes to make a container. */
#define RUNTIME_PROCESSES UINT64_C(16)
#define RUNTIME_CPU       UINT64_C(100)

/* Of a host that is out of breath; a job's own set-up is shorter. */
#define START_USEC (30 * USEC_PER_SEC)
/* From the taking to INPUT_END. */
#define INPUT_USEC (60 * USEC_PER_SEC)
/* Beyond the guest's deadline, and for what it leaves: for when pipeline-init, which keeps both, fails. */
#define MARGIN_USEC  (3 * USEC_PER_SEC)
#define LEAVING_USEC (40 * USEC_PER_SEC)
/* All of them, of the scope, for when this daemon fails. */
#define LAST_USEC  (180 * USEC_PER_SEC)
#define RETRY_USEC (1 * USEC_PER_SEC)

#define AFTER(state) (1U << (state))

/* Which states each may follow, and what it is when one lasts too long. */
static const struct {
        unsigned after;
        const char *name, *late;
        SandboxFault fault;
} states[_SANDBOX_STATE_MAX] = {
        [SANDBOX_NEW] = { 0, "new", "the runtime's process did not begin in time" },
        [SANDBOX_SCOPING] = { AFTER(SANDBOX_NEW), "scoping",
                              "the user manager did not make a scope in time" },
        [SANDBOX_STARTING] = { AFTER(SANDBOX_SCOPING), "starting", "the container did not start in time" },
        [SANDBOX_PARKED] = { AFTER(SANDBOX_STARTING), "parked", "it was ready for long enough",
                             SANDBOX_FAULT_AGE },
        [SANDBOX_TAKEN] = { AFTER(SANDBOX_PARKED), "taken",
                            "the job's limits and input were not there in time" },
        [SANDBOX_TOLD] = { AFTER(SANDBOX_TAKEN), "told", "pipeline-init did not start the guest in time" },
        [SANDBOX_RUNNING] = { AFTER(SANDBOX_TOLD), "running",
                              "pipeline-init did not end the guest at its deadline", SANDBOX_FAULT_TIME },
        [SANDBOX_LEAVING] = { AFTER(SANDBOX_TOLD) | AFTER(SANDBOX_RUNNING), "leaving",
                              "what the guest left did not come in time" },
        [SANDBOX_ENDING] = { AFTER(SANDBOX_ENDING) - 1, "ending" }, /* any */
        [SANDBOX_DEAD] = { AFTER(SANDBOX_ENDING), "dead" },
};

static usec_t state_time(const Sandbox *sandbox, usec_t wall_usec)
{
        switch (sandbox->state) {
        case SANDBOX_PARKED:
                return sandbox->context->config->parked_usec;
        case SANDBOX_TAKEN:
                return INPUT_USEC;
        case SANDBOX_RUNNING:
                return wall_usec + MARGIN_USEC;
        case SANDBOX_LEAVING:
                return LEAVING_USEC;
        case SANDBOX_ENDING:
                return RETRY_USEC;
        default:
                return START_USEC;
        }
}

/* The only place where a sandbox changes its state. Each has a deadline. */
static int set_state(Sandbox *sandbox, SandboxState state, usec_t wall_usec)
{
        int r;

        assert(states[state].after & AFTER(sandbox->state));
        log_debug("Sandbox %s: %s, was %s", sandbox->name, states[state].name, states[sandbox->state].name);
        sandbox->state = state;
        if (state == SANDBOX_DEAD)
                return sd_event_source_set_enabled(sandbox->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time_relative(sandbox->timer, state_time(sandbox, wall_usec));
        if (r >= 0)
                r = sd_event_source_set_enabled(sandbox->timer, SD_EVENT_ONESHOT);
        return r == -ESTALE ? 0 : r; /* the loop has ended, and with it all timers */
}

static void fault(Sandbox *sandbox, SandboxFault what, const char *text)
{
        if (sandbox->state < SANDBOX_ENDING)
                sandbox->handlers->fault(sandbox, what, text, sandbox->owner);
}

static void fault_errno(Sandbox *sandbox, int error, const char *what)
{
        _cleanup_free_ char *text = string_format("%s: %s", what, strerror(-error));

        fault(sandbox, SANDBOX_FAULT_SETUP, text ?: what);
}

/* Guests' ids */

static int take_guest(Sandbox *sandbox)
{
        SandboxContext *context = sandbox->context;
        uint32_t n =
                MIN(identity_n_guests(context->identity), (uint32_t) ARRAY_SIZE(context->guests_used) * 64);

        for (uint32_t i = 0; i < n; i++) {
                if (context->guests_used[i / 64] & (UINT64_C(1) << (i % 64)))
                        continue;
                context->guests_used[i / 64] |= UINT64_C(1) << (i % 64);
                sandbox->guest = i;
                sandbox->has_guest = true;
                return 0;
        }
        return SANDBOX_NO_ID;
}

static void give_guest_back(Sandbox *sandbox)
{
        if (sandbox->has_guest)
                sandbox->context->guests_used[sandbox->guest / 64] &=
                        ~(UINT64_C(1) << (sandbox->guest % 64));
        sandbox->has_guest = false;
}

/* The end */

static void check_dead(Sandbox *sandbox)
{
        if (sandbox->state != SANDBOX_ENDING || sandbox->pid > 0 ||
            (cgroup_is_open(&sandbox->cgroup) && cgroup_is_populated(&sandbox->cgroup)))
                return;
        give_guest_back(sandbox);
        cgroup_watch_done(&sandbox->watch);
        if (set_state(sandbox, SANDBOX_DEAD, 0) < 0)
                log_warning("Sandbox %s: its timer cannot be stopped", sandbox->name);
        sandbox->context->dead(sandbox, sandbox->context->userdata);
}

static void kill_all(Sandbox *sandbox)
{
        int r = cgroup_is_open(&sandbox->cgroup) ? cgroup_kill(&sandbox->cgroup) : 0;

        if (r < 0 && r != -ENODEV && r != -ENOENT)
                log_warning("Cannot kill the control group of sandbox %s: %s", sandbox->name, strerror(-r));
        if (sandbox->pid > 0)
                (void) kill(sandbox->pid, SIGKILL);
}

void sandbox_end(Sandbox *sandbox)
{
        if (sandbox->state >= SANDBOX_ENDING)
                return;
        if (set_state(sandbox, SANDBOX_ENDING, 0) < 0)
                log_warning("Sandbox %s: its timer cannot be set", sandbox->name);
        cgroup_watch_end_faults(&sandbox->watch);
        frame_stream_done(&sandbox->stream);
        sandbox->scope = scope_free(sandbox->scope);
        kill_all(sandbox);
        check_dead(sandbox);
}

/* What the kernel tells */

static const struct {
        SandboxFault fault;
        const char *text;
} cgroup_faults[_CGROUP_FAULT_MAX] = {
        [CGROUP_FAULT_MEMORY] = { SANDBOX_FAULT_MEMORY, "it takes more memory than it may" },
        [CGROUP_FAULT_PROCESSES] = { SANDBOX_FAULT_PROCESSES, "it has more processes than it may" },
};

bool sandbox_check_fault(const Sandbox *sandbox, SandboxFault *ret)
{
        CgroupFault what;

        if (!cgroup_check_fault(&sandbox->cgroup, &what))
                return false;
        *ret = cgroup_faults[what].fault;
        return true;
}

static void on_cgroup_fault(CgroupFault what, void *userdata)
{
        fault(userdata, cgroup_faults[what].fault, cgroup_faults[what].text);
}

static void on_cgroup_empty(void *userdata)
{
        check_dead(userdata);
}

static const CgroupWatchHandlers watch_handlers = { on_cgroup_fault, on_cgroup_empty };

static void look_again(Sandbox *sandbox)
{
        (void) sd_event_source_set_time_relative(sandbox->timer, RETRY_USEC);
        (void) sd_event_source_set_enabled(sandbox->timer, SD_EVENT_ONESHOT);
}

static void kill_again(Sandbox *sandbox)
{
        log_warning("Sandbox %s is not gone yet: killing it again", sandbox->name);
        kill_all(sandbox);
        look_again(sandbox);
        check_dead(sandbox);
}

/* The guest is over its time: unless it is this daemon that was late, or its reader. Then that the guest has
 * ended was said and is not heard yet; so it is heard out once more. */
static bool is_guest_late(Sandbox *sandbox)
{
        if (!sandbox->is_overdue) {
                sandbox->is_overdue = true;
                look_again(sandbox);
                return false;
        }
        return !frame_stream_is_paused(&sandbox->stream) || sandbox_guest_ended(sandbox) < 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *sandbox = userdata;

        if (sandbox->state == SANDBOX_ENDING)
                kill_again(sandbox);
        else if (sandbox->state != SANDBOX_RUNNING || is_guest_late(sandbox))
                fault(sandbox, states[sandbox->state].fault, states[sandbox->state].late);
        return 0;
}

/* What the runtime had to say before it ended, safe to show. */
static char *read_errors(Sandbox *sandbox)
{
        char text[ERRORS_SIZE_MAX];
        ssize_t n = read(sandbox->errors_fd, text, sizeof(text));

        while (n > 0 && text[n - 1] == '\n')
                n--;
        return n > 0 ? string_escape(text, (size_t) n, sizeof(text)) : strdup("the OCI runtime ended");
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->pid = 0;
        if (sandbox->state < SANDBOX_ENDING) {
                _cleanup_free_ char *text = read_errors(sandbox);
                SandboxFault what = SANDBOX_FAULT_SETUP;

                (void) sandbox_check_fault(sandbox, &what);
                fault(sandbox, what, text ?: "the OCI runtime ended");
        }
        check_dead(sandbox);
        return 0;
}

/* pipeline-init */

static void on_frame(FrameStream *stream, const Frame *frame, int *fd, void *userdata)
{
        Sandbox *sandbox = userdata;

        if (sandbox->state == SANDBOX_STARTING && frame->type == FRAME_READY) {
                int r = set_state(sandbox, SANDBOX_PARKED, 0);

                if (r < 0)
                        fault_errno(sandbox, r, "set a timer");
                else
                        sandbox->handlers->ready(sandbox, sandbox->owner);
        } else if (sandbox->state >= SANDBOX_TAKEN && sandbox->state < SANDBOX_ENDING)
                sandbox->handlers->frame(sandbox, frame, sandbox->owner);
        else
                fault(sandbox, SANDBOX_FAULT_SETUP, "pipeline-init spoke before it was asked");
}

static void on_drained(FrameStream *stream, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->handlers->drained(sandbox, sandbox->owner);
}

/* The socket closes when pipeline-init ended: mostly killed with the guest, by a limit that is
 * known by now. */
static void on_stream_ended(FrameStream *stream, FrameStreamEnd end, void *userdata)
{
        Sandbox *sandbox = userdata;
        SandboxFault what = SANDBOX_FAULT_SETUP;

        /* Before it runs, the reason is what the runtime says when it ends. */
        if (sandbox->state == SANDBOX_STARTING && end == FRAME_STREAM_CLOSED)
                return;
        (void) sandbox_check_fault(sandbox, &what);
        fault(sandbox, what,
              end == FRAME_STREAM_CLOSED ? "pipeline-init ended" : "pipeline-init sent no frame");
}

static const FrameStreamHandlers stream_handlers = { on_frame, on_drained, on_stream_ended };

/* The scope */

static int check_limits(Sandbox *sandbox)
{
        int r;

        if (!sandbox->context->fitness->limits_enforced)
                return 0;
        r = cgroup_check_limits(&sandbox->cgroup, &sandbox->limits);
        if (r > 0)
                fault(sandbox, SANDBOX_FAULT_SETUP, "the kernel does not hold the limits of the scope");
        return r;
}

/* The scope is there: look at it, and let the child become the runtime. */
static int release(Sandbox *sandbox)
{
        int r;

        r = cgroup_open(sandbox->pid, scope_name(sandbox->scope), &sandbox->cgroup);
        if (r < 0)
                return r;
        r = cgroup_watch_init(&sandbox->watch, sandbox->context->event, &sandbox->cgroup, &watch_handlers,
                              sandbox);
        if (r < 0)
                return r;
        r = check_limits(sandbox);
        if (r != 0)
                return r;
        if (write(sandbox->release_fd, "", 1) != 1)
                return -errno;
        sandbox->release_fd = safe_close(sandbox->release_fd);
        return set_state(sandbox, SANDBOX_STARTING, 0);
}

static void on_scope(Scope *scope, int error, void *userdata)
{
        Sandbox *sandbox = userdata;
        int r;

        if (error < 0)
                fault_errno(sandbox, error, "the user manager refused the scope or its limits");
        else if (sandbox->state == SANDBOX_SCOPING) {
                r = release(sandbox);
                if (r < 0)
                        fault_errno(sandbox, r, "look at the scope");
        } else if (sandbox->state == SANDBOX_TAKEN && check_limits(sandbox) == 0)
                sandbox->handlers->limited(sandbox, sandbox->owner);
}

/* The runtime */

static int launch(Sandbox *sandbox)
{
        const LaunchOptions options = {
                .folder = sandbox->folder,
                .name = sandbox->name,
                .identity = sandbox->context->identity,
                .guest = sandbox->guest,
        };
        Launched process;
        int r = launcher_launch(sandbox->context->launcher, &options, &process);

        if (r < 0)
                return r;
        sandbox->pid = process.pid;
        sandbox->release_fd = process.release_fd;
        sandbox->errors_fd = process.errors_fd;
        r = sd_event_add_child(sandbox->context->event, &sandbox->child, sandbox->pid, WEXITED, on_child,
                               sandbox);
        if (r < 0) {
                safe_close(process.init_fd);
                return r;
        }
        return frame_stream_init(&sandbox->stream, sandbox->context->event, process.init_fd,
                                 &stream_handlers, sandbox);
}

/* Making, taking */

static int make_names(Sandbox *sandbox, const char *image)
{
        sandbox->name = random_hex(NAME_BYTES);
        sandbox->image = strdup(image);
        if (!sandbox->name || !sandbox->image)
                return -ENOMEM;
        sandbox->folder = string_format("%s/%s", sandbox->context->runtime_folder, sandbox->name);
        return sandbox->folder ? 0 : -ENOMEM;
}

static int write_bundle(Sandbox *sandbox, const char *rootfs)
{
        const SandboxContext *context = sandbox->context;
        _cleanup_free_ char *cgroup = NULL;
        Bundle bundle = {
                .rootfs = rootfs,
                .init_program = context->init_program,
                .identity = context->identity,
                .guest = sandbox->guest,
                .is_entered = context->runtime->is_crun,
        };

        if (!context->runtime->is_crun) {
                cgroup = scope_cgroup_below(context->scopes, sandbox->name, RUNTIME_CGROUP);
                if (!cgroup)
                        return -ENOMEM;
                bundle.cgroup = cgroup;
        }
        return bundle_write(&bundle, sandbox->folder);
}

static CgroupLimits limits_of_job(const Limits *limits)
{
        return (CgroupLimits){
                .memory_bytes = limits->memory_bytes + limits->written_bytes + OWN_MEMORY_BYTES,
                .processes = limits->processes + OWN_PROCESSES,
                .cpu_percent = limits->cpu_percent,
        };
}

/* Mostly those of the next job, so that nothing has to be changed when it comes. */
static CgroupLimits limits_to_start(const Limits *limits)
{
        CgroupLimits start = limits_of_job(limits);

        start.processes = MAX(start.processes, RUNTIME_PROCESSES);
        start.cpu_percent = MAX(start.cpu_percent, RUNTIME_CPU);
        return start;
}

static bool limits_are_equal(const CgroupLimits *a, const CgroupLimits *b)
{
        return a->memory_bytes == b->memory_bytes && a->processes == b->processes &&
               a->cpu_percent == b->cpu_percent;
}

static int start(Sandbox *sandbox, const char *rootfs, const Limits *limits)
{
        const SandboxContext *context = sandbox->context;
        int r;

        sandbox->limits = limits_to_start(limits);
        r = sd_event_add_time_relative(context->event, &sandbox->timer, CLOCK_MONOTONIC, START_USEC, 0,
                                       on_timer, sandbox);
        if (r < 0)
                return r;
        r = write_bundle(sandbox, rootfs);
        if (r < 0)
                return r;
        r = launch(sandbox);
        if (r < 0)
                return r;
        r = scope_new(context->scopes, sandbox->name, sandbox->pid, &sandbox->limits,
                      context->config->parked_usec + context->config->ceilings.wall_usec + LAST_USEC,
                      on_scope, sandbox, &sandbox->scope);
        if (r < 0)
                return r;
        return set_state(sandbox, SANDBOX_SCOPING, 0);
}

int sandbox_new(SandboxContext *context, const char *image, const char *rootfs, const Limits *limits,
                Sandbox **ret)
{
        Sandbox *sandbox = calloc(1, sizeof(*sandbox));
        int r;

        if (!sandbox)
                return -ENOMEM;
        sandbox->context = context;
        sandbox->release_fd = sandbox->errors_fd = -EBADF;
        sandbox->cgroup = CGROUP_INIT;
        r = make_names(sandbox, image);
        if (r >= 0)
                r = take_guest(sandbox);
        if (r == 0)
                r = start(sandbox, rootfs, limits);
        if (r != 0) {
                sandbox_free(sandbox);
                return r;
        }
        *ret = sandbox;
        return 0;
}

/* Waits for the child: one that never got further is gone at once, one that did is killed with its group. */
Sandbox *sandbox_free(Sandbox *sandbox)
{
        frame_stream_done(&sandbox->stream);
        sd_event_source_disable_unref(sandbox->child);
        kill_all(sandbox);
        if (sandbox->pid > 0)
                (void) waitpid(sandbox->pid, NULL, 0);
        if (sandbox->folder && tree_remove(AT_FDCWD, sandbox->folder) < 0)
                log_warning("Cannot remove %s", sandbox->folder);
        give_guest_back(sandbox);
        scope_free(sandbox->scope);
        sd_event_source_disable_unref(sandbox->timer);
        cgroup_watch_done(&sandbox->watch);
        cgroup_done(&sandbox->cgroup);
        safe_close(sandbox->release_fd);
        safe_close(sandbox->errors_fd);
        free(sandbox->name);
        free(sandbox->image);
        free(sandbox->folder);
        free(sandbox);
        return NULL;
}

void sandbox_set_owner(Sandbox *sandbox, const SandboxHandlers *handlers, void *owner)
{
        sandbox->handlers = handlers;
        sandbox->owner = owner;
}

int sandbox_take(Sandbox *sandbox, const Limits *limits)
{
        const CgroupLimits wanted = limits_of_job(limits);
        int r = set_state(sandbox, SANDBOX_TAKEN, 0);

        if (r < 0)
                return r;
        sandbox->cpu_base_usec = cgroup_cpu_usec(&sandbox->cgroup);
        if (limits_are_equal(&sandbox->limits, &wanted)) {
                sandbox->handlers->limited(sandbox, sandbox->owner);
                return 0;
        }
        sandbox->limits = wanted;
        return scope_set_limits(sandbox->scope, &sandbox->limits);
}

int sandbox_start_guest(Sandbox *sandbox)
{
        int r = frame_stream_send(&sandbox->stream, FRAME_START, 0, NULL, 0);

        return r < 0 ? r : set_state(sandbox, SANDBOX_TOLD, 0);
}

/* One that was over before its start was heard of stays so. */
int sandbox_guest_started(Sandbox *sandbox, usec_t wall_usec)
{
        return sandbox->state == SANDBOX_TOLD ? set_state(sandbox, SANDBOX_RUNNING, wall_usec) : 0;
}

int sandbox_guest_ended(Sandbox *sandbox)
{
        return sandbox->state == SANDBOX_LEAVING ? 0 : set_state(sandbox, SANDBOX_LEAVING, 0);
}

void sandbox_read_usage(const Sandbox *sandbox, SandboxUsage *ret)
{
        bool is_there = cgroup_is_open(&sandbox->cgroup);
        usec_t cpu_usec = is_there ? cgroup_cpu_usec(&sandbox->cgroup) : 0;

        *ret = (SandboxUsage){
                .cpu_usec = cpu_usec > sandbox->cpu_base_usec ? cpu_usec - sandbox->cpu_base_usec : 0,
                .memory_peak = is_there ? cgroup_memory_peak(&sandbox->cgroup) : 0,
                .processes_peak = is_there ? cgroup_processes_peak(&sandbox->cgroup) : 0,
        };
}
