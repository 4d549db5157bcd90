/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Running git in the repository of a build. */

#include "build-work.h"

#include "shared/process-util.h"

#define GIT_ASK_USEC   (60 * USEC_PER_SEC)
#define GIT_OUTPUT_MAX (64U * 1024U)

/* Runs `git -C repository WORDS…`; `words` is ended by NULL. */
int git_run(const Work *work, const char *const *words, usec_t timeout_usec, size_t output_max,
            ProcessResult *ret) _warn_unused_;
/* Ends the build with why git failed; what the result has of that is cut to it. */
int git_failed(Work *work, ProcessResult *result, const char *what) _warn_unused_;
/* The first line that git wrote; borrowed from the result. */
int git_text(ProcessResult *result, char **ret) _warn_unused_;
/* An empty repository, and settings that nothing overrides. */
int git_make_repository(Work *work) _warn_unused_;
/* A small file of ours. */
int git_write_text(const char *path, const char *text) _warn_unused_;
