/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reply is text from its first byte: json-c takes NaN, rounds large numbers and merges members of one
 * name, so what a guest wrote must not go through it. An object of somebody else's is placed by what stands
 * between its braces. */

#include "reply.h"

#include "json-check.h"
#include "json-fields.h"

#include "basic/string-util.h"

#include <inttypes.h>
#include <stdio.h>

/* Appending; the first failure stays, so that the text reads as one. */
typedef struct Text {
        Buffer *buffer;
        int error;
} Text;

static void put(Text *text, const void *data, size_t size)
{
        if (text->error == 0)
                text->error = buffer_append(text->buffer, data, size, REPLY_SIZE_MAX);
}

static void put_string(Text *text, const char *s)
{
        put(text, s, strlen(s));
}

/* A JSON string, or null. */
static void put_quoted(Text *text, const char *s)
{
        if (!s)
                put_string(text, "null");
        else if (text->error == 0)
                text->error = json_escape_append(text->buffer, s, strlen(s), REPLY_SIZE_MAX);
}

/* `, ` and the members of an object, without its braces; nothing for an empty one. */
static void put_members(Text *text, Bytes object)
{
        const char *s = object.data, *start, *end;

        if (object.size == 0)
                return;
        start = memchr(s, '{', object.size);
        end = memrchr(s, '}', object.size);
        if (!start || !end)
                return;
        start++;
        while (start < end && strchr(" \t\r\n", *start))
                start++;
        if (start == end)
                return;
        put_string(text, ",");
        put(text, start, (size_t) (end - start));
}

static void put_timing(Text *text, const Reply *reply)
{
        char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE], line[192];

        format_timestamp(reply->start_realtime, start);
        format_timestamp(reply->end_realtime, end);
        (void) snprintf(
                line, sizeof(line),
                "\"timing\":{\"start_time\":\"%s\",\"end_time\":\"%s\",\"duration_milliseconds\":%" PRIu64
                "}",
                start, end, reply->duration / USEC_PER_MSEC);
        put_string(text, line);
}

static void put_error_detail(Text *text, const Reply *reply)
{
        const char *request = reply->failed_request ? json_object_text(reply->failed_request) : NULL;

        put_string(text, ",\"error_detail\":{\"error\":");
        put_quoted(text, reply->error ?: status_message(reply->code));
        put_string(text, ",\"failed_request\":");
        put_string(text, request ?: "null");
        put_members(text, reply->error_detail);
        put_string(text, "}");
}

int reply_write(const Reply *reply, Buffer *buffer)
{
        Text text = { .buffer = buffer };
        char code[64];

        (void) snprintf(code, sizeof(code), "{\"status\":{\"status_code\":%u,\"message\":", reply->code);
        put_string(&text, code);
        put_quoted(&text, status_message(reply->code));
        put_string(&text, ",\"error\":");
        put_quoted(&text, reply->code == STATUS_OK ? NULL : status_name(reply->code));
        put_string(&text, "}");
        if (reply->code == STATUS_OK) {
                put_string(&text, ",\"response\":");
                put(&text, reply->response.data, reply->response.size);
                if (reply->response.size == 0)
                        put_string(&text, "null");
        }
        put_string(&text, ",\"context\":{");
        put_timing(&text, reply);
        put_members(&text, reply->context);
        if (reply->code != STATUS_OK)
                put_error_detail(&text, reply);
        put_string(&text, "}");
        if (reply->request_id) {
                put_string(&text, ",\"request_id\":");
                put_quoted(&text, reply->request_id);
        }
        put_string(&text, "}");
        return text.error;
}
