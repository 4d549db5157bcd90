/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's main process: made, stripped of everything, executed. */

#include "conversation.h"

#include <sys/types.h>

typedef struct Guest {
        pid_t pid;
        int start_fd;      /* reads one GuestFailure, or its end when the program was executed */
        int output_fds[2]; /* stdout and stderr, non-blocking; negative when closed */
} Guest;

/* Forks. What goes wrong in the new process comes through `start_fd`. */
int guest_start(const Conversation *job, Guest *ret) _warn_unused_;

/* How the start went, once `start_fd` is readable. Returns 0 (the program runs), -errno, or
 *   GUEST_FAILED  it does not; `ret_text` is a new string, `ret_flags` those of a FAILED frame. */
enum {
        GUEST_FAILED = 1,
};
int guest_check_start(const Guest *guest, const Conversation *job, char **ret_text,
                      uint16_t *ret_flags) _warn_unused_;
