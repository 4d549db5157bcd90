/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One HTTP exchange with a registry, or with where it sends us. The other end is hostile: whom we may be
 * sent to, how much may come, and how long that may take is said here, not there. */

#include "basic/io-util.h"
#include "basic/time-util.h"
#include "shared/registry-settings.h"

typedef struct Web Web;

/* `settings` is borrowed. All exchanges together end before `deadline_usec` (monotonic). */
int web_new(const RegistrySettings *settings, usec_t deadline_usec, Web **ret) _warn_unused_;
Web *web_free(Web *web);
DEFINE_CLEANUP(Web *, web_free)
usec_t web_deadline(const Web *web);

/* Takes what comes; other than 0 ends the exchange with WEB_STOPPED. */
typedef int (*WebSink)(const void *data, size_t size, void *userdata);

typedef struct WebRequest {
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
        WebSink sink; /* of an answer 200 or 206; NULL: `body` of the response */
        void *userdata;
        uint64_t size_max; /* of the whole, also where only the rest of it comes */
} WebRequest;

typedef struct WebResponse {
        unsigned status;
        char *content_type, *challenge, *link, *location; /* headers, or NULL */
        usec_t retry_usec;                                /* Retry-After; 0: not said */
        uint64_t range_start;                             /* 206 */
        Buffer body;
} WebResponse;

void web_response_done(WebResponse *response);
/* Pure: takes a line of an answer's header, with its end; what is of no use is passed over. The status line
 * of another answer begins anew. */
void web_response_take_header(WebResponse *response, const char *line, size_t size);

enum {
        WEB_FAILED = 1,  /* no whole answer; `ret_error` is a new string that says why */
        WEB_STOPPED = 2, /* by the sink */
};
/* `ret` may hold something after WEB_FAILED as well: the caller ends it with web_response_done(). */
int web_exchange(Web *web, const WebRequest *request, WebResponse *ret, char **ret_error) _warn_unused_;
