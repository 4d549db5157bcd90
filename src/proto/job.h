/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the router gives a worker to do (Job), and what the worker says came of it (Outcome). Texts are
 * owned by the structs; both are freed with their _done. */

#include "json-fields.h"
#include "name.h"
#include "status.h"

#include "basic/time-util.h"

/* The limits of one job. Zero is never a value: each is checked to be in its range when it is read. */
typedef struct Limits {
        usec_t wall_usec;
        uint64_t memory_bytes; /* the whole tree, no swap */
        uint64_t processes;
        uint64_t cpu_percent;  /* of one CPU */
        uint64_t output_bytes; /* each of stdout and stderr */
        uint64_t result_bytes; /* each result file */
        uint64_t written_bytes, inodes;
        uint64_t open_files;
} Limits;

extern const JsonTable limits_table;
/* What holds where nothing is set: 20 s, 3 GiB, 1 MiB of output, 500 KiB of a result, … */
extern const Limits limits_default;

typedef struct Job {
        char *job;        /* id, made by the router */
        char *token;      /* of this attempt */
        uint64_t attempt; /* 1 is the first */
        char *action;
        Channel channel;
        char *track;
        char *exercise; /* this and the next three: NULL where it is a build */
        char *id;       /* the client's name for it */
        char *input;    /* URI */
        char *version;
        char *git_reference; /* a build: of what, */
        Channel target;      /* and for which channel: limits, profile and entry point are its track's */
        usec_t build_usec;   /* in this time */
        char *digest;        /* NULL: not pinned; what the worker holds under `version` */
        Limits limits;
        char *profile;     /* a name */
        char **entrypoint; /* NULL: the worker finds it */
        bool late_success; /* a result that is complete when the wall time ends is one */
        usec_t setup_usec;
        char *resend_key; /* or NULL */
} Job;

/* Whether it is a build, and no run. */
static inline bool job_is_build(const Job *job)
{
        return job->channel == CHANNEL_BUILDERS;
}

/* 0, -ENOMEM, or JSON_BAD with what is wrong. */
int job_from_json(json_object *object, Job *ret, char **ret_error) _warn_unused_;
/* NULL without memory. */
json_object *job_to_json(const Job *job);
void job_done(Job *job);

typedef struct Outcome {
        char *job;
        char *token;
        uint64_t status_code;
        char *error;      /* or NULL */
        char *resend_key; /* or NULL */
        usec_t cpu_usec;  /* that the guest used */
} Outcome;

int outcome_from_json(json_object *object, Outcome *ret, char **ret_error) _warn_unused_;
json_object *outcome_to_json(const Outcome *outcome);
void outcome_done(Outcome *outcome);
