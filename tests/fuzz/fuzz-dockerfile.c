/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dockerfiles: what comes out names no image but those that were found, and reads the same again. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "builder/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(dockerfile_done) Dockerfile dockerfile = {}, again = {};
        _cleanup_free_ char *error = NULL, *error_again = NULL;
        int r;

        if (size > DOCKERFILE_SIZE_MAX / 4)
                return 0;
        r = dockerfile_parse((const char *) data, size, &dockerfile, &error);
        expect(r == 0 || r == DOCKERFILE_BAD || r < 0);
        expect((r == DOCKERFILE_BAD) == (error != NULL));
        if (r != 0)
                return 0;
        for (char **base = dockerfile.bases; base && *base; base++)
                expect(**base != '-' && !strpbrk(*base, " \t\n'\"$;"));
        r = dockerfile_parse(dockerfile.text, strlen(dockerfile.text), &again, &error_again);
        expect(r <= 0);
        for (char **base = again.bases; base && *base; base++)
                expect(string_after(*base, "localhost/base:"));
        return 0;
}
