/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where an address of IPv4 or IPv6 leads to; an IPv4 address may be written as one of IPv6. */

#include "macro.h"

#include <sys/socket.h>

/* To this machine. The unspecified address does too. */
bool address_is_this_machine(const struct sockaddr *address);
/* To the link, and to the services that a cloud has there for its machines. */
bool address_is_link_local(const struct sockaddr *address);
/* To somebody in the internet: none of those above, none that is set apart for private networks or for the
 * protocols themselves (IANA's special-purpose address registries). Any other family: false. */
bool address_is_public(const struct sockaddr *address);
/* Whether both are the same one; ports do not count. */
bool address_is_same(const struct sockaddr *a, const struct sockaddr *b);
