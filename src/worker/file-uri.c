/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-uri.h"

#include <errno.h>
#include <string.h>

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %XX. */
static int decode(const char *s, char *out)
{
        for (; *s; s++) {
                int high, low;

                if (*s != '%') {
                        *out++ = *s;
                        continue;
                }
                high = hex_value(s[1]);
                low = high < 0 ? -1 : hex_value(s[2]);
                if (low < 0 || (high == 0 && low == 0))
                        return FILE_URI_BAD;
                *out++ = (char) (high << 4 | low);
                s += 2;
        }
        *out = '\0';
        return 0;
}

int file_uri_parse(const char *rest, char **ret_path)
{
        _cleanup_free_ char *path = malloc(strlen(rest) + 1);
        int r;

        if (!path)
                return -ENOMEM;
        r = rest[0] == '/' ? decode(rest, path) : FILE_URI_BAD;
        if (r == 0)
                *ret_path = TAKE_PTR(path);
        return r;
}

const char *file_path_below(const char *path, const char *folder)
{
        size_t n = strlen(folder);

        while (n > 0 && folder[n - 1] == '/')
                n--;
        if (strncmp(path, folder, n) != 0 || (path[n] != '/' && path[n] != '\0'))
                return NULL;
        path += n + strspn(path + n, "/");
        return *path == '\0' ? "." : path;
}
