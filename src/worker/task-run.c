/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers do with a job: they have it run. */

#include "task.h"

#include <errno.h>

typedef struct Work {
        TaskContext context;
        Run *run;
} Work;

static void work_free(void *userdata)
{
        Work *work = userdata;

        if (work)
                run_free(work->run);
        free(work);
}

static int on_ended(Run *run, void *userdata)
{
        Work *work = userdata;

        return work->context.ended(work->context.task);
}

static int work_new(const TaskContext *context, Job *job, void **ret)
{
        Work *work = calloc(1, sizeof(Work));
        int r;

        if (!work)
                return -ENOMEM;
        work->context = *context;
        r = run_new(context->host, job, on_ended, work, &work->run);
        if (r < 0) {
                work_free(work);
                return r;
        }
        *ret = work;
        return 0;
}

static int work_start(void *userdata)
{
        Work *work = userdata;

        return run_start(work->run);
}

static int work_cancel(void *userdata, const char *reason)
{
        return run_cancel(((Work *) userdata)->run, reason);
}

static const Job *work_job(const void *userdata)
{
        return run_job(((const Work *) userdata)->run);
}

static usec_t work_deadline(const void *userdata)
{
        return run_deadline(((const Work *) userdata)->run);
}

static const char *work_scope(const void *userdata)
{
        return run_record(((const Work *) userdata)->run)->answer.scope;
}

static const RunRecord *work_record(const void *userdata)
{
        return run_record(((const Work *) userdata)->run);
}

static int work_outcome(const void *userdata, OutcomeText *ret)
{
        return outcome_build(run_record(((const Work *) userdata)->run), ret);
}

const TaskType task_run = {
        .new = work_new,
        .start = work_start,
        .cancel = work_cancel,
        .free = work_free,
        .job = work_job,
        .deadline = work_deadline,
        .scope = work_scope,
        .record = work_record,
        .outcome = work_outcome,
};
