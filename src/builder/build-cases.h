/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The trials that a repository brings along: each folder below fixtures/ or tests/ that holds a file
 * expected_RESULT, where RESULT is what the channel's programs write (results.json). */

#include "build-work.h"

#define CASES_MAX 64U

typedef struct Case {
        char *name;     /* its folder in the repository */
        char *exercise; /* the first folder below fixtures/ or tests/ that is a slug */
        char *folder;   /* absolute: its files, without what is expected */
        char *expected; /* what the result must be */
        size_t expected_size;
} Case;

typedef struct Cases {
        Case *cases; /* owned */
        size_t n_cases;
} Cases;

void cases_done(Cases *cases);

/* Writes the files of each below the work's folder. BUILD_ENDS where they are too many or too large. */
int cases_read(Work *work, Cases *ret) _warn_unused_;
