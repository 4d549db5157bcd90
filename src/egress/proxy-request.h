/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a program asks an HTTP proxy for: RFC 9110 (CONNECT) and RFC 9112 (the absolute form). Written by
 * strangers. */

#include "basic/io-util.h"

/* Of the request line and the fields, with the empty line after them. */
#define PROXY_HEAD_SIZE_MAX 16384U

enum {
        PROXY_REQUEST_BAD = 1,
};

typedef struct ProxyRequest {
        char host[254]; /* letters, digits, '.', '-', '_'; or an address of IPv6 */
        uint16_t port;
        bool is_tunnel;     /* CONNECT */
        bool has_body;      /* else: */
        uint64_t body_size; /* what follows the head, of this request */
        Buffer head;        /* else: what the server is sent in place of the head that came */
} ProxyRequest;

/* The size of the head that `data` begins with, 0 where it has not all come. */
size_t proxy_head_size(const char *data, size_t size);
/* Takes such a head. 0, -ENOMEM, or PROXY_REQUEST_BAD with what is wrong: a literal. */
int proxy_request_parse(const char *head, size_t size, ProxyRequest *ret,
                        const char **ret_error) _warn_unused_;
/* Frees what it owns, and zeroes it. */
void proxy_request_done(ProxyRequest *request);
