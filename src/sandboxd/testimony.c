/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* STARTED; then output and results in any order, each result with as much data as it announced, named in the
 * plan, and once; then EXIT. ENDED comes once, as soon as the guest was told to start. FAILED ends it at any
 * time. Every size is bounded by the plan's limits, so what goes on to the worker is, too. */

#include "testimony.h"

#include <string.h>

_Static_assert(PLAN_RESULTS_MAX <= 32, "results are bits");

/* pipeline-init may send a whole read more than the limit. */
#define OUTPUT_SLACK FRAME_PAYLOAD_MAX

static bool take_started(Testimony *t, const Frame *frame, Heard *heard)
{
        if (t->is_running || !t->is_told)
                return false;
        t->is_running = true;
        return true;
}

static bool take_ended(Testimony *t, const Frame *frame, Heard *heard)
{
        if (t->is_over || !t->is_told)
                return false;
        t->is_over = true;
        return true;
}

static bool take_output(Testimony *t, const Frame *frame, Heard *heard)
{
        uint64_t *size = &t->sizes[frame->type == FRAME_STDERR];

        *size += frame->size;
        return t->is_running && frame->size > 0 && *size <= t->plan->limits.output_bytes + OUTPUT_SLACK;
}

/* The bit of its name, which was not announced yet; 0 where the plan has none such. */
static unsigned result_bit(const Testimony *t, const FrameResult *result)
{
        char *const *names = t->plan->results;

        for (unsigned i = 0; names && names[i]; i++)
                if (!(t->results & 1U << i) && strlen(names[i]) == result->name_size &&
                    memcmp(names[i], result->name, result->name_size) == 0)
                        return 1U << i;
        return 0;
}

static bool take_result(Testimony *t, const Frame *frame, Heard *heard)
{
        FrameResult result;
        unsigned bit;

        if (!t->is_running || t->result_left > 0 || frame_parse_result(frame, &result) != 0)
                return false;
        bit = result_bit(t, &result);
        if (bit == 0 || (result.state == RESULT_OK && result.size > t->plan->limits.result_bytes))
                return false;
        t->results |= bit;
        t->result_left = result.state == RESULT_OK ? result.size : 0;
        return true;
}

static bool take_data(Testimony *t, const Frame *frame, Heard *heard)
{
        if (frame->size == 0 || frame->size > t->result_left)
                return false;
        t->result_left -= frame->size;
        return true;
}

/* What it counted is at least what came: beyond the limit it counts, and sends no more. */
static bool exit_is_sane(const Testimony *t, const InitExit *exit)
{
        const uint64_t numbers[] = { exit->wall_usec,    exit->user_usec, exit->system_usec,
                                     exit->written_size, exit->inodes,    exit->stdout_size,
                                     exit->stderr_size };

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (numbers[i] > INT64_MAX)
                        return false;
        return exit->stdout_size >= t->sizes[0] && exit->stderr_size >= t->sizes[1];
}

static bool take_exit(Testimony *t, const Frame *frame, Heard *heard)
{
        t->has_ended = true;
        return t->is_running && t->is_over && t->result_left == 0 &&
               frame_parse_exit(frame, &heard->exit) == 0 && exit_is_sane(t, &heard->exit);
}

static bool take_failed(Testimony *t, const Frame *frame, Heard *heard)
{
        t->has_ended = true;
        return true;
}

int testimony_take(Testimony *t, const Frame *frame, Heard *ret)
{
        static const struct {
                bool (*take)(Testimony *t, const Frame *frame, Heard *heard);
                HeardType heard;
        } types[] = {
                [FRAME_STARTED] = { take_started, HEARD_STARTED },
                [FRAME_ENDED] = { take_ended, HEARD_ENDED },
                [FRAME_STDOUT] = { take_output, HEARD_OUTPUT },
                [FRAME_STDERR] = { take_output, HEARD_OUTPUT },
                [FRAME_RESULT] = { take_result, HEARD_OUTPUT },
                [FRAME_DATA] = { take_data, HEARD_OUTPUT },
                [FRAME_EXIT] = { take_exit, HEARD_EXIT },
                [FRAME_FAILED] = { take_failed, HEARD_FAILED },
        };
        Heard heard = {};

        if (t->has_ended || frame->type >= ARRAY_SIZE(types) || !types[frame->type].take ||
            !types[frame->type].take(t, frame, &heard)) {
                t->has_ended = true;
                return TESTIMONY_BROKEN;
        }
        heard.type = types[frame->type].heard;
        *ret = heard;
        return 0;
}
