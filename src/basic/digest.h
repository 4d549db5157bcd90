/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Digests as OCI writes them, of the one kind that is taken here: `sha256:` and 64 lower-case hex digits. */

#include "macro.h"

#define DIGEST_PREFIX   "sha256:"
#define DIGEST_HEX_SIZE 64U
#define DIGEST_SIZE     (sizeof(DIGEST_PREFIX) - 1 + DIGEST_HEX_SIZE)

/* The hex digits in `digest`, or NULL where it is not wholly a digest. Only what this accepted may become
 * part of a path. */
const char *digest_hex(const char *digest);
