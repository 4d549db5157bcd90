/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run-frames.h"

#include <string.h>

static int broken(const char **ret_what, const char *what)
{
        *ret_what = what;
        return RUN_FRAMES_BROKEN;
}

static ResultRecord *find_result(const RunFrames *frames, const FrameResult *result)
{
        char *const *names = result_names(frames->record->job->channel);

        for (size_t i = 0; names[i]; i++)
                if (strlen(names[i]) == result->name_size &&
                    memcmp(names[i], result->name, result->name_size) == 0)
                        return &frames->record->results[i];
        return NULL;
}

static int take_result(RunFrames *frames, const Frame *frame, const char **ret_what)
{
        FrameResult result;

        if (frame_parse_result(frame, &result) != 0 || frames->left > 0)
                return broken(ret_what, "a malformed result");
        frames->result = find_result(frames, &result);
        if (!frames->result || frames->result->data.size > 0)
                return broken(ret_what, "a result that was not asked for");
        frames->result->state = result.state;
        if (result.state != RESULT_OK)
                return 0;
        if (result.size > frames->result_size) {
                frames->result->state = RESULT_TOO_LARGE;
                return broken(ret_what, "a result that is larger than the limit");
        }
        frames->left = result.size;
        return 0;
}

static int take_data(RunFrames *frames, const Frame *frame, const char **ret_what)
{
        if (!frames->result || frame->size > frames->left)
                return broken(ret_what, "more of a result than it announced");
        frames->left -= frame->size;
        return buffer_append(&frames->result->data, frame->payload, frame->size, SIZE_MAX);
}

int run_frames_take(RunFrames *frames, const Frame *frame, const char **ret_what)
{
        switch (frame->type) {
        case FRAME_STDOUT:
        case FRAME_STDERR:
                return stream_record_append(&frames->record->streams[frame->type == FRAME_STDERR],
                                            frame->payload, frame->size);
        case FRAME_RESULT:
                return take_result(frames, frame, ret_what);
        case FRAME_DATA:
                return take_data(frames, frame, ret_what);
        default:
                return broken(ret_what, "a frame that has no place here");
        }
}

void run_frames_end(RunFrames *frames)
{
        if (frames->left > 0)
                frames->result->state = RESULT_UNREADABLE;
        frames->left = 0;
}
