/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a scraper sends: however it is cut into pieces, and whatever follows, its answer is one; and metrics
 * are for a GET of one of two pages. */

#include "fuzz.h"

#include "router/metrics-request.h"

#include "basic/string-util.h"

#define MIDDLE 100U

static bool is_among(unsigned status)
{
        static const unsigned all[] = { 200, 400, 404, 405, 431 };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (status == all[i])
                        return true;
        return false;
}

/* The first line, as one that wants metrics would begin. */
static void check_line(const char *text)
{
        const char *path = string_after(text, "GET /"), *rest;

        expect(path);
        rest = string_after(path, "metrics") ?: path;
        expect(*rest == ' ' || *rest == '?');
        rest += strcspn(rest, " \r\n");
        expect(string_after(rest, " HTTP/1."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned first = 0, all;

        for (size_t n = 0; n <= size && n <= METRICS_REQUEST_SIZE_MAX; n++) {
                _cleanup_free_ char *part = malloc(n ?: 1);
                unsigned status;

                expect(part);
                (void) memcpy(part, data, n);
                status = metrics_request_parse(part, n);
                expect(status == 0 || is_among(status));
                expect(first == 0 || status == first);
                expect(status != 431 || n == METRICS_REQUEST_SIZE_MAX);
                if (first == 0 && status == 200) {
                        _cleanup_free_ char *text = strndup(part, n);

                        expect(text);
                        check_line(text);
                }
                first = status;
                if (n == MIDDLE && size > 2 * MIDDLE) /* what follows is like what was */
                        n = MIN(size, (size_t) METRICS_REQUEST_SIZE_MAX) - MIDDLE;
        }
        all = metrics_request_parse((const char *) data, size);
        expect(all == first);
        return 0;
}
