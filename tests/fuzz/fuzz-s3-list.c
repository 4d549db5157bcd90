/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What S3 answers: pages and errors. Keys that pass the check are paths. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "shared/aws-sign.h"
#include "worker/s3-list.h"
#include "worker/s3-uri.h"

static void check_object(const S3Object *object)
{
        const char *path, *error;

        expect(object->key && object->key[object->key_size] == '\0');
        if (s3_key_check(object->key, object->key_size, object->size, "p/", &path, &error) != 0)
                return;
        expect(*path && *path != '/' && !strstr(path, "//") && !strstr(path, "/../") &&
               strlen(path) <= S3_KEY_SIZE_MAX);
        expect(!string_ends_with(path, "/") && !string_ends_with(path, "/..") && !string_after(path, "../"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(s3_error_done) S3Error failure = {};
        _cleanup_(s3_page_done) S3Page page = {};
        const char *error = NULL;
        int r = s3_page_parse((const char *) data, size, &page, &error);

        expect(r == 0 || r == S3_XML_BAD);
        expect((r == S3_XML_BAD) == (error != NULL));
        expect(page.n_objects <= S3_PAGE_OBJECTS_MAX);
        for (size_t i = 0; i < page.n_objects; i++)
                check_object(&page.objects[i]);
        expect(s3_error_parse((const char *) data, size, &failure) == 0);
        expect(!failure.region || aws_region_is_valid(failure.region));
        return 0;
}
