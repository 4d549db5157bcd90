/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job and Outcome, as tables. */

#include "job.h"

#include "basic/string-util.h"

#include <errno.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define URI_SIZE_MAX   2048U
#define ERROR_SIZE_MAX (64U * 1024U)

#define LIMIT(name_, member_, min_, max_)                                                                 \
        {                                                                                                 \
                .name = (name_), .type = &field_uint, .offset = offsetof(Limits, member_), .min = (min_), \
                .max = (max_)                                                                             \
        }

static const JsonField limit_fields[] = {
        LIMIT("wall_usec", wall_usec, USEC_PER_MSEC, 86400 * USEC_PER_SEC),
        LIMIT("memory_bytes", memory_bytes, MIB, 1024 * GIB),
        LIMIT("processes", processes, 1, 1000000),
        LIMIT("cpu_percent", cpu_percent, 1, 100000),
        LIMIT("output_bytes", output_bytes, 1, GIB),
        LIMIT("result_bytes", result_bytes, 1, 4 * MIB),
        LIMIT("written_bytes", written_bytes, 4 * KIB, 1024 * GIB),
        LIMIT("inodes", inodes, 16, 100000000),
        LIMIT("open_files", open_files, 16, 1048576),
};

const JsonTable limits_table = JSON_TABLE(Limits, limit_fields);

const Limits limits_default = {
        .wall_usec = 20 * USEC_PER_SEC,
        .memory_bytes = 3 * GIB,
        .processes = 512,
        .cpu_percent = 100,
        .output_bytes = MIB,
        .result_bytes = 500 * KIB,
        .written_bytes = 256 * MIB,
        .inodes = 65536,
        .open_files = 1024,
};

#define JOB_TEXT(member_, check_, form_)                                                 \
        {                                                                                \
                .name = #member_, .type = &field_text, .offset = offsetof(Job, member_), \
                .is_valid = (check_), .form = (form_)                                    \
        }

#define JOB_OPTIONAL_TEXT(member_, check_, form_)                                                          \
        {                                                                                                  \
                .name = #member_, .type = &field_text, .offset = offsetof(Job, member_), .optional = true, \
                .is_valid = (check_), .form = (form_)                                                      \
        }

static const JsonField job_fields[] = {
        JOB_TEXT(job, job_id_is_valid, "a job's id"),
        JOB_TEXT(token, token_is_valid, "a token"),
        { "attempt", &field_uint, offsetof(Job, attempt), .min = 1, .max = 1000 },
        JOB_TEXT(action, slug_is_valid, "an action"),
        { "channel", &field_channel, offsetof(Job, channel) },
        JOB_TEXT(track, slug_is_valid, "a slug"),
        JOB_OPTIONAL_TEXT(exercise, slug_is_valid, "a slug"),
        JOB_OPTIONAL_TEXT(id, request_id_is_valid, "an id"),
        { "input", &field_text, offsetof(Job, input), .optional = true, .max = URI_SIZE_MAX },
        JOB_OPTIONAL_TEXT(version, version_is_valid, "a version"),
        JOB_OPTIONAL_TEXT(git_reference, git_reference_is_valid, "a reference of git"),
        { "target", &field_channel, offsetof(Job, target), .optional = true },
        { "build_usec", &field_uint, offsetof(Job, build_usec), .optional = true,
          .max = 86400 * USEC_PER_SEC },
        { "digest", &field_text, offsetof(Job, digest), .optional = true, .is_valid = digest_is_valid,
          .form = "a digest" },
        { "limits", &field_struct, offsetof(Job, limits), .table = &limits_table },
        JOB_TEXT(profile, slug_is_valid, "a name"),
        { "entrypoint", &field_texts, offsetof(Job, entrypoint), .optional = true, .max = 256 },
        { "late_success", &field_bool, offsetof(Job, late_success), .optional = true },
        { "setup_usec", &field_uint, offsetof(Job, setup_usec), .max = 3600 * USEC_PER_SEC },
        { "resend_key", &field_text, offsetof(Job, resend_key), .optional = true,
          .is_valid = resend_key_is_valid, .form = "a key" },
};

static const JsonTable job_table = JSON_TABLE(Job, job_fields);

int job_from_json(json_object *object, Job *ret, char **ret_error)
{
        Job job = { .target = _CHANNEL_INVALID };
        bool is_whole;
        int r = json_read(&job_table, object, &job, ret_error);

        *ret = (Job){};
        if (r != 0)
                return r;
        is_whole = job_is_build(&job) ? job.git_reference && job.target != _CHANNEL_INVALID
                                      : job.exercise && job.id && job.input && job.version;
        if (is_whole) {
                *ret = job;
                return 0;
        }
        job_done(&job);
        return error_set(ret_error, JSON_BAD, " lacks what its action needs");
}

json_object *job_to_json(const Job *job)
{
        return json_write(&job_table, job);
}

void job_done(Job *job)
{
        json_done(&job_table, job);
}

static const JsonField outcome_fields[] = {
        { "job", &field_text, offsetof(Outcome, job), .is_valid = job_id_is_valid, .form = "a job's id" },
        { "token", &field_text, offsetof(Outcome, token), .is_valid = token_is_valid, .form = "a token" },
        { "status_code", &field_uint, offsetof(Outcome, status_code), .min = 200, .max = 599 },
        { "error", &field_text, offsetof(Outcome, error), .optional = true, .max = ERROR_SIZE_MAX },
        { "resend_key", &field_text, offsetof(Outcome, resend_key), .optional = true,
          .is_valid = resend_key_is_valid, .form = "a key" },
        { "cpu_usec", &field_uint, offsetof(Outcome, cpu_usec), .optional = true,
          .max = 1000000 * USEC_PER_SEC },
};

static const JsonTable outcome_table = JSON_TABLE(Outcome, outcome_fields);

int outcome_from_json(json_object *object, Outcome *ret, char **ret_error)
{
        *ret = (Outcome){};
        return json_read(&outcome_table, object, ret, ret_error);
}

json_object *outcome_to_json(const Outcome *outcome)
{
        return json_write(&outcome_table, outcome);
}

void outcome_done(Outcome *outcome)
{
        json_done(&outcome_table, outcome);
}
