/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ASCII by hand: isalnum() and isxdigit() ask the locale. */

#include "percent.h"

#include <errno.h>
#include <string.h>

static bool is_unreserved(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

char *percent_encode(const char *s, const char *kept)
{
        static const char digits[] = "0123456789ABCDEF";
        char *encoded = malloc(3 * strlen(s) + 1), *out = encoded;

        if (!encoded)
                return NULL;
        for (; *s; s++) {
                if (is_unreserved(*s) || strchr(kept, *s)) {
                        *out++ = *s;
                        continue;
                }
                *out++ = '%';
                *out++ = digits[(uint8_t) *s >> 4];
                *out++ = digits[(uint8_t) *s & 15];
        }
        *out = '\0';
        return encoded;
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int percent_decode(char *s, size_t *ret_size)
{
        const char *in = s;
        char *out = s;

        while (*in) {
                int high, low;

                if (*in != '%') {
                        *out++ = *in++;
                        continue;
                }
                high = hex_value(in[1]);
                low = high < 0 ? -1 : hex_value(in[2]);
                if (low < 0)
                        return -EINVAL;
                *out++ = (char) (high << 4 | low);
                in += 3;
        }
        *out = '\0';
        *ret_size = (size_t) (out - s);
        return 0;
}
