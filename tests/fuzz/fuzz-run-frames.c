/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sandboxd sends of a run: the first byte chooses the channel. A result is no larger than its limit and
 * whole, or it is none; a stream's beginning is kept; and an outcome comes of it. */

#include "fuzz.h"

#include "worker/run-frames.h"

#include "basic/string-util.h"

#define RESULT_SIZE 4096U

static int take_all(RunFrames *frames, const uint8_t *data, size_t size)
{
        Frame frame;
        int r = 0;

        while (r == 0 && frame_parse(data, size, &frame) == 0) {
                _cleanup_free_ uint8_t *payload = malloc(frame.size ?: 1);
                const char *what = NULL;

                expect(payload);
                (void) memcpy(payload, frame.payload, frame.size);
                data += frame_total_size(&frame);
                size -= frame_total_size(&frame);
                frame.payload = payload;
                r = run_frames_take(frames, &frame, &what);
                expect(r == 0 || r == RUN_FRAMES_BROKEN);
                expect((r == RUN_FRAMES_BROKEN) == (what != NULL));
        }
        return r;
}

static void check_record(const RunRecord *record, bool is_whole)
{
        for (size_t i = 0; i < RESULTS_MAX; i++) {
                expect(record->results[i].state < _RESULT_STATE_MAX);
                expect(record->results[i].data.size <= RESULT_SIZE);
        }
        for (size_t i = 0; i < ARRAY_SIZE(record->streams); i++)
                expect(record->streams[i].kept.size <= STREAM_KEPT_MAX);
        if (is_whole) {
                _cleanup_(outcome_text_done) OutcomeText text = {};

                expect(outcome_build(record, &text) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Job job = {
                .job = (char *) "j", .token = (char *) "t", .version = (char *) "v", .limits = limits_default
        };
        _cleanup_(run_record_done) RunRecord record = { .job = &job, .worker = "w" };
        RunFrames frames = { .record = &record, .result_size = RESULT_SIZE };
        uint64_t left;
        int r;

        if (size == 0)
                return 0;
        job.channel = data[0] % CHANNEL_BUILDERS;
        for (size_t i = 0; i < RESULTS_MAX; i++)
                record.results[i].state = RESULT_MISSING;
        record.answer.cause = strdup("exited");
        record.answer.limits_enforced = true;
        expect(record.answer.cause);
        r = take_all(&frames, data + 1, size - 1);
        left = frames.left;
        expect(left <= RESULT_SIZE && (left == 0 || frames.result));
        run_frames_end(&frames);
        expect(left == 0 || frames.result->state == RESULT_UNREADABLE);
        check_record(&record, r == 0);
        return 0;
}
