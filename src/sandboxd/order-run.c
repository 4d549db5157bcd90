/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order `run`: one job, from plan to verdict.
 *
 *   plan -> a sandbox (parked, or to be waited for) -> its limits, what pipeline-init must know -> input
 * from the worker -> the guest -> output and results to the worker -> verdict
 *
 * The worker's frames are not read until the limits of the job hold. Neither end is read while the other
 * does not keep up. What pipeline-init sends is held against the plan (testimony.h). */

#include "orders.h"
#include "proto/plan.h"
#include "proto/status.h"
#include "shared/log.h"
#include "shared/message-ids.h"
#include "testimony.h"
#include "verdict.h"

#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>

typedef struct Run {
        Connection *connection;
        Plan plan;
        const SeccompPrograms *programs; /* borrowed */
        Sandbox *sandbox;
        usec_t started_usec; /* 0: the guest does not run yet */
        bool is_limited;     /* the limits of the job hold: input may pass */
        Testimony testimony; /* of pipeline-init */
} Run;

static void run_done(Connection *connection)
{
        Run *run = connection->state;

        if (!run)
                return;
        connection->state = NULL;
        if (run->sandbox)
                pool_release(&manager_of(connection)->pool, run->sandbox, &run->plan.limits);
        plan_done(&run->plan);
        free(run);
}

/* The end */

static void log_end(const Run *run, const Verdict *verdict)
{
        _cleanup_free_ char *memory =
                verdict->memory_peak > 0 ? string_format(", %" PRIu64 " MiB", verdict->memory_peak >> 20)
                                         : NULL;

        log_struct(LOG_INFO,
                   LOG_FIELDS({ "PIPELINE_JOB", run->plan.job }, { "PIPELINE_SCOPE", verdict->scope },
                              { "PIPELINE_CAUSE", cause_name(verdict->cause) },
                              { "MESSAGE_ID", MSG_SANDBOX_ENDED }),
                   "Job %s ended: %s, %" PRIu64 " ms of CPU%s", run->plan.job, cause_name(verdict->cause),
                   verdict->cpu_usec / USEC_PER_MSEC, memory ?: "");
}

/* Reads the accounting and answers; that ends the sandbox too. */
static void conclude(Run *run, Verdict *verdict)
{
        SandboxUsage usage;

        sandbox_read_usage(run->sandbox, &usage);
        verdict->limits = run->plan.limits;
        verdict->cpu_usec = usage.cpu_usec;
        verdict->memory_peak = usage.memory_peak;
        verdict->processes_peak = usage.processes_peak;
        verdict->limits_enforced = manager_of(run->connection)->fitness.limits_enforced;
        verdict->scope = sandbox_scope_name(run->sandbox);
        log_end(run, verdict);
        connection_answer(run->connection, verdict_to_json(verdict));
}

/* Something other than the guest went wrong. */
static void give_up(Run *run, int code, const char *text)
{
        log_struct(LOG_WARNING,
                   LOG_FIELDS({ "PIPELINE_JOB", run->plan.job },
                              { "PIPELINE_SCOPE", sandbox_scope_name(run->sandbox) },
                              { "MESSAGE_ID", MSG_SANDBOX_ENDED }),
                   "Job %s failed: %s", run->plan.job, text);
        connection_refuse(run->connection, code, "%s", text);
}

static void on_fault(Sandbox *sandbox, SandboxFault fault, const char *text, void *owner)
{
        Run *run = owner;
        Verdict verdict = {
                .stdout_size = run->testimony.sizes[0],
                .stderr_size = run->testimony.sizes[1],
                .wall_usec = run->started_usec > 0 ? now_usec(CLOCK_MONOTONIC) - run->started_usec : 0,
        };

        if (!run->testimony.is_told) {
                give_up(run, STATUS_SETUP_FAILED, text);
                return;
        }
        if (fault == SANDBOX_FAULT_SETUP) {
                give_up(run, STATUS_INTERNAL_ERROR, text);
                return;
        }
        verdict_from_fault(fault, &verdict);
        conclude(run, &verdict);
}

/* From pipeline-init */

static bool on_output(Run *run, const Frame *frame, const Heard *heard)
{
        FrameStream *stream = &run->connection->stream;

        if (frame_stream_send(stream, frame->type, frame->flags, frame->payload, frame->size) < 0)
                return false;
        if (frame_stream_is_full(stream))
                frame_stream_pause(&run->sandbox->stream, true);
        return true;
}

