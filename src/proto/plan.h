/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a worker asks sandboxd to run: the `plan` of a `run` order. It names an image and a profile and holds
 * numbers and words for the guest; a host path, a mount or a filter cannot be said. */

#include "job.h"

typedef struct Plan {
        char *job;
        char *image;        /* digest */
        char *profile;      /* name */
        char **arguments;   /* at least one */
        char **environment; /* NAME=VALUE */
        char *folder;       /* absolute, inside the container */
        Limits limits;
        char **results; /* names of files, relative to the folder of the input */
} Plan;

#define PLAN_RESULTS_MAX 8U

/* 0, -ENOMEM, or JSON_BAD with what is wrong. */
int plan_from_json(json_object *object, Plan *ret, char **ret_error) _warn_unused_;
/* NULL without memory. */
json_object *plan_to_json(const Plan *plan);
void plan_done(Plan *plan);

/* Whether each limit is at most its ceiling. 0, -ENOMEM, or JSON_BAD with the limit and its ceiling. */
int limits_check_ceilings(const Limits *limits, const Limits *ceilings, char **ret_error) _warn_unused_;
