/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests signed by AWS Signature Version 4, which libcurl computes. It signs the path and the query as
 * they are written, so they must be written in their canonical form: that is made here. */

#include "aws-credentials.h"

#include <curl/curl.h>

/* How a request is signed; all borrowed. */
typedef struct AwsSigning {
        const AwsCredentials *credentials;
        const char *region;  /* aws_region_is_valid() */
        const char *service; /* s3, ecr */
} AwsSigning;

/* A region as it may stand in a host's name: lower-case letters, digits and '-', 1 to 32. */
bool aws_region_is_valid(const char *region);

/* Whether this libcurl signs right; `version` is curl_version_info_data's `version_num`. NULL, or what is
 * wrong and how to mend it. */
const char *aws_sign_check(unsigned version);

/* Pairs of names and values, NULL-ended (name, value, name, value, …, NULL), encoded and in canonical order:
 * `a=1&b=2`. At most AWS_QUERY_PAIRS_MAX. A new string. */
#define AWS_QUERY_PAIRS_MAX 16U
char *aws_query(const char *const *pairs);

/* Has the easy handle sign; adds the headers that belong to it. */
int aws_sign(CURL *easy, const AwsSigning *signing, struct curl_slist **headers) _warn_unused_;
