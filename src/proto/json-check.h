/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A strict validator of JSON (RFC 8259) over bytes, and the writer of JSON strings. What a guest wrote is
 * placed into a reply as it is, so it must be JSON to every reader, not only to ours. */

#include "basic/io-util.h"

typedef enum JsonKind {
        JSON_KIND_OBJECT,
        JSON_KIND_ARRAY,
        JSON_KIND_STRING,
        JSON_KIND_NUMBER,
        JSON_KIND_BOOLEAN,
        JSON_KIND_NULL,
} JsonKind;

/* What the strictest reader of a reply takes. */
#define JSON_CHECK_DEPTH_MAX 32U

/* Returns 0 and the kind of the value at the top, or where it is not valid one of
 *   JSON_MALFORMED  not the grammar of RFC 8259: NaN, Infinity, trailing commas, comments, a byte order
 * mark, an empty text and anything behind the value included JSON_BAD_UTF8   a byte sequence that is not
 * UTF-8 JSON_TOO_DEEP   more than `depth_max` objects and arrays inside each other (a lone `{}` is 1 deep);
 *                   `depth_max` is at most JSON_CHECK_DEPTH_MAX
 *   JSON_TOO_LARGE  more than `size_max` bytes
 * Members of the same name are allowed, and so are escapes of lone surrogates (`\ud800`): the grammar has
 * them, and a runner that cuts its output to so many UTF-16 units writes them. */
enum {
        JSON_MALFORMED = 1,
        JSON_BAD_UTF8 = 2,
        JSON_TOO_DEEP = 3,
        JSON_TOO_LARGE = 4,
};

/* Filled whatever the result. */
typedef struct JsonReport {
        JsonKind kind;      /* where 0 was returned */
        size_t offset;      /* of the first byte that is wrong */
        const char *reason; /* static; NULL where nothing is wrong */
} JsonReport;

int json_check(const void *data, size_t size, size_t size_max, unsigned depth_max,
               JsonReport *report) _warn_unused_;

/* Appends `data` as a JSON string with its quotes. UTF-8 stays as it is; a byte that is not part of a valid
 * character becomes the four characters \xNN. -ENOBUFS where the buffer would grow over `size_max`. */
int json_escape_append(Buffer *buffer, const void *data, size_t size, size_t size_max) _warn_unused_;
