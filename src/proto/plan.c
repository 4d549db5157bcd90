/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plan, as a table. */

#include "plan.h"

#include "basic/string-util.h"

#define WORDS_MAX  4096U
#define FOLDER_MAX 4095U

static bool folder_is_valid(const char *s)
{
        return s[0] == '/';
}

static const JsonField plan_fields[] = {
        { "job", &field_text, offsetof(Plan, job), .is_valid = job_id_is_valid, .form = "a job's id" },
        { "image", &field_text, offsetof(Plan, image), .is_valid = digest_is_valid, .form = "a digest" },
        { "profile", &field_text, offsetof(Plan, profile), .is_valid = slug_is_valid, .form = "a name" },
        { "arguments", &field_texts, offsetof(Plan, arguments), .max = WORDS_MAX },
        { "environment", &field_texts, offsetof(Plan, environment), .max = WORDS_MAX },
        { "folder", &field_text, offsetof(Plan, folder), .is_valid = folder_is_valid,
          .form = "an absolute path", .max = FOLDER_MAX },
        { "limits", &field_struct, offsetof(Plan, limits), .table = &limits_table },
        { "results", &field_texts, offsetof(Plan, results), .max = PLAN_RESULTS_MAX },
};

static const JsonTable plan_table = JSON_TABLE(Plan, plan_fields);

int plan_from_json(json_object *object, Plan *ret, char **ret_error)
{
        Plan plan = {};
        int r = json_refuse_unknown(&plan_table, object, ret_error);

        if (r == 0)
                r = json_read(&plan_table, object, &plan, ret_error);
        if (r != 0)
                return r;
        if (strv_length(plan.arguments) == 0 || plan.arguments[0][0] == '\0')
                r = error_set(ret_error, JSON_BAD, "arguments must name a program");
        if (r != 0) {
                plan_done(&plan);
                return r;
        }
        *ret = plan;
        return 0;
}

json_object *plan_to_json(const Plan *plan)
{
        return json_write(&plan_table, plan);
}

void plan_done(Plan *plan)
{
        json_done(&plan_table, plan);
}

int limits_check_ceilings(const Limits *limits, const Limits *ceilings, char **ret_error)
{
        return json_check_ceilings(&limits_table, limits, ceilings, ret_error);
}
