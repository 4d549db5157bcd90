/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of metadata and container endpoints: what was taken is fit for headers. */

#include "basic/string-util.h"
#include "shared/aws-credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
        if (!condition)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AwsCredentials credentials = {};
        const char *error = NULL;
        int r = aws_credentials_parse((const char *) data, size, &credentials, &error);

        expect(r == 0 || r == AWS_CREDENTIALS_BAD);
        expect((r == AWS_CREDENTIALS_BAD) == (error != NULL));
        if (r == 0) {
                expect(aws_text_is_valid(credentials.access_key, AWS_ACCESS_KEY_SIZE_MAX));
                expect(aws_text_is_valid(credentials.secret_key, AWS_SECRET_KEY_SIZE_MAX));
                expect(!credentials.token || aws_text_is_valid(credentials.token, AWS_TOKEN_SIZE_MAX));
        }
        aws_credentials_done(&credentials);
        return 0;
}
