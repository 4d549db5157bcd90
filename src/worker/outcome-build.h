/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From what happened to a job to what its client is told. Pure: the answer of sandboxd, what the guest
 * wrote, and the channel's contract in; status code and ready JSON texts out. */

#include "proto/frame.h"
#include "proto/peer-message.h"

/* The answer of sandboxd to `run`, docs/PROTOCOL.md part 3. */
typedef struct SandboxUsage {
        usec_t wall_usec, cpu_usec;
        uint64_t memory_peak_bytes, processes_peak; /* 0: the kernel does not say */
        uint64_t written_bytes, written_inodes;
        uint64_t stdout_bytes, stderr_bytes;
} SandboxUsage;

typedef struct SandboxAnswer {
        uint64_t code; /* 0: the guest ran; else the job's status code */
        char *error;   /* with a code */
        bool program;  /* with a code: the program or its folder is at fault, not the host */
        char *cause;   /* the guest ran: how it ended */
        uint64_t status, signal;
        char *limit_name; /* the limit that ended it, or NULL */
        uint64_t limit_value, limit_used;
        SandboxUsage usage;
        char *scope;
        bool limits_enforced;
} SandboxAnswer;

int sandbox_answer_from_json(json_object *object, SandboxAnswer *ret, char **ret_error) _warn_unused_;
void sandbox_answer_done(SandboxAnswer *answer);

/* What a stream of the guest wrote; only its beginning is kept. */
typedef struct StreamRecord {
        Buffer kept;
        bool is_cut; /* there was more than is kept */
} StreamRecord;

/* More of a stream would not fit into a reply, whatever its limit is. */
#define STREAM_KEPT_MAX (1024U * 1024U)

int stream_record_append(StreamRecord *stream, const void *data, size_t size) _warn_unused_;

/* A result file that was asked for. */
#define RESULTS_MAX 2U
typedef struct ResultRecord {
        ResultState state; /* RESULT_MISSING until it came */
        Buffer data;
} ResultRecord;

/* The names of the files that a channel's guest leaves, NULL-ended: the first is the result. */
char *const *result_names(Channel channel);

/* All that is known of a job when it is over. */
typedef struct RunRecord {
        const Job *job;
        const char *worker;
        const char *digest;     /* NULL: it did not come to an image */
        char *const *arguments; /* likewise */
        SandboxAnswer answer;
        StreamRecord streams[2]; /* stdout, stderr */
        ResultRecord results[RESULTS_MAX];
        /* Where the job ended without an answer: the code and why. 0: `answer` holds. */
        unsigned failed_code;
        char *failed_error;
} RunRecord;

void run_record_done(RunRecord *record);

typedef struct OutcomeText {
        Outcome outcome;
        Buffer parts[PEER_N_PARTS_MAX]; /* response, context, error_detail */
} OutcomeText;

/* 0 or -ENOMEM. */
int outcome_build(const RunRecord *record, OutcomeText *ret) _warn_unused_;
void outcome_text_done(OutcomeText *text);
