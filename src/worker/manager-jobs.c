/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs that run: each is a task, from the router's word to its outcome. They belong to no connection: an
 * outcome is said on the one that stands when it is there, and kept. */

#include "manager-private.h"

#include "task.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>

typedef struct Task {
        ListLink link;
        Manager *manager;
        const TaskType *type;
        void *work;
} Task;

static Task *task_free(Task *task)
{
        list_remove(&task->manager->tasks, &task->link);
        if (task->work)
                task->type->free(task->work);
        free(task);
        return NULL;
}

void manager_drop_jobs(Manager *m)
{
        LIST_FOREACH(Task, task, &m->tasks, link)
                task_free(task);
}

int manager_describe_jobs(const Manager *m, JobRef **ret, size_t *ret_n)
{
        JobRef *jobs = calloc(m->tasks.n_members + 1, sizeof(JobRef));
        size_t n = 0;

        if (!jobs)
                return -ENOMEM;
        LIST_FOREACH(Task, task, &m->tasks, link) {
                const Job *job = task->type->job(task->work);

                jobs[n++] = (JobRef){ .job = job->job, .token = job->token, .resend_key = job->resend_key };
        }
        *ret = jobs;
        *ret_n = n;
        return 0;
}

usec_t manager_longest_job(const Manager *m)
{
        usec_t now = now_usec(CLOCK_MONOTONIC), latest = now;

        LIST_FOREACH(Task, task, &m->tasks, link)
                latest = MAX(latest, task->type->deadline(task->work));
        return latest - now;
}

static void log_end(const Manager *m, const Task *task, const OutcomeText *text)
{
        const Job *job = task->type->job(task->work);
        _cleanup_free_ char *code = string_format("%" PRIu64, text->outcome.status_code);
        _cleanup_free_ char *error = NULL;

        if (text->outcome.error)
                error = string_escape(text->outcome.error, strlen(text->outcome.error), 512);
        log_struct(
                text->outcome.status_code >= STATUS_INTERNAL_ERROR &&
                                text->outcome.status_code <= STATUS_SETUP_FAILED
                        ? LOG_WARNING
                        : LOG_INFO,
                LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_JOB_ENDED }, { "PIPELINE_JOB", job->job },
                           { "PIPELINE_WORKER", m->settings->name }, { "PIPELINE_TRACK", job->track },
                           { "PIPELINE_CODE", code },
                           { "PIPELINE_SCOPE", task->type->scope ? task->type->scope(task->work) : NULL }),
                "Job %s (%s %s) ended with %s%s%s", job->job, job->track,
                job->exercise ?: job->git_reference, code, error ? ": " : "", error ?: "");
}

static int on_ended(void *userdata)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        Task *task = userdata;
        Manager *m = task->manager;
        int r;

        r = task->type->outcome(task->work, &text);
        if (r >= 0 && task->type->record) /* before the outcome: that frees a slot */
                r = canary_when_ended(m->canary, task->type->record(task->work));
        if (r < 0)
                return r;
        log_end(m, task, &text); /* before the router hears of it, and logs it too */
        r = manager_say_outcome(m, &text);
        if (r < 0)
                return r;
        r = outcome_store_put(m->outcomes, &text);
        if (r < 0)
                log_warning("The outcome of job %s cannot be kept: %s", text.outcome.job, strerror(-r));
        task_free(task);
        return manager_when_drained(m);
}

static int on_progress(void *userdata, uint64_t step, uint64_t n_steps, const char *text)
{
        Task *task = userdata;
        const Job *job = task->type->job(task->work);
        const Progress progress = { job->job, job->token, step, n_steps, (char *) text };

        return manager_say_progress(task->manager, &progress);
}

/* Why a job is not taken, or NULL. */
static const char *reject_reason(const Manager *m, const Job *job)
{
        if (m->is_draining)
                return "this worker is being stopped";
        if (m->tasks.n_members >= m->settings->slots)
                return "this worker has no free slot";
        if (canary_error(m->canary))
                return "this worker takes no jobs: its canary fails";
        if (job->channel != m->settings->channel)
                return "this worker serves another channel";
        if (m->settings->topics && !strv_contains(m->settings->topics, job->track))
                return "this worker does not serve the track";
        return NULL;
}

static int reject(Manager *m, const Job *job, const char *reason)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        const RunRecord record = {
                .job = job,
                .worker = m->settings->name,
                .failed_code = STATUS_WORKER_ERROR,
                .failed_error = (char *) reason,
        };
        int r = outcome_build(&record, &text);

        return r < 0 ? r : manager_say_outcome(m, &text);
}

static Task *find_task(const Manager *m, const char *job, const char *token)
{
        LIST_FOREACH(Task, task, &m->tasks, link) {
                const Job *own = task->type->job(task->work);

                if (streq(own->job, job) && streq(own->token, token))
                        return task;
        }
        return NULL;
}

int manager_on_job(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_done) Job job = {};
        const char *reason;
        Task *task;
        int r;

        r = job_from_json(body, &job, ret_error);
        if (r != 0)
                return r;
        if (find_task(m, job.job, job.token))
                return 0;
        reason = reject_reason(m, &job);
        if (reason)
                return reject(m, &job, reason);
        task = calloc(1, sizeof(Task));
        if (!task)
                return -ENOMEM;
        *task = (Task){ .manager = m, .type = m->options.task ?: &task_run };
        list_append(&m->tasks, &task->link);
        r = task->type->new (&(TaskContext){ .host = &m->run_host,
                                             .userdata = m->options.task_userdata,
                                             .ended = on_ended,
                                             .progress = on_progress,
                                             .task = task },
                             &job, &task->work);
        if (r < 0)
                return r;
        r = task->type->start(task->work);
        if (r >= 0)
                manager_show_status(m);
        return r;
}

/* The router counts a slot as taken until it hears what came of the job. An attempt that another one follows
 * here is none of its concern any more. */
static int say_not_here(Manager *m, const JobRef *ref)
{
        Job job = { .job = ref->job, .token = ref->token, .limits = limits_default };

        LIST_FOREACH(Task, task, &m->tasks, link)
                if (streq(task->type->job(task->work)->job, ref->job))
                        return 0;
        return reject(m, &job, "this worker does not run that job");
}

int manager_on_cancel(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_ref_done) JobRef ref = {};
        Task *task;
        int r;

        r = job_ref_from_json(body, &ref, ret_error);
        if (r != 0)
                return r;
        task = find_task(m, ref.job, ref.token);
        return task ? task->type->cancel(task->work, ref.reason) : say_not_here(m, &ref);
}

int manager_on_outcome_ack(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_ref_done) JobRef ref = {};
        int r;

        r = job_ref_from_json(body, &ref, ret_error);
        if (r != 0)
                return r;
        outcome_store_remove(m->outcomes, ref.job, ref.token);
        return m->is_draining ? manager_when_drained(m) : 0;
}
