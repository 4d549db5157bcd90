/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time in microseconds. */

#include "time-util.h"

#include <stdio.h>

usec_t now_usec(clockid_t clock)
{
        struct timespec t;

        (void) clock_gettime(clock, &t); /* cannot fail for the clocks of the kernel */
        return (usec_t) t.tv_sec * USEC_PER_SEC + (usec_t) t.tv_nsec / 1000;
}

void format_timestamp(usec_t realtime_usec, char *ret)
{
        time_t seconds = (time_t) (realtime_usec / USEC_PER_SEC);
        unsigned milliseconds = (unsigned) (realtime_usec % USEC_PER_SEC / USEC_PER_MSEC);
        struct tm tm;
        size_t n;

        n = strftime(ret, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
        (void) snprintf(ret + n, TIMESTAMP_SIZE - n, ".%03uZ", milliseconds % 1000U);
}