static bool on_guest_started(Run *run, const Frame *frame, const Heard *heard)
{
        _cleanup_json_ json_object *body = json_object_new_object();
        const char *text;

        run->started_usec = now_usec(CLOCK_MONOTONIC);
        if (sandbox_guest_started(run->sandbox, run->plan.limits.wall_usec) < 0)
                return false;
        if (!body || json_add_text(body, "scope", sandbox_scope_name(run->sandbox)) < 0)
                return false;
        text = json_object_text(body);
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "PIPELINE_JOB", run->plan.job },
                              { "PIPELINE_SCOPE", sandbox_scope_name(run->sandbox) },
                              { "MESSAGE_ID", MSG_SANDBOX_STARTED }),
                   "Job %s runs in %s", run->plan.job, sandbox_scope_name(run->sandbox));
        return text &&
               frame_stream_send(&run->connection->stream, FRAME_STARTED, 0, text, strlen(text)) >= 0;
}

static bool on_guest_ended(Run *run, const Frame *frame, const Heard *heard)
{
        return sandbox_guest_ended(run->sandbox) >= 0;
}

static bool on_exit_said(Run *run, const Frame *frame, const Heard *heard)
{
        Verdict verdict = {};
        SandboxFault fault;
        bool has_fault = sandbox_check_fault(run->sandbox, &fault);

        verdict_from_exit(&heard->exit, has_fault ? &fault : NULL, &verdict);
        conclude(run, &verdict);
        return true;
}

/* The program or the working folder is at fault: the image, or who chose them, and not this host. */
static void blame_program(Run *run, const char *text)
{
        _cleanup_json_ json_object *answer = json_object_new_object();

        if (!answer || json_add_uint(answer, "code", STATUS_SETUP_FAILED) < 0 ||
            json_add_text(answer, "error", text) < 0 || json_add_bool(answer, "program", true) < 0)
                connection_close(run->connection);
        else
                connection_answer(run->connection, TAKE_PTR(answer));
}

static bool on_failed(Run *run, const Frame *frame, const Heard *heard)
{
        _cleanup_free_ char *escaped = string_escape((const char *) frame->payload, frame->size, 512);
        const char *text = escaped ?: "the set-up failed";

        if (frame->flags & FRAME_FLAG_PROGRAM)
                blame_program(run, text);
        else
                give_up(run, STATUS_SETUP_FAILED, text);
        return true;
}

static void on_init_frame(Sandbox *sandbox, const Frame *frame, void *owner)
{
        static bool (*const types[])(Run * run, const Frame *frame, const Heard *heard) = {
                [HEARD_STARTED] = on_guest_started, [HEARD_ENDED] = on_guest_ended,
                [HEARD_OUTPUT] = on_output,         [HEARD_EXIT] = on_exit_said,
                [HEARD_FAILED] = on_failed,
        };
        Run *run = owner;
        Heard heard;

        if (testimony_take(&run->testimony, frame, &heard) != 0 || !types[heard.type](run, frame, &heard))
                give_up(run, STATUS_INTERNAL_ERROR, "pipeline-init said what was not agreed");
}

/* To pipeline-init */

static int add_setup(const Run *run, Buffer *out)
{
        const Limits *limits = &run->plan.limits;
        const InitSetup setup = {
                .wall_usec = limits->wall_usec,
                .output_size = limits->output_bytes,
                .result_size = limits->result_bytes,
                .written_size = limits->written_bytes,
                .inodes = limits->inodes,
                .open_files = limits->open_files,
                .guest_id = IDENTITY_GUEST_ID,
        };
        int r;

        r = frame_append_setup(out, &setup, FRAME_STREAM_OUT_MAX);
        if (r < 0)
                return r;
        r = frame_append_strings(out, FRAME_ARGUMENTS, run->plan.arguments, FRAME_STREAM_OUT_MAX);
        if (r < 0)
                return r;
        return frame_append_strings(out, FRAME_ENVIRONMENT, run->plan.environment, FRAME_STREAM_OUT_MAX);
}

