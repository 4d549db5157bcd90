/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libcurl's transfers in an event loop: one multi handle, no thread of ours, nothing that blocks. Requests
 * are made with http.h; this is what they run on. */

#include "basic/macro.h"

#include <curl/curl.h>
#include <systemd/sd-event.h>

typedef struct CurlSource CurlSource;

/* So many connections at the same time, to one host and altogether; what is more waits. */
#define CURL_SOURCE_HOST_CONNECTIONS_MAX 32L
#define CURL_SOURCE_CONNECTIONS_MAX      64L

int curl_source_new(sd_event *event, CurlSource **ret) _warn_unused_;
/* Only when no transfer is left. */
CurlSource *curl_source_free(CurlSource *source);
DEFINE_CLEANUP(CurlSource *, curl_source_free)

/* A transfer: one for each easy handle, in its owner's object. */
typedef struct CurlJob {
        CURL *easy; /* borrowed */
        /* Called once, from the event loop: the easy handle is out of the source already, and may be freed.
         * < 0 ends the event loop. */
        int (*ended)(struct CurlJob *job, CURLcode result);
} CurlJob;

/* Starts it; sets CURLOPT_PRIVATE. */
int curl_source_add(CurlSource *source, CurlJob *job) _warn_unused_;
/* Ends it without a word. Not from a callback of libcurl's. */
void curl_source_remove(CurlSource *source, CurlJob *job);
