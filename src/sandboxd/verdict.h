/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ended a job, and the answer to a `run` order that says so. Pure. */

#include "proto/frame.h"
#include "proto/job.h"
#include "sandbox.h"

typedef enum Cause {
        CAUSE_EXITED,
        CAUSE_SIGNALED,
        CAUSE_WALL_TIME,
        CAUSE_OUTPUT,
        CAUSE_WRITTEN,
        CAUSE_MEMORY,
        CAUSE_PROCESSES,
        _CAUSE_MAX,
} Cause;

/* `memory` and its like. */
const char *cause_name(Cause cause);

typedef struct Verdict {
        Cause cause;
        uint64_t status; /* the exit status, or the signal's number */
        Limits limits;
        usec_t wall_usec, cpu_usec;
        uint64_t memory_peak, processes_peak; /* 0: not known */
        uint64_t written_size, inodes, stdout_size, stderr_size;
        bool limits_enforced;
        const char *scope; /* borrowed */
} Verdict;

/* The guest ended by itself or by one of pipeline-init's limits. What the kernel counted meanwhile (`fault`,
 * or NULL) goes before what pipeline-init saw: a process that was killed for want of memory ends its job,
 * however the others took it. */
void verdict_from_exit(const InitExit *exit, const SandboxFault *fault, Verdict *verdict);
/* A limit was seen first by sandboxd. Of SANDBOX_FAULT_SETUP and _AGE there is none. */
void verdict_from_fault(SandboxFault fault, Verdict *verdict);

/* The whole answer, NULL without memory. */
json_object *verdict_to_json(const Verdict *verdict);
