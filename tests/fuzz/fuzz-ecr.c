/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of ECR: a token that is fit for a header, lists whose digests are digests, errors with a name. */

#include "fuzz.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "shared/aws-credentials.h"
#include "shared/ecr.h"

static void check_token(const char *text, size_t size)
{
        _cleanup_(ecr_token_done) EcrToken token = {};
        _cleanup_free_ char *error = NULL;
        int r = ecr_parse_token(text, size, &token, &error);

        expect(r == 0 || (r == ECR_FAILED && error));
        expect(r != 0 ||
               (aws_text_is_valid(token.user, SIZE_MAX) && aws_text_is_valid(token.password, SIZE_MAX)));
}

static void check_page(const char *text, size_t size)
{
        _cleanup_free_ char *next = NULL, *error = NULL;
        json_object *images = json_object_new_object();
        int r = ecr_parse_page(text, size, images, &next, &error);

        expect(r == 0 || (r == ECR_FAILED && error));
        json_object_object_foreach(images, digest, tags)
        {
                expect(digest_hex(digest) && json_object_is_type(tags, json_type_array));
        }
        json_object_put(images);
}

/* What is shown is a name, and nothing that a terminal or a page would take for something else. */
static void check_error(const char *text, size_t size)
{
        _cleanup_free_ char *name = NULL;
        int r = ecr_parse_error(text, size, &name);

        expect(r == ECR_FAILED || r == ECR_MISSING || r == ECR_EXISTS);
        expect(r == ECR_FAILED || name);
        expect(!name || (aws_text_is_valid(name, 64) && !strpbrk(name, "#<>&")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(ecr_registry_done) EcrRegistry registry = {};
        _cleanup_free_ char *host = strndup((const char *) data, size);

        check_token((const char *) data, size);
        check_page((const char *) data, size);
        check_error((const char *) data, size);
        expect(host && ecr_registry_from_host(host, &registry) >= 0);
        return 0;
}
