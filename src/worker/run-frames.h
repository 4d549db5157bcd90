/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sandboxd sends of a run, frame by frame, into its record. Pure. */

#include "outcome-build.h"

/* Zero-initialised but for the first two. */
typedef struct RunFrames {
        /* Borrowed; its job says which results are awaited, and how large they may be. */
        RunRecord *record;
        uint64_t result_size; /* the most that a result may have */
        ResultRecord *result; /* the file whose data comes, borrowed; NULL: none */
        uint64_t left;        /* of it */
} RunFrames;

/* STDOUT, STDERR, RESULT or the DATA of one. 0, -ENOMEM, or RUN_FRAMES_BROKEN with what has no place here, a
 * literal: then no frame may follow. */
enum {
        RUN_FRAMES_BROKEN = 1,
};
int run_frames_take(RunFrames *frames, const Frame *frame, const char **ret_what) _warn_unused_;
/* No more come: a file that is not whole is none. */
void run_frames_end(RunFrames *frames);
