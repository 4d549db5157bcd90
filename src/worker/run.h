/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One job, from its input to what is known of its end. */

#include "holdings.h"
#include "outcome-build.h"
#include "s3-client.h"

typedef struct Run Run;

/* The job is over: `run_record` says how. Called once; may free the run. < 0 ends the event loop. */
typedef int (*RunHandler)(Run *run, void *userdata);

/* What every run of a worker uses; all borrowed. */
typedef struct RunHost {
        sd_event *event;
        const WorkerSettings *settings;
        const Holdings *holdings;
        S3Client *s3; /* NULL: inputs in S3 are refused, for this reason: */
        const char *no_s3;
} RunHost;

/* Takes over the job (zeroed). `host` is borrowed. Nothing happens before run_start(). */
int run_new(const RunHost *host, Job *job, RunHandler on_ended, void *userdata, Run **ret) _warn_unused_;
/* Ends what it started. */
Run *run_free(Run *run);
DEFINE_CLEANUP(Run *, run_free)

/* Opens the input, has it fetched where it lies elsewhere, and orders the sandbox; may end at once. */
int run_start(Run *run) _warn_unused_;
/* Ends it, for this reason. */
int run_cancel(Run *run, const char *reason) _warn_unused_;

const Job *run_job(const Run *run);
const RunRecord *run_record(const Run *run);
/* Until when it is over at the latest, on the monotonic clock. */
usec_t run_deadline(const Run *run);
