/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of metadata and container endpoints, objects and single words: what was taken is
 * fit for headers. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "shared/aws-credentials.h"

#define WORD_SIZE_MAX 64U

static void check_word(const char *text, size_t size)
{
        _cleanup_free_ char *word = NULL;
        int r = aws_word_parse(text, size, WORD_SIZE_MAX, &word);

        expect((r == 0) == (word != NULL) && (r == 0 || r == AWS_CREDENTIALS_BAD));
        if (word)
                expect(aws_text_is_valid(word, WORD_SIZE_MAX) && memcmp(word, text, strlen(word)) == 0);
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
        check_word((const char *) data, size);
        return 0;
}
