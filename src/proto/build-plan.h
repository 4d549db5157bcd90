/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a builder asks pipeline-buildd to make: the `plan` of a `build` order. It holds names and numbers; a
 * host path, a mount, a secret or an argument of a program cannot be said. */

#include "job.h"

#define BUILD_BASES_MAX 32U

typedef struct BuildLimits {
        usec_t wall_usec;
        uint64_t memory_bytes;
        uint64_t processes;
        uint64_t cpu_percent;
        uint64_t output_bytes;  /* of the log */
        uint64_t written_bytes; /* on disk, beside what was there */
        uint64_t image_bytes;   /* what comes of it */
} BuildLimits;

extern const JsonTable build_limits_table;

typedef struct BuildPlan {
        char *job;
        Channel channel; /* with the track: whose layers may be used again */
        char *track;
        uint64_t timestamp; /* of all files and of the image, in seconds */
        uint64_t n_bases;   /* images that the Dockerfile calls localhost/base:0 and so on */
        bool network;       /* whether its steps may reach public web servers */
        BuildLimits limits;
} BuildPlan;

/* 0, -ENOMEM, or JSON_BAD with what is wrong. */
int build_plan_from_json(json_object *object, BuildPlan *ret, char **ret_error) _warn_unused_;
/* NULL without memory. */
json_object *build_plan_to_json(const BuildPlan *plan);
void build_plan_done(BuildPlan *plan);

/* Whether each limit is at most its ceiling. 0, -ENOMEM, or JSON_BAD with the limit and its ceiling. */
int build_limits_check_ceilings(const BuildLimits *limits, const BuildLimits *ceilings,
                                char **ret_error) _warn_unused_;
