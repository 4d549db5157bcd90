/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fetching credentials once, from the first place that is configured:
 *
 *   1. $CREDENTIALS_DIRECTORY/aws-access-key-id, -secret-access-key, and -session-token where there is one
 *   2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or
 *      AWS_CONTAINER_AUTHORIZATION_TOKEN
 *   4. the instance metadata service (version 2), but with AWS_EC2_METADATA_DISABLED=true;
 *      AWS_EC2_METADATA_SERVICE_ENDPOINT is its address on hosts that have but IPv6
 *
 * A place that is configured and does not give them is an error: the next is not asked. */

#include "aws-credentials.h"
#include "curl-source.h"

typedef struct AwsFetch AwsFetch;

/* getenv(), or a test's. */
typedef char *(*AwsLookup)(const char *name);

/* Called once, from the event loop: the credentials, which the handler takes (zeroing them), or NULL and why
 * there are none. May free the fetch. < 0 ends the event loop. */
typedef int (*AwsFetchHandler)(AwsFetch *fetch, AwsCredentials *credentials, const char *error,
                               void *userdata);

int aws_fetch_new(sd_event *event, CurlSource *source, AwsLookup lookup, AwsFetchHandler on_ended,
                  void *userdata, AwsFetch **ret) _warn_unused_;
AwsFetch *aws_fetch_free(AwsFetch *fetch);
DEFINE_CLEANUP(AwsFetch *, aws_fetch_free)

/* Whether a container's endpoint may be asked: https, or http at an address of this host or of its container
 * service; no user in it. */
bool aws_container_uri_is_allowed(const char *uri);
