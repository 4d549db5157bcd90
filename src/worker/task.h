/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A job under way, whoever carries it out: a worker runs it in a sandbox, a builder builds. */

#include "run.h"

typedef struct TaskContext {
        const RunHost *host;  /* borrowed for as long as the task lives, like the next */
        const void *userdata; /* of the manager's options */
        /* It is over; called once, and may free it. < 0 ends the event loop, as with the next. */
        int (*ended)(void *task);
        int (*progress)(void *task, uint64_t step, uint64_t n_steps, const char *text);
        void *task;
} TaskContext;

typedef struct TaskType {
        /* Takes over the job (zeroed). Nothing happens before `start`, which may end it at once. */
        int (*new)(const TaskContext *context, Job *job, void **ret);
        int (*start)(void *work);
        int (*cancel)(void *work, const char *reason);
        void (*free)(void *work); /* ends what it started */
        const Job *(*job)(const void *work);
        /* Until when it is over at the latest, on the monotonic clock. */
        usec_t (*deadline)(const void *work);
        const char *(*scope)(const void *work);       /* of its end; or NULL */
        const RunRecord *(*record)(const void *work); /* of a run; or NULL */
        int (*outcome)(const void *work, OutcomeText *ret);
} TaskType;

/* In a sandbox. */
extern const TaskType task_run;
