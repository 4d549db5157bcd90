/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys for AWS, and for what speaks like it: what they are and how they are read. Where they come from is
 * aws-identity.h's. They are never logged, never part of an error, an address or an argument. */

#include "basic/macro.h"
#include "basic/time-util.h"

typedef struct AwsCredentials {
        char *access_key, *secret_key; /* owned */
        char *token;                   /* owned; of a session, else NULL */
        usec_t expires_usec;           /* on the real-time clock; USEC_INFINITY: never */
} AwsCredentials;

/* Overwrites them as well. */
void aws_credentials_done(AwsCredentials *credentials);

#define AWS_CREDENTIALS_JSON_SIZE_MAX (64U * 1024U)

/* The answer of a metadata or container endpoint. 0, -ENOMEM, or AWS_CREDENTIALS_BAD with what is wrong, a
 * literal. */
enum {
        AWS_CREDENTIALS_BAD = 1,
};
int aws_credentials_parse(const char *json, size_t size, AwsCredentials *ret,
                          const char **ret_error) _warn_unused_;

/* What may be sent as (part of) a header: printable ASCII without blank, at most `size_max` of it. */
bool aws_text_is_valid(const char *s, size_t size_max);
#define AWS_ACCESS_KEY_SIZE_MAX 256U
#define AWS_SECRET_KEY_SIZE_MAX 512U
#define AWS_TOKEN_SIZE_MAX      16384U

/* The first line of an answer, where it is such a text: a new string. 0, -ENOMEM, or AWS_CREDENTIALS_BAD. */
int aws_word_parse(const char *text, size_t size, size_t size_max, char **ret) _warn_unused_;

/* From texts, which are copied; `token` may be NULL. 0, -ENOMEM, or AWS_CREDENTIALS_BAD as above. */
int aws_credentials_set(const char *access_key, const char *secret_key, const char *token,
                        AwsCredentials *ret, const char **ret_error) _warn_unused_;

/* A time as 2026-01-31T12:34:56Z, with or without a fraction; -EINVAL. */
int aws_parse_time(const char *text, usec_t *ret_usec) _warn_unused_;
