/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where an input lies in S3, and where S3 is: pure. */

#include "basic/macro.h"

#define S3_KEY_SIZE_MAX            1024U
#define S3_OBJECT_SIZE_MAX_DEFAULT (UINT64_C(64) * 1024 * 1024)

/* Texts may be NULL. */
typedef struct S3Settings {
        char *region;             /* aws_region_is_valid(); NULL: the first one */
        char *endpoint;           /* http[s]://HOST[:PORT], without a path; NULL: AWS's own of the region */
        char **allowed;           /* BUCKET or BUCKET/PREFIX/: inputs may lie there; NULL: anywhere */
        bool path_style;          /* buckets are the first part of the path, and not of the host's name */
        bool virtual_style;       /* the other way, where the endpoint would suggest the path */
        uint64_t object_size_max; /* of one object */
} S3Settings;

void s3_settings_done(S3Settings *settings);

/* What is after `s3://`: BUCKET/PREFIX/; the slash at the end may be missing, `prefix` has it. 0, -ENOMEM,
 * or S3_URI_BAD with what is wrong, a literal. */
typedef struct S3Place {
        char *bucket, *prefix; /* owned */
} S3Place;
enum {
        S3_URI_BAD = 1,
};
int s3_place_parse(const char *rest, S3Place *ret, const char **ret_error) _warn_unused_;
void s3_place_done(S3Place *place);

bool s3_bucket_is_valid(const char *bucket);
bool s3_endpoint_is_valid(const char *endpoint);
/* An item of `allowed`. */
bool s3_allowed_is_valid(const char *item);

bool s3_place_is_allowed(const S3Place *place, char *const *allowed);

/* The URL of a bucket (key NULL) or of an object in it; `region` is the bucket's. `query` is encoded
 * already, or NULL. A new string. */
char *s3_url(const S3Settings *settings, const char *region, const char *bucket, const char *key,
             const char *query);

/* The part of a key below the prefix, as a path for the guest. 0, S3_KEY_FOLDER where it is but the mark of
 * a folder, or S3_KEY_BAD with what is wrong, a literal. */
enum {
        S3_KEY_FOLDER = 1,
        S3_KEY_BAD = 2,
};
int s3_key_check(const char *key, size_t key_size, uint64_t object_size, const char *prefix,
                 const char **ret_path, const char **ret_error) _warn_unused_;
