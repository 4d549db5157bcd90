/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever a guest and sandboxd say, an outcome's parts are JSON. The first byte chooses the channel, the
 * rest up to a NUL byte is the sandbox's answer, what follows is the guest's result, mapping and output at
 * once. */

#include "fuzz.h"

#include "worker/outcome-build.h"

#include "proto/json-check.h"

#include <string.h>

static bool is_json(const Buffer *part)
{
        JsonReport report;

        return part->size == 0 ||
               json_check(part->data, part->size, PEER_PART_SIZE_MAX, JSON_CHECK_DEPTH_MAX, &report) == 0;
}

static void build(const RunRecord *record)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};

        if (outcome_build(record, &text) < 0)
                abort();
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                if (!is_json(&text.parts[i]))
                        abort();
        if ((text.outcome.status_code == STATUS_OK) != (text.parts[OUTCOME_RESPONSE].size > 0))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Job job = {
                .job = (char *) "j", .token = (char *) "t", .version = (char *) "v", .limits = limits_default
        };
        char *arguments[] = { (char *) "a", NULL };
        _cleanup_(run_record_done) RunRecord record = { .job = &job, .worker = "w", .arguments = arguments };
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        const uint8_t *end;

        if (size < 2)
                return 0;
        job.channel = data[0] % CHANNEL_BUILDERS;
        end = memchr(data + 1, '\0', size - 1) ?: data + size;
        if (json_object_from_bytes(data + 1, (size_t) (end - data - 1), &object, &error) != 0 ||
            sandbox_answer_from_json(object, &record.answer, &error) != 0)
                return 0;
        if (end < data + size) {
                size_t left = (size_t) (data + size - end - 1);

                for (size_t i = 0; i < RESULTS_MAX; i++)
                        if (buffer_append(&record.results[i].data, end + 1, left, SIZE_MAX) < 0 ||
                            stream_record_append(&record.streams[i], end + 1, left) < 0)
                                abort();
        }
        build(&record);
        return 0;
}
