/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A run goes through: the input is fetched, where it does not lie here; ordered, the input goes out; the
 * guest runs; over. One timer holds the time of the set-up until the guest has started, and then a last
 * resort behind the guest's own limit, which is sandboxd's to hold. Whatever ends it early has one way out,
 * run_fail(), and the first reason stays. */

#include "run.h"

#include "input.h"
#include "order-client.h"
#include "run-frames.h"

#include "basic/string-util.h"
#include "proto/plan.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>

/* Behind the guest's wall time. Those who are nearer to it have shorter ones (docs/ARCHITECTURE.md): this is
 * for when they fail. */
#define MARGIN_USEC    (60 * USEC_PER_SEC)
#define TIMER_ACCURACY (10 * USEC_PER_MSEC)

struct Run {
        const RunHost *host; /* borrowed */
        RunHandler on_ended;
        void *userdata;
        Job job;
        Input *input;  /* NULL: all of it was sent */
        bool is_empty; /* the job has no input, and that was not said yet */
        Order *order;
        sd_event_source *timer;
        usec_t deadline_usec;
        bool has_started;
        char *digest;
        char **arguments;
        RunRecord record; /* borrows from the above */
        RunFrames frames; /* of the record */
};

Run *run_free(Run *run)
{
        if (!run)
                return NULL;
        sd_event_source_disable_unref(run->timer);
        input_free(run->input);
        order_free(run->order);
        run_record_done(&run->record);
        free(run->digest);
        strv_free(run->arguments);
        job_done(&run->job);
        free(run);
        return NULL;
}

const Job *run_job(const Run *run)
{
        return &run->job;
}

const RunRecord *run_record(const Run *run)
{
        return &run->record;
}

usec_t run_deadline(const Run *run)
{
        return run->deadline_usec + (run->has_started ? 0 : run->job.limits.wall_usec + MARGIN_USEC);
}

static int run_end(Run *run)
{
        (void) sd_event_source_set_enabled(run->timer, SD_EVENT_OFF);
        run->order = order_free(run->order);
        run->input = input_free(run->input);
        return run->on_ended(run, run->userdata);
}

/* Ends it with a code. Takes `error`. */
static int run_fail(Run *run, unsigned code, char *error)
{
        if (!error)
                return -ENOMEM;
        free(run->record.failed_error);
        run->record.failed_code = code;
        run->record.failed_error = error;
        return run_end(run);
}

int run_cancel(Run *run, const char *reason)
{
        return run_fail(run, STATUS_TERMINATED,
                        reason ? string_format("it was cancelled: %s", reason) : strdup("it was cancelled"));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_free_ char *progress = NULL;
        Run *run = userdata;

        if (run->has_started)
                return run_fail(run, STATUS_WORKER_ERROR,
                                strdup("the sandbox service did not end the job at its time limit"));
        if (!run->order && run->input)
                progress = input_progress(run->input);
        return run_fail(run, STATUS_SETUP_FAILED,
                        string_format("input and sandbox were not ready after %" PRIu64 " ms%s%s",
                                      run->job.setup_usec / USEC_PER_MSEC, progress ? ": " : "",
                                      progress ?: ""));
}

static int set_deadline(Run *run, usec_t usec)
{
        int r;

        run->deadline_usec = now_usec(CLOCK_MONOTONIC) + usec;
        r = sd_event_source_set_time(run->timer, run->deadline_usec);
        return r < 0 ? r : sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

/* The conversation with sandboxd. */

static int on_fill(Order *order, Buffer *out, int *ret_fd, void *userdata)
{
        _cleanup_free_ char *error = NULL;
        Run *run = userdata;
        int r;

        if (run->is_empty) {
                run->is_empty = false;
                return frame_append(out, FRAME_INPUT_END, 0, NULL, 0, ORDER_SEND_SIZE_MAX);
        }
        if (!run->input)
                return 0;
        r = input_fill(run->input, out, ORDER_SEND_SIZE_MAX, &error);
        if (r == INPUT_BAD)
                return run_fail(run, STATUS_SETUP_FAILED, TAKE_PTR(error));
        if (r == INPUT_COMPLETE)
                run->input = input_free(run->input);
        return r < 0 ? r : 0;
}

static int broken(Run *run, const char *what)
{
        return run_fail(run, STATUS_WORKER_ERROR, string_format("the sandbox service sent %s", what));
}

static int take_started(Run *run, const Frame *frame)
{
        _cleanup_json_ json_object *body = NULL;
        _cleanup_free_ char *error = NULL;
        int r = json_object_from_bytes(frame->payload, frame->size, &body, &error);

        if (r != 0)
                return r < 0 ? r : broken(run, "a start that is no JSON");
        run->has_started = true;
        log_struct(LOG_DEBUG,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_JOB_STARTED }, { "PIPELINE_JOB", run->job.job },
                              { "PIPELINE_WORKER", run->host->settings->name },
                              { "PIPELINE_SCOPE", json_text(body, "scope") }),
                   "Job %s has started", run->job.job);
        return set_deadline(run, run->job.limits.wall_usec + MARGIN_USEC);
}

static int on_frame(Order *order, const Frame *frame, void *userdata)
{
        const char *what;
        Run *run = userdata;
        int r;

        if (frame->type == FRAME_STARTED)
                return take_started(run, frame);
        r = run_frames_take(&run->frames, frame, &what);
        return r == RUN_FRAMES_BROKEN ? broken(run, what) : r;
}

