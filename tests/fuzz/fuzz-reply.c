/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reply around any JSON is JSON, and holds the response byte for byte. The first two bytes choose the
 * code; then, up to NUL bytes: the error, the context, the error's detail, the response. */

#include "fuzz.h"

#include "proto/reply.h"

#include "proto/json-check.h"

#include <string.h>

static Bytes take(const uint8_t **data, size_t *size)
{
        const uint8_t *end = memchr(*data, '\0', *size);
        Bytes bytes = { *data, end ? (size_t) (end - *data) : *size };

        *data += bytes.size + (end ? 1 : 0);
        *size -= bytes.size + (end ? 1 : 0);
        return bytes;
}

/* Nothing where it is not JSON of that kind: whoever calls reply_write() has checked it. */
static Bytes checked(Bytes bytes, bool must_be_object)
{
        JsonReport report;

        if (json_check(bytes.data, bytes.size, SIZE_MAX, JSON_CHECK_DEPTH_MAX - 2, &report) != 0 ||
            (must_be_object && report.kind != JSON_KIND_OBJECT))
                return (Bytes){};
        return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *error = NULL;
        Reply reply = {};
        JsonReport report;
        Bytes bytes;

        if (size < 2)
                return 0;
        reply.code = data[0] % 2 ? STATUS_OK : STATUS_BAD_INPUT + data[1] % 115;
        data += 2;
        size -= 2;
        bytes = take(&data, &size);
        error = strndup(bytes.data, bytes.size);
        reply.error = bytes.size > 0 ? error : NULL;
        reply.request_id = bytes.size > 3 ? error : NULL;
        reply.context = checked(take(&data, &size), true);
        reply.error_detail = checked(take(&data, &size), true);
        reply.response = checked((Bytes){ data, size }, false);
        if (reply_write(&reply, &text) < 0 ||
            json_check(text.data, text.size, SIZE_MAX, JSON_CHECK_DEPTH_MAX, &report) != 0)
                abort();
        if (reply.code == STATUS_OK && reply.response.size > 0 &&
            !memmem(text.data, text.size, reply.response.data, reply.response.size))
                abort();
        return 0;
}
