/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-uri.h"

#include "basic/percent.h"

#include <errno.h>
#include <string.h>

int file_uri_parse(const char *rest, char **ret_path)
{
        _cleanup_free_ char *path = strdup(rest);
        size_t size;

        if (!path)
                return -ENOMEM;
        if (rest[0] != '/' || percent_decode(path, &size) < 0 || strlen(path) != size)
                return FILE_URI_BAD;
        *ret_path = TAKE_PTR(path);
        return 0;
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
