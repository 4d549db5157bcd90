/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URIs of inputs, endpoints, and container endpoints: what was taken names one bucket, and no other host. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "shared/aws-fetch.h"
#include "worker/s3-uri.h"

static void check_place(const S3Place *place)
{
        const S3Settings settings = { .endpoint = (char *) "http://h:80" };
        _cleanup_free_ char *url = s3_url(&settings, "us-east-1", place->bucket, place->prefix, "a=b");
        const char *rest = string_after(url, "http://h:80/");

        expect(s3_bucket_is_valid(place->bucket));
        expect(string_ends_with(place->prefix, "/") && place->prefix[0] != '/' &&
               !strstr(place->prefix, "//"));
        expect(!strstr(place->prefix, "/../") && !string_after(place->prefix, "../"));
        expect(rest && strncmp(rest, place->bucket, strlen(place->bucket)) == 0);
        expect(strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%?=") ==
               strlen(rest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);
        _cleanup_(s3_place_done) S3Place place = {};
        const char *error = NULL;
        int r;

        expect(text);
        r = s3_place_parse(text, &place, &error);
        expect(r == 0 || (r == S3_URI_BAD && error));
        if (r == 0)
                check_place(&place);
        if (s3_endpoint_is_valid(text))
                expect(!strpbrk(text, "@?# \n") && strchr(strstr(text, "://") + 3, '/') == NULL);
        (void) s3_allowed_is_valid(text);
        (void) aws_container_uri_is_allowed(text);
        return 0;
}
