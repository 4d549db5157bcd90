/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What pipeline-init says of a job, held against what was agreed. It shares a container with the guest: what
 * it says is a stranger's word. Pure. */

#include "proto/frame.h"
#include "proto/plan.h"

typedef struct Testimony {
        const Plan *plan;     /* borrowed: limits, and the names of results */
        bool is_told;         /* pipeline-init was told to start the guest; the owner's to set */
        bool is_running;      /* it said that it did */
        bool is_over;         /* it said that the guest ended */
        bool has_ended;       /* it said its last word, or what was not agreed */
        uint64_t sizes[2];    /* of stdout and stderr, as they came */
        uint64_t result_left; /* bytes of the result announced last */
        unsigned results;     /* those announced: a bit for each of the plan's names */
} Testimony;

/* What is to be done about a frame. */
typedef enum HeardType {
        HEARD_STARTED, /* the guest runs: once */
        HEARD_ENDED,   /* it does not any more, and what it left comes: once, perhaps before HEARD_STARTED */
        HEARD_OUTPUT,  /* goes on to the worker as it is */
        HEARD_EXIT,    /* the guest ended, as `exit` says: last */
        HEARD_FAILED,  /* the set-up failed, the payload says why: last */
} HeardType;

typedef struct Heard {
        HeardType type;
        InitExit exit; /* no number in it is over INT64_MAX */
} Heard;

/* Takes the next frame. Returns 0, or
 *   TESTIMONY_BROKEN  it may not come now, or is not what was agreed; nothing is taken any more. */
enum {
        TESTIMONY_BROKEN = 1,
};
int testimony_take(Testimony *testimony, const Frame *frame, Heard *ret) _warn_unused_;
