/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first limit hit wins. pipeline-init sees wall time, output and what was written; the kernel counts
 * memory and processes. Each tells sandboxd as it happens, and what is told first is the verdict. Where
 * pipeline-init's last word comes while the kernel has counted something that nobody was told of yet, the
 * kernel goes first, memory before processes: for a guest that was killed looks to pipeline-init like one
 * that ended. */

#include "verdict.h"

#include <errno.h>

static const char *const names[_CAUSE_MAX] = {
        [CAUSE_EXITED] = "exited",       [CAUSE_SIGNALED] = "signaled", [CAUSE_WALL_TIME] = "wall_time",
        [CAUSE_OUTPUT] = "output",       [CAUSE_WRITTEN] = "written",   [CAUSE_MEMORY] = "memory",
        [CAUSE_PROCESSES] = "processes",
};

static const Cause from_exit[_EXIT_CAUSE_MAX] = {
        [EXIT_CAUSE_EXITED] = CAUSE_EXITED,       [EXIT_CAUSE_SIGNALED] = CAUSE_SIGNALED,
        [EXIT_CAUSE_WALL_TIME] = CAUSE_WALL_TIME, [EXIT_CAUSE_OUTPUT] = CAUSE_OUTPUT,
        [EXIT_CAUSE_WRITTEN] = CAUSE_WRITTEN,
};

static const Cause from_fault[] = {
        [SANDBOX_FAULT_MEMORY] = CAUSE_MEMORY,
        [SANDBOX_FAULT_PROCESSES] = CAUSE_PROCESSES,
        [SANDBOX_FAULT_TIME] = CAUSE_WALL_TIME,
};

const char *cause_name(Cause cause)
{
        return names[cause];
}

void verdict_from_fault(SandboxFault fault, Verdict *verdict)
{
        assert(fault != SANDBOX_FAULT_SETUP && fault < ARRAY_SIZE(from_fault));
        verdict->cause = from_fault[fault];
}

void verdict_from_exit(const InitExit *exit, const SandboxFault *fault, Verdict *verdict)
{
        verdict->cause = fault ? from_fault[*fault] : from_exit[exit->cause];
        verdict->status = exit->status;
        verdict->wall_usec = exit->wall_usec;
        verdict->written_size = exit->written_size;
        verdict->inodes = exit->inodes;
        verdict->stdout_size = exit->stdout_size;
        verdict->stderr_size = exit->stderr_size;
}

/* What was allowed and what was used of it. */
typedef struct Measure {
        uint64_t value, used;
} Measure;

static Measure measure(const Verdict *v)
{
        switch (v->cause) {
        case CAUSE_WALL_TIME:
                return (Measure){ v->limits.wall_usec, v->wall_usec };
        case CAUSE_OUTPUT:
                return (Measure){ v->limits.output_bytes, MAX(v->stdout_size, v->stderr_size) };
        case CAUSE_WRITTEN:
                if (v->inodes > v->limits.inodes)
                        return (Measure){ v->limits.inodes, v->inodes };
                return (Measure){ v->limits.written_bytes, v->written_size };
        case CAUSE_MEMORY:
                return (Measure){ v->limits.memory_bytes, MAX(v->memory_peak, v->limits.memory_bytes) };
        default:
                return (Measure){ v->limits.processes, v->limits.processes };
        }
}

static int add_limit(json_object *answer, const Verdict *verdict)
{
        _cleanup_json_ json_object *limit = NULL;
        Measure m;

        if (verdict->cause == CAUSE_EXITED || verdict->cause == CAUSE_SIGNALED)
                return json_object_object_add(answer, "limit", NULL) < 0 ? -ENOMEM : 0;
        m = measure(verdict);
        limit = json_object_new_object();
        if (!limit || json_add_text(limit, "name", cause_name(verdict->cause)) < 0 ||
            json_add_uint(limit, "value", m.value) < 0 || json_add_uint(limit, "used", m.used) < 0)
                return -ENOMEM;
        return json_add(answer, "limit", TAKE_PTR(limit));
}

static int add_peak(json_object *usage, const char *name, uint64_t value)
{
        if (value > 0)
                return json_add_uint(usage, name, value);
        return json_object_object_add(usage, name, NULL) < 0 ? -ENOMEM : 0;
}

static int add_usage(json_object *answer, const Verdict *v)
{
        _cleanup_json_ json_object *usage = json_object_new_object();
        const struct {
                const char *name;
                uint64_t value;
        } numbers[] = {
                { "wall_usec", v->wall_usec },        { "cpu_usec", v->cpu_usec },
                { "written_bytes", v->written_size }, { "written_inodes", v->inodes },
                { "stdout_bytes", v->stdout_size },   { "stderr_bytes", v->stderr_size },
        };

        if (!usage)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (json_add_uint(usage, numbers[i].name, numbers[i].value) < 0)
                        return -ENOMEM;
        if (add_peak(usage, "memory_peak_bytes", v->memory_peak) < 0 ||
            add_peak(usage, "processes_peak", v->processes_peak) < 0)
                return -ENOMEM;
        return json_add(answer, "usage", TAKE_PTR(usage));
}

json_object *verdict_to_json(const Verdict *verdict)
{
        _cleanup_json_ json_object *answer = json_object_new_object();

        if (!answer || json_add_uint(answer, "code", 0) < 0 ||
            json_add_text(answer, "cause", cause_name(verdict->cause)) < 0 ||
            add_limit(answer, verdict) < 0 || add_usage(answer, verdict) < 0 ||
            json_add_text(answer, "scope", verdict->scope) < 0 ||
            json_add_bool(answer, "limits_enforced", verdict->limits_enforced) < 0)
                return NULL;
        if (verdict->cause == CAUSE_EXITED && json_add_uint(answer, "status", verdict->status) < 0)
                return NULL;
        if (verdict->cause == CAUSE_SIGNALED && json_add_uint(answer, "signal", verdict->status) < 0)
                return NULL;
        return TAKE_PTR(answer);
}
