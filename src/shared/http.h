/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One HTTP request, in an event loop: bounded, never redirected by itself, signed where it shall be. */

#include "aws-sign.h"
#include "curl-source.h"

#include "basic/io-util.h"

/* Bytes of a body, as they come. 0, or < 0: the transfer ends with CURLE_WRITE_ERROR. Nothing of the source
 * may be added or freed in it. */
typedef int (*HttpSink)(const void *data, size_t size, void *userdata);

/* All borrowed until http_start() returns, but what the sink is given. */
typedef struct HttpRequest {
        const char *method; /* NULL: GET, or POST with a body */
        const char *url;
        const char *const *headers; /* `Name: value`, NULL-ended; may be NULL */
        const char *body;           /* NULL: none */
        const AwsSigning *signing;  /* NULL: not signed */
        usec_t connect_usec;        /* 0: HTTP_CONNECT_USEC */
        usec_t total_usec;          /* 0: as long as it moves (HTTP_SLOW_BYTES in HTTP_SLOW_SECONDS) */
        bool is_direct;             /* no proxy, whatever the environment says */
        size_t size_max;            /* of the answer's body, where it is kept */
        HttpSink sink;              /* gets the body of an answer with 200 or 206; NULL: it is kept */
        void *sink_userdata;
} HttpRequest;

#define HTTP_CONNECT_USEC (3 * USEC_PER_SEC)
#define HTTP_SLOW_BYTES   1024L /* a second */
#define HTTP_SLOW_SECONDS 4L

typedef struct HttpTransfer HttpTransfer;

/* Called once, from the event loop; may free the transfer. < 0 ends the event loop. */
typedef int (*HttpHandler)(HttpTransfer *transfer, void *userdata);

int http_start(CurlSource *source, const HttpRequest *request, HttpHandler on_ended, void *userdata,
               HttpTransfer **ret) _warn_unused_;
/* Ends it without a word where it is under way. */
HttpTransfer *http_free(HttpTransfer *transfer);
DEFINE_CLEANUP(HttpTransfer *, http_free)

/* Of an ended transfer. The status is 0 where no whole answer came: then http_error() says why. Both
 * borrowed. */
unsigned http_status(const HttpTransfer *transfer);
const char *http_error(const HttpTransfer *transfer);
/* No whole answer came, and none would come another time: this end does not take it, or does not trust the
 * other. */
bool http_is_final(const HttpTransfer *transfer);
/* The answer's body, where it was kept. */
const Buffer *http_body(const HttpTransfer *transfer);
/* A header of the answer, or NULL; borrowed. */
const char *http_header(const HttpTransfer *transfer, const char *name);
