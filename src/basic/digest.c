/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digests name files in stores and layouts, and come from images and peers. So there is one form, and a
 * check that knows nothing else: no other algorithm, no upper case, nothing before or behind. */

#include "digest.h"

#include "string-util.h"

const char *digest_hex(const char *digest)
{
        const char *hex = string_after(digest, DIGEST_PREFIX);

        if (!hex || strspn(hex, "0123456789abcdef") != DIGEST_HEX_SIZE || hex[DIGEST_HEX_SIZE] != '\0')
                return NULL;
        return hex;
}
