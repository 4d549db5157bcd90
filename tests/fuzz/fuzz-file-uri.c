/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows file://, of an input: the path, written as a URI again, is the same; and below a folder is
 * what is spelt below it. */

#include "fuzz.h"

#include "worker/file-uri.h"

#include "basic/string-util.h"

#include <stdio.h>

static void check_below(const char *path, const char *folder)
{
        const char *below = file_path_below(path, folder);
        size_t n = strlen(folder);

        if (!below)
                return;
        while (n > 0 && folder[n - 1] == '/')
                n--;
        expect(strncmp(path, folder, n) == 0 && below[0] != '/' && below[0] != '\0');
        expect(streq(below, ".") || (string_ends_with(path, below) && path[n] == '/'));
}

static void check_again(const char *path)
{
        _cleanup_free_ char *uri = malloc(3 * strlen(path) + 1), *back = NULL;

        expect(uri);
        (void) strcpy(uri, "/");
        for (size_t i = 1; path[i]; i++)
                (void) sprintf(uri + 3 * i - 2, "%%%02X", (unsigned char) path[i]);
        expect(path[0] != '/' || (file_uri_parse(uri, &back) == 0 && streq(back, path)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const folders[] = { "/", "/srv/input", "/srv/input/", "/srv//", "" };
        _cleanup_free_ char *rest = strndup((const char *) data, size), *path = NULL;
        int r;

        expect(rest);
        r = file_uri_parse(rest, &path);
        expect((r == 0 || r == FILE_URI_BAD) && (r == 0) == (path != NULL));
        if (r != 0)
                return 0;
        expect(path[0] == '/' && strlen(path) <= strlen(rest));
        check_again(path);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                check_below(path, folders[i]);
        return 0;
}
