/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Time in microseconds. Whatever is a duration or a deadline is counted on the monotonic clock; the wall
 * clock is only shown. */

#include "macro.h"

#include <time.h>

typedef uint64_t usec_t;

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

usec_t now_usec(clockid_t clock);

#define TIMESTAMP_SIZE 32U
/* ISO 8601 in UTC with milliseconds, 2026-01-31T12:34:56.789Z, into `ret` of TIMESTAMP_SIZE bytes. */
void format_timestamp(usec_t realtime_usec, char *ret);
