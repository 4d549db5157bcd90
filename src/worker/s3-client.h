/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading from S3: signed requests, tried again where that helps, in the event loop. One client a worker. */

#include "s3-uri.h"

#include "shared/aws-identity.h"
#include "shared/http.h"

typedef struct S3Client S3Client;

/* All borrowed. */
int s3_client_new(sd_event *event, CurlSource *source, AwsIdentity *identity, const S3Settings *settings,
                  S3Client **ret) _warn_unused_;
/* Only when no request is left. */
S3Client *s3_client_free(S3Client *client);
DEFINE_CLEANUP(S3Client *, s3_client_free)

const S3Settings *s3_client_settings(const S3Client *client);

/* What is read; all borrowed until the request is freed. */
typedef struct S3Get {
        const char *bucket, *key;      /* key NULL: the bucket itself */
        const char *const *query;      /* as aws_query() wants it; NULL: none */
        const char *etag;              /* it must have this one still; NULL: any */
        HttpSink sink;                 /* NULL: the body is kept, up to `size_max` */
        int (*rewind)(void *userdata); /* what came is worth nothing: it comes again from its start */
        void *userdata;                /* of these two */
        size_t size_max;
} S3Get;

typedef struct S3Request S3Request;
/* Called once, from the event loop. `error` is NULL, and `body` what was kept, or a text for people. Both
 * are borrowed. May free the request. < 0 ends the event loop. */
typedef int (*S3Handler)(S3Request *request, const Buffer *body, const char *error, void *userdata);

int s3_request_new(S3Client *client, const S3Get *get, S3Handler on_ended, void *userdata,
                   S3Request **ret) _warn_unused_;
S3Request *s3_request_free(S3Request *request);
DEFINE_CLEANUP(S3Request *, s3_request_free)

/* Why it is tried again, the last time; NULL: it has had no fault yet. Borrowed. */
const char *s3_request_fault(const S3Request *request);
