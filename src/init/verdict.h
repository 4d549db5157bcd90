/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ended the guest, and how much of its output may pass. */

#include "basic/macro.h"
#include "proto/frame.h"

/* One of the guest's output streams against its limit. */
typedef struct Stream {
        uint64_t limit;
        uint64_t seen; /* what was read from the guest, also beyond the limit */
} Stream;

/* Notes `size` bytes just read; returns how many of them, from the first, may go on. */
size_t stream_admit(Stream *stream, size_t size);

static inline bool stream_is_over(const Stream *stream)
{
        return stream->seen > stream->limit;
}

/* Zero-initialised: the guest runs. */
typedef struct Verdict {
        bool has_limit; /* `limit` was hit */
        ExitCause limit;
        bool has_end; /* the main process is gone, with `wait_status` */
        int wait_status;
} Verdict;

/* A limit was seen to be hit. Counts only when it is the first. */
void verdict_limit(Verdict *verdict, ExitCause limit);
/* The main process ended, with a status of wait(2). */
void verdict_end(Verdict *verdict, int wait_status);
/* Fills in `cause` and `status`. The main process must have ended. */
void verdict_read(const Verdict *verdict, InitExit *exit);
