/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* METHOD PATH VERSION is looked at, the lines behind it are not. */

#include "metrics-request.h"

#include "basic/string-util.h"

static bool is_whole(const char *data, size_t size)
{
        return memmem(data, size, "\r\n\r\n", 4) || memmem(data, size, "\n\n", 2);
}

/* "GET /metrics HTTP/1.1" */
static unsigned parse_line(char *line)
{
        char *rest = line, *method = strsep(&rest, " "), *path = strsep(&rest, " "), *version = rest;

        if (!path || !version || !string_after(version, "HTTP/1."))
                return 400;
        if (!streq(method, "GET"))
                return 405;
        path[strcspn(path, "?")] = '\0';
        return streq(path, "/metrics") || streq(path, "/") ? 200 : 404;
}

unsigned metrics_request_parse(const char *data, size_t size)
{
        char line[METRICS_REQUEST_SIZE_MAX];
        size_t n = 0;

        size = MIN(size, sizeof(line));
        if (!is_whole(data, size))
                return size == sizeof(line) ? 431 : 0;
        while (data[n] != '\r' && data[n] != '\n')
                n++;
        (void) memcpy(line, data, n);
        line[n] = '\0';
        return strlen(line) == n ? parse_line(line) : 400;
}
