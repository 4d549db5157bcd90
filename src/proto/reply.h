/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The answer to a client, written as text around what workers and guests gave: their bytes are placed as
 * they are, nothing is parsed and written anew. */

#include "status.h"

#include "basic/io-util.h"
#include "basic/time-util.h"

#include <json-c/json.h>

#define REPLY_SIZE_MAX (24U * 1024U * 1024U)

typedef struct Reply {
        StatusCode code;
        const char *error; /* or NULL */
        /* Valid JSON, whoever made it; empty where there is none. */
        Bytes response;              /* with STATUS_OK */
        Bytes context;               /* an object, to which `timing` is added */
        Bytes error_detail;          /* an object, to which `error` and `failed_request` are added */
        json_object *failed_request; /* borrowed, or NULL */
        const char *request_id;      /* or NULL */
        usec_t start_realtime, end_realtime;
        usec_t duration; /* monotonic */
} Reply;

/* Appends the text of the reply. 0, -ENOMEM, -ENOBUFS beyond REPLY_SIZE_MAX. */
int reply_write(const Reply *reply, Buffer *buffer) _warn_unused_;