static int on_order_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        _cleanup_free_ char *wrong = NULL;
        Run *run = userdata;
        int r;

        if (!answer)
                return run_fail(run, STATUS_WORKER_ERROR, strdup(error));
        r = sandbox_answer_from_json(answer, &run->record.answer, &wrong);
        if (r < 0)
                return r;
        if (r == JSON_BAD)
                return run_fail(run, STATUS_WORKER_ERROR,
                                string_format("the sandbox service's answer is malformed: %s", wrong));
        run_frames_end(&run->frames);
        return run_end(run);
}

static const OrderHandlers run_handlers = { .fill = on_fill, .frame = on_frame, .ended = on_order_ended };

/* The order. */

static int make_order(Run *run, const HeldVersion *held, json_object **ret)
{
        const Plan plan = {
                .job = run->job.job,
                .image = run->digest,
                .profile = run->job.profile,
                .arguments = run->arguments,
                .environment = held->entrypoint->environment,
                .folder = held->entrypoint->folder,
                .limits = run->job.limits,
                .results = (char **) result_names(run->job.channel),
        };
        _cleanup_json_ json_object *body = json_object_new_object();
        json_object *object = plan_to_json(&plan);

        if (!body || !object || json_add(body, "plan", object) < 0 ||
            json_add_text(body, "order", "run") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(body);
        return 0;
}

static int send_order(Run *run, const HeldVersion *held)
{
        _cleanup_json_ json_object *body = NULL;
        int r;

        r = make_order(run, held, &body);
        if (r >= 0)
                r = order_new(run->host->event, SANDBOX_SERVICE(run->host->settings->sandbox), body,
                              &run_handlers, run, &run->order);
        if (r == -E2BIG)
                return run_fail(run, STATUS_SETUP_FAILED,
                                strdup("the program's arguments and environment are too long"));
        return r;
}

/* The version, as it is held at this moment; RUN_OVER where it is not. */
enum {
        RUN_OVER = 1,
};
static int find_version(Run *run, HeldVersion *ret)
{
        _cleanup_free_ char *error = NULL;
        unsigned code;
        int r = holdings_find(run->host->holdings, run->job.track, run->job.version, ret, &code, &error);

        if (r == HOLDINGS_MISSING)
                r = run_fail(run, code, TAKE_PTR(error));
        else if (r == 0 && run->job.digest && !streq(run->job.digest, ret->digest))
                r = run_fail(run, STATUS_VERSION_NOT_ON_WORKER,
                             string_format("this worker holds another image under %s", run->job.version));
        else
                return r;
        return r < 0 ? r : RUN_OVER;
}

static int order_sandbox(Run *run)
{
        HeldVersion held;
        int r = find_version(run, &held);

        if (r != 0)
                return r < 0 ? r : 0;
        if (!streq(run->digest, held.digest))
                return run_fail(
                        run, STATUS_VERSION_NOT_ON_WORKER,
                        string_format("%s was replaced while the input was fetched", run->job.version));
        return send_order(run, &held);
}

static int on_fetched(const char *error, void *userdata)
{
        Run *run = userdata;

        return error ? run_fail(run, STATUS_SETUP_FAILED, strdup(error)) : order_sandbox(run);
}

static int open_input(Run *run, char **ret_error)
{
        const InputContext context = {
                .folders = run->host->settings->input_folders,
                .s3 = run->host->s3,
                .no_s3 = run->host->no_s3,
                .spool_folder = run->host->settings->folder,
                .size_max = run->job.limits.written_bytes,
                .n_files_max = run->job.limits.inodes,
                .fetched = on_fetched,
                .userdata = run,
        };

        run->is_empty = !run->job.input;
        return run->is_empty ? 0 : input_open(run->job.input, &context, &run->input, ret_error);
}

static int make_arguments(Run *run)
{
        HeldVersion held;
        int r = find_version(run, &held);

        if (r != 0)
                return r;
        run->record.digest = run->digest = strdup(held.digest);
        if (!run->digest)
                return -ENOMEM;
        r = entrypoint_arguments(held.entrypoint, run->job.entrypoint, run->job.exercise, &run->arguments);
        run->record.arguments = run->arguments;
        if (r != ENTRYPOINT_NONE)
                return r;
        r = run_fail(run, STATUS_SETUP_FAILED, strdup(held.entrypoint->missing));
        return r < 0 ? r : RUN_OVER;
}

int run_start(Run *run)
{
        _cleanup_free_ char *error = NULL;
        int r = set_deadline(run, run->job.setup_usec);

        if (r >= 0)
                r = make_arguments(run);
        if (r != 0)
                return r < 0 ? r : 0;
        r = open_input(run, &error);
        if (r == INPUT_BAD)
                return run_fail(run, STATUS_SETUP_FAILED, TAKE_PTR(error));
        if (r == INPUT_FETCHING)
                return 0;
        return r < 0 ? r : order_sandbox(run);
}

int run_new(const RunHost *host, Job *job, RunHandler on_ended, void *userdata, Run **ret)
{
        _cleanup_(run_freep) Run *run = malloc(sizeof(Run));
        int r;

        if (!run)
                return -ENOMEM;
        *run = (Run){ .host = host, .on_ended = on_ended, .userdata = userdata };
        run->job = *job;
        *job = (Job){};
        run->record.job = &run->job;
        run->frames = (RunFrames){ .record = &run->record, .result_size = run->job.limits.result_bytes };
        run->record.worker = host->settings->name;
        for (size_t i = 0; i < RESULTS_MAX; i++)
                run->record.results[i].state = RESULT_MISSING;
        r = sd_event_add_time(host->event, &run->timer, CLOCK_MONOTONIC, USEC_INFINITY, TIMER_ACCURACY,
                              on_timer, run);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(run);
        return 0;
}
