/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What S3 answers in XML: a page of a listing, an error. Pure, under limits, no entity and
 * no document type. */

#include "basic/macro.h"

#define S3_XML_SIZE_MAX     (8U * 1024U * 1024U)
#define S3_PAGE_OBJECTS_MAX 1000U
#define S3_TOKEN_SIZE_MAX   4096U
#define S3_TEXT_SIZE_MAX    (3U * 1024U + 16U) /* a key, with each byte as %XX */

typedef struct S3Object {
        char *key; /* owned; may hold NUL and all else: `key_size` bytes, and a NUL */
        size_t key_size;
        char *etag; /* owned, with its quotes; NULL: it has none */
        uint64_t size;
} S3Object;

typedef struct S3Page {
        S3Object *objects; /* owned */
        size_t n_objects;
        char *next; /* owned: the token of the next page; NULL: this is the last */
} S3Page;

void s3_object_done(S3Object *object);
void s3_page_done(S3Page *page);

/* 0, -ENOMEM, or S3_XML_BAD with what is wrong, a literal. */
enum {
        S3_XML_BAD = 1,
};
int s3_page_parse(const char *xml, size_t size, S3Page *ret, const char **ret_error) _warn_unused_;

/* The code and the region of an error; where there is none, or what came is no error, they stay NULL. Only
 * what has the form of one is taken: it may be shown. 0 or -ENOMEM. */
typedef struct S3Error {
        char *code, *region; /* owned */
} S3Error;
int s3_error_parse(const char *xml, size_t size, S3Error *ret) _warn_unused_;
void s3_error_done(S3Error *error);
