/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Running another program: an argument vector, never a shell; bounded output, a time limit. The program is
 * looked for in the standard folders whatever the caller's PATH is, and gets only the environment it is
 * given. */

#include "basic/io-util.h"
#include "basic/time-util.h"

typedef struct ProcessOptions {
        const char *const *argv;
        const char *const *environment; /* NAME=VALUE besides PATH and LANG; may be NULL */
        const char *folder;             /* to start in; NULL: the caller's */
        usec_t timeout_usec;            /* 0: none. Then it is killed */
        size_t output_size_max;         /* of each stream: what is more is read and dropped */
} ProcessOptions;

typedef struct ProcessResult {
        int status; /* exit status, or -signal */
        bool timed_out;
        Buffer output, errors; /* standard output and error; not ended by NUL */
} ProcessResult;

void process_result_done(ProcessResult *result);

/* Runs it to its end, and waits. -ENOENT where there is no such program. All descriptors of the caller but
 * the standard ones must be close-on-exec. */
int process_run(const ProcessOptions *options, ProcessResult *ret) _warn_unused_;

/* The same for event loops: starts it, with `output_fd` as standard output and error (it stays the caller's;
 * -1: /dev/null). */
int process_spawn(const ProcessOptions *options, int output_fd, pid_t *ret_pid) _warn_unused_;

/* Why it failed, in one line that is safe to show: the last line of its standard error, or how it ended. A
 * new string, NULL without memory. */
char *process_error(const ProcessOptions *options, const ProcessResult *result);
