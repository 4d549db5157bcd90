/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever json_check() takes, an escaped copy of it is a valid string, and a place it
 * reports lies inside. */

#include "fuzz.h"

#include "proto/json-check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(buffer_done) Buffer escaped = {};
        JsonReport report;
        int r;

        r = json_check(data, size, size, JSON_CHECK_DEPTH_MAX, &report);
        if (r < 0 || report.offset > size || (r == 0) != (report.reason == NULL))
                abort();
        if (json_escape_append(&escaped, data, size, SIZE_MAX) < 0 ||
            json_check(escaped.data, escaped.size, SIZE_MAX, 0, &report) != 0 ||
            report.kind != JSON_KIND_STRING)
                abort();
        return 0;
}