static int add_texts(const Run *run, Buffer *out)
{
        int r;

        r = frame_append(out, FRAME_FOLDER, 0, run->plan.folder, strlen(run->plan.folder),
                         FRAME_STREAM_OUT_MAX);
        if (r < 0)
                return r;
        for (size_t i = 0; i < run->programs->n_programs; i++) {
                const Buffer *program = &run->programs->programs[i];

                r = frame_append(out, FRAME_FILTER, 0, program->data, program->size, FRAME_STREAM_OUT_MAX);
                if (r < 0)
                        return r;
        }
        for (char **name = run->plan.results; name && *name; name++) {
                r = frame_append(out, FRAME_WANTED, 0, *name, strlen(*name), FRAME_STREAM_OUT_MAX);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_ready(Sandbox *sandbox, void *owner)
{
        Run *run = owner;
        Buffer *out = frame_stream_out(&sandbox->stream);
        int r;

        r = add_setup(run, out);
        if (r >= 0)
                r = add_texts(run, out);
        if (r >= 0)
                r = sandbox_take(sandbox, &run->plan.limits);
        if (r < 0)
                connection_fail(run->connection, r, "set the sandbox up");
        else
                frame_stream_flush(&sandbox->stream);
}

static void on_limited(Sandbox *sandbox, void *owner)
{
        Run *run = owner;

        run->is_limited = true;
        frame_stream_pause(&run->connection->stream, false);
}

static void on_worker_frame(Connection *connection, const Frame *frame, int *fd)
{
        Run *run = connection->state;
        bool is_input =
                frame->type == FRAME_FILE || frame->type == FRAME_DATA || frame->type == FRAME_INPUT_END;
        int r;

        if (!is_input || run->testimony.is_told) {
                connection_refuse(connection, STATUS_BAD_INPUT, "a frame that may not come now");
                return;
        }
        r = frame_stream_send(&run->sandbox->stream, frame->type, frame->flags, frame->payload, frame->size);
        if (r >= 0 && frame->type == FRAME_INPUT_END) {
                run->testimony.is_told = true;
                r = sandbox_start_guest(run->sandbox);
        }
        if (r < 0)
                connection_fail(connection, r, "pass the input on");
        else if (frame_stream_is_full(&run->sandbox->stream))
                frame_stream_pause(&connection->stream, true);
}

static void on_worker_drained(Connection *connection)
{
        Run *run = connection->state;

        frame_stream_pause(&run->sandbox->stream, false);
}

static void on_init_drained(Sandbox *sandbox, void *owner)
{
        Run *run = owner;

        if (run->is_limited)
                frame_stream_pause(&run->connection->stream, false);
}

static const SandboxHandlers sandbox_handlers = { on_ready, on_limited, on_init_frame, on_init_drained,
                                                  on_fault };

/* The beginning */

static int read_plan(Connection *connection, json_object *order, Run *run, char **ret_error)
{
        json_object *plan = NULL;
        int r;

        if (!json_object_object_get_ex(order, "plan", &plan) || !json_object_is_type(plan, json_type_object))
                return error_set(ret_error, JSON_BAD, "there is no plan");
        r = plan_from_json(plan, &run->plan, ret_error);
        if (r != 0)
                return r;
        r = limits_check_ceilings(&run->plan.limits, &manager_of(connection)->config.ceilings, ret_error);
        if (r != 0)
                return r;
        return manager_profile(manager_of(connection), run->plan.profile, &run->programs, ret_error);
}

static void acquire(Run *run)
{
        Connection *connection = run->connection;
        Manager *manager = manager_of(connection);
        int r;

        if (fitness_problem(&manager->fitness)) {
                connection_refuse(connection, STATUS_NO_WORKER, "no jobs are taken: %s",
                                  fitness_problem(&manager->fitness));
                return;
        }
        r = pool_acquire(&manager->pool, run->plan.image, &run->plan.limits, &sandbox_handlers, run,
                         &run->sandbox);
        if (r < 0)
                connection_fail(connection, r, "make a sandbox");
        else if (r == POOL_FULL)
                connection_refuse(connection, r, "as many jobs as may be run already");
        else if (r > 0)
                connection_refuse(connection, r, "the image %s is not here", run->plan.image);
        else {
                frame_stream_pause(&connection->stream, true);
                if (run->sandbox->state == SANDBOX_PARKED)
                        on_ready(run->sandbox, run);
        }
}

static void run_start(Connection *connection, json_object *order)
{
        _cleanup_free_ char *error = NULL;
        Run *run = calloc(1, sizeof(*run));
        int r;

        if (!run) {
                connection_fail(connection, -ENOMEM, "read the plan");
                return;
        }
        run->connection = connection;
        run->testimony.plan = &run->plan;
        connection->state = run;
        r = read_plan(connection, order, run, &error);
        if (r < 0)
                connection_fail(connection, r, "read the plan");
        else if (r > 0) {
                log_warning("A plan is refused: %s", error);
                connection_refuse(connection, STATUS_BAD_INPUT, "the plan: %s", error);
        } else
                acquire(run);
}

const OrderType order_run = { "run", run_start, on_worker_frame, on_worker_drained, run_done };
