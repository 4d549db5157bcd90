/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One HTTP exchange with a registry, or with where it sends us. The other end is hostile: whom we may be
 * sent to, how much may come, and how long that may take is said here, not there. */

#include "basic/io-util.h"
#include "basic/time-util.h"
#include "shared/registry-settings.h"

typedef struct Http Http;

/* `settings` is borrowed. All exchanges together end before `deadline_usec` (monotonic). */
int http_new(const RegistrySettings *settings, usec_t deadline_usec, Http **ret) _warn_unused_;
Http *http_free(Http *http);
DEFINE_CLEANUP(Http *, http_free)
usec_t http_deadline(const Http *http);

/* Takes what comes; other than 0 ends the exchange with HTTP_STOPPED. */
typedef int (*HttpSink)(const void *data, size_t size, void *userdata);

typedef struct HttpRequest {
        const char *url;
        const char *method;        /* NULL: GET */
        const char *accept;        /* or NULL */
        const char *authorization; /* of the header; is not shown to another host; or NULL */
        const char *content_type;  /* of what is sent; or NULL */
        Bytes body;                /* to send; or */
        int body_fd;               /* a file, from its start (body_size bytes), where `has_file` */
        uint64_t body_size;
        bool has_file;
        bool follows; /* other addresses that the answer leads to */
        uint64_t offset;
        HttpSink sink; /* of an answer 200 or 206; NULL: `body` of the response */
        void *userdata;
        uint64_t size_max; /* of the whole, also where only the rest of it comes */
} HttpRequest;

typedef struct HttpResponse {
        unsigned status;
        char *content_type, *challenge, *link, *location; /* headers, or NULL */
        usec_t retry_usec;                                /* Retry-After; 0: not said */
        uint64_t range_start;                             /* 206 */
        Buffer body;
} HttpResponse;

void http_response_done(HttpResponse *response);

enum {
        HTTP_FAILED = 1,  /* no whole answer; `ret_error` is a new string that says why */
        HTTP_STOPPED = 2, /* by the sink */
};
/* `ret` may hold something after HTTP_FAILED as well: the caller ends it with http_response_done(). */
int http_exchange(Http *http, const HttpRequest *request, HttpResponse *ret, char **ret_error) _warn_unused_;
