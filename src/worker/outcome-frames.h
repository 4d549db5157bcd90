/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An outcome as frames, as it is kept in a file: ANSWER with the body, then for each part a FILE with its
 * size and DATA. Pure. */

#include "outcome-build.h"

/* Appends it. 0, -ENOMEM, or -E2BIG where the body does not fit into a frame. */
int outcome_text_encode(const OutcomeText *text, Buffer *out) _warn_unused_;
/* 0, -ENOMEM, or OUTCOME_BAD where it is not wholly one that was written; `ret` is zero-initialised, and to
 * be ended whatever the result. */
enum {
        OUTCOME_BAD = 1,
};
int outcome_text_decode(const uint8_t *data, size_t size, OutcomeText *ret) _warn_unused_;
