/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Percent-encoding, as in URIs (RFC 3986): %XX for each byte that may not stand there as it is. */

#include "macro.h"

/* Letters, digits, `-._~` and the characters of `kept` stay, all other bytes become %XX, in upper case. A
 * new string, NULL without memory. */
char *percent_encode(const char *s, const char *kept);

/* Undoes that in its place, digits in either case. What comes of it may hold NUL bytes, where %00 was
 * written: it ends after *ret_size bytes, and the caller judges whether that is strlen(). -EINVAL where two
 * hexadecimal digits do not follow a `%`; then `s` is half decoded. */
int percent_decode(char *s, size_t *ret_size) _warn_unused_;
