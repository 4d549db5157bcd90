/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of an answer's header to what is kept of them. Pure. */

#include "web.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>

#define HEADER_SIZE_MAX   8192U
#define RETRY_SECONDS_MAX 3600U
#define RANGE_UNIT        "bytes "

void web_response_done(WebResponse *response)
{
        free(response->content_type);
        free(response->challenge);
        free(response->link);
        free(response->location);
        buffer_done(&response->body);
        *response = (WebResponse){};
}

static char *header_value(const char *line, size_t size, const char *name)
{
        size_t length = strlen(name);

        if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
                return NULL;
        line += length + 1;
        size -= length + 1;
        while (size > 0 && (*line == ' ' || *line == '\t'))
                line++, size--;
        while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
                size--;
        return size > HEADER_SIZE_MAX || memchr(line, '\0', size) ? NULL : strndup(line, size);
}

/* Keeps the first of its name: a second one is somebody's trick. */
static void keep(char **place, const char *line, size_t size, const char *name)
{
        if (!*place)
                *place = header_value(line, size, name);
}

static void take_retry(WebResponse *response, const char *line, size_t size)
{
        _cleanup_free_ char *text = header_value(line, size, "Retry-After");
        uint64_t seconds;

        if (text && parse_uint64(text, 0, RETRY_SECONDS_MAX, &seconds) == 0)
                response->retry_usec = seconds * USEC_PER_SEC;
}

static void take_range(WebResponse *response, const char *line, size_t size)
{
        _cleanup_free_ char *text = header_value(line, size, "Content-Range"), *start = NULL;
        const char *range = text ? string_after(text, RANGE_UNIT) : NULL;
        uint64_t number;

        if (range)
                start = strndup(range, strcspn(range, "-"));
        if (start && parse_uint64(start, 0, UINT64_MAX, &number) == 0)
                response->range_start = number;
}

void web_response_take_header(WebResponse *response, const char *line, size_t size)
{
        if (size >= 5 && strncmp(line, "HTTP/", 5) == 0) { /* another answer begins */
                web_response_done(response);
                return;
        }
        keep(&response->content_type, line, size, "Content-Type");
        keep(&response->challenge, line, size, "WWW-Authenticate");
        keep(&response->link, line, size, "Link");
        keep(&response->location, line, size, "Location");
        take_retry(response, line, size);
        take_range(response, line, size);
}
