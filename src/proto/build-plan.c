/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BuildPlan, as a table. */

#include "build-plan.h"

#define KIB           UINT64_C(1024)
#define MIB           (KIB * 1024)
#define GIB           (MIB * 1024)
#define TIMESTAMP_MAX UINT64_C(253402300799) /* the last second of the year 9999 */

#define LIMIT(member_, min_, max_)                                                               \
        {                                                                                        \
                .name = #member_, .type = &field_uint, .offset = offsetof(BuildLimits, member_), \
                .min = (min_), .max = (max_)                                                     \
        }

static const JsonField limit_fields[] = {
        LIMIT(wall_usec, USEC_PER_MSEC, 86400 * USEC_PER_SEC),
        LIMIT(memory_bytes, 16 * MIB, 1024 * GIB),
        LIMIT(processes, 8, 1000000),
        LIMIT(cpu_percent, 1, 100000),
        LIMIT(output_bytes, KIB, GIB),
        LIMIT(written_bytes, MIB, 1024 * GIB),
        LIMIT(image_bytes, KIB, 1024 * GIB),
};

const JsonTable build_limits_table = JSON_TABLE(BuildLimits, limit_fields);

static const JsonField plan_fields[] = {
        { "job", &field_text, offsetof(BuildPlan, job), .is_valid = job_id_is_valid, .form = "a job's id" },
        { "channel", &field_channel, offsetof(BuildPlan, channel) },
        { "track", &field_text, offsetof(BuildPlan, track), .is_valid = slug_is_valid, .form = "a slug" },
        { "timestamp", &field_uint, offsetof(BuildPlan, timestamp), .max = TIMESTAMP_MAX },
        { "bases", &field_uint, offsetof(BuildPlan, n_bases), .optional = true, .max = BUILD_BASES_MAX },
        { "network", &field_bool, offsetof(BuildPlan, network), .optional = true },
        { "limits", &field_struct, offsetof(BuildPlan, limits), .table = &build_limits_table },
};

static const JsonTable plan_table = JSON_TABLE(BuildPlan, plan_fields);

int build_plan_from_json(json_object *object, BuildPlan *ret, char **ret_error)
{
        *ret = (BuildPlan){};
        return json_read(&plan_table, object, ret, ret_error);
}

json_object *build_plan_to_json(const BuildPlan *plan)
{
        return json_write(&plan_table, plan);
}

void build_plan_done(BuildPlan *plan)
{
        json_done(&plan_table, plan);
}

int build_limits_check_ceilings(const BuildLimits *limits, const BuildLimits *ceilings, char **ret_error)
{
        return json_check_ceilings(&build_limits_table, limits, ceilings, ret_error);
}
