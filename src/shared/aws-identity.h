/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The credentials that this process has at the moment: fetched when they are first wanted, fetched anew in
 * good time before they expire, while the old ones still serve. */

#include "aws-fetch.h"

typedef struct AwsIdentity AwsIdentity;

int aws_identity_new(sd_event *event, CurlSource *source, AwsLookup lookup, AwsIdentity **ret) _warn_unused_;
/* Only when nobody waits any more. */
AwsIdentity *aws_identity_free(AwsIdentity *identity);
DEFINE_CLEANUP(AwsIdentity *, aws_identity_free)

/* What is held and has not expired, or NULL: then wait. Borrowed until the event loop goes on. */
const AwsCredentials *aws_identity_peek(const AwsIdentity *identity);

/* Somebody who waits for credentials. */
typedef struct AwsWaiter AwsWaiter;
/* Called once, from the event loop: the credentials (borrowed), or NULL and why there are none. May free the
 * waiter. < 0 ends the event loop. */
typedef int (*AwsWaiterHandler)(AwsWaiter *waiter, const AwsCredentials *credentials, const char *error,
                                void *userdata);
int aws_identity_wait(AwsIdentity *identity, AwsWaiterHandler on_ended, void *userdata,
                      AwsWaiter **ret) _warn_unused_;
AwsWaiter *aws_waiter_free(AwsWaiter *waiter);
DEFINE_CLEANUP(AwsWaiter *, aws_waiter_free)

/* A service said that the credentials with this key have expired: they are forgotten, where they are still
 * held, so that the next who asks has others fetched. */
void aws_identity_forget(AwsIdentity *identity, const char *access_key);
