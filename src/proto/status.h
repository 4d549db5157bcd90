/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The status codes of docs/PROTOCOL.md: the terminal answer of every request. */

#include "basic/macro.h"

typedef enum StatusCode {
        STATUS_OK = 200,
        STATUS_BAD_INPUT = 400,
        STATUS_TIMED_OUT = 401,
        STATUS_EXCESSIVE_OUTPUT = 402,
        STATUS_TERMINATED = 403,
        STATUS_INTERNAL_ERROR = 500,
        STATUS_UNKNOWN_ACTION = 501,
        STATUS_MALFORMED_REQUEST = 502,
        STATUS_NO_WORKER = 503,
        STATUS_NO_ANSWER = 504,
        STATUS_VERSION_NOT_DEPLOYED = 505,
        STATUS_WORKER_ERROR = 510,
        STATUS_VERSION_NOT_ON_WORKER = 511,
        STATUS_SETUP_FAILED = 512,
        STATUS_ANALYZER_FAILED = 513,
        STATUS_BAD_RESULT = 514,
} StatusCode;

/* `bad_input` and its like; NULL for a number that is no code. */
const char *status_name(unsigned code);
/* One sentence for people; NULL for a number that is no code. */
const char *status_message(unsigned code);
