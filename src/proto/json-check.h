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

/* What is wrong with what is not valid. */
enum {
        /* Not the grammar of RFC 8259, which has no NaN, no Infinity, no comma behind the last member, no
         * comment and no byte order mark; or an empty text, or anything behind the value. */
        JSON_MALFORMED = 1,
        /* A byte sequence that is not UTF-8. */
        JSON_BAD_UTF8 = 2,
        /* More than `depth_max` objects and arrays inside each other. */
        JSON_TOO_DEEP = 3,
        /* More than `size_max` bytes. */
        JSON_TOO_LARGE = 4,
};

/* Filled whatever the result. */
typedef struct JsonReport {
        JsonKind kind;      /* where 0 was returned */
        size_t offset;      /* of the first byte that is wrong */
        const char *reason; /* static; NULL where nothing is wrong */
} JsonReport;

/* Returns 0 and the kind of the value at the top, or one of those above. A lone `{}` is 1 deep, and
 * `depth_max` at most JSON_CHECK_DEPTH_MAX. Members of the same name are allowed, and so are escapes of lone
 * surrogates (`\ud800`): the grammar has them, and a runner that cuts its output to so many UTF-16 units
 * writes them. */
int json_check(const void *data, size_t size, size_t size_max, unsigned depth_max,
               JsonReport *report) _warn_unused_;

/* Appends `data` as a JSON string with its quotes. UTF-8 stays as it is; a byte that is not part of a valid
 * character becomes the four characters \xNN. -ENOBUFS where the buffer would grow over `size_max`. */
int json_escape_append(Buffer *buffer, const void *data, size_t size, size_t size_max) _warn_unused_;
