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
 * protocols themselves (IANA's special-purpose address registries; what is for documentation, which leads
 * nowhere, counts as public). Any other family: false. */
bool address_is_public(const struct sockaddr *address);
/* Whether it is this one, or in its network: the bits of `mask` are equal. Without a mask, or where that is
 * of no bits, all are. Ports do not count. */
bool address_is_near(const struct sockaddr *address, const struct sockaddr *other,
                     const struct sockaddr *mask);
