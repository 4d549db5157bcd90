/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure: texts to credentials. */

#include "aws-credentials.h"

#include "json-util.h"

#include "basic/string-util.h"

#include <errno.h>

#define JSON_DEPTH_MAX 4

static void text_done(char **text)
{
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
}

void aws_credentials_done(AwsCredentials *credentials)
{
        text_done(&credentials->access_key);
        text_done(&credentials->secret_key);
        text_done(&credentials->token);
        *credentials = (AwsCredentials){};
}

bool aws_text_is_valid(const char *s, size_t size_max)
{
        size_t n = 0;

        for (; s[n]; n++)
                if (s[n] <= ' ' || s[n] > '~' || n == size_max)
                        return false;
        return n > 0;
}

int aws_word_parse(const char *text, size_t size, size_t size_max, char **ret)
{
        char *word = strndup(text ?: "", text ? size : 0);

        if (!word)
                return -ENOMEM;
        word[strcspn(word, "\r\n")] = '\0';
        if (!aws_text_is_valid(word, size_max)) {
                explicit_bzero(word, strlen(word));
                free(word);
                return AWS_CREDENTIALS_BAD;
        }
        *ret = word;
        return 0;
}

static int bad(const char **ret_error, const char *error)
{
        *ret_error = error;
        return AWS_CREDENTIALS_BAD;
}

int aws_credentials_set(const char *access_key, const char *secret_key, const char *token,
                        AwsCredentials *ret, const char **ret_error)
{
        AwsCredentials credentials = { .expires_usec = USEC_INFINITY };

        if (!aws_text_is_valid(access_key, AWS_ACCESS_KEY_SIZE_MAX))
                return bad(ret_error, "the access key's id is malformed");
        if (!aws_text_is_valid(secret_key, AWS_SECRET_KEY_SIZE_MAX))
                return bad(ret_error, "the secret access key is malformed");
        if (token && !aws_text_is_valid(token, AWS_TOKEN_SIZE_MAX))
                return bad(ret_error, "the session token is malformed");
        credentials.access_key = strdup(access_key);
        credentials.secret_key = strdup(secret_key);
        credentials.token = token ? strdup(token) : NULL;
        if (!credentials.access_key || !credentials.secret_key || (token && !credentials.token)) {
                aws_credentials_done(&credentials);
                return -ENOMEM;
        }
        *ret = credentials;
        return 0;
}

int aws_parse_time(const char *text, usec_t *ret_usec)
{
        struct tm tm = {};
        const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        time_t seconds;

        if (rest && *rest == '.')
                rest += 1 + strspn(rest + 1, "0123456789");
        if (!rest || !streq(rest, "Z"))
                return -EINVAL;
        seconds = timegm(&tm);
        if (seconds < 0 || (usec_t) seconds > USEC_INFINITY / USEC_PER_SEC)
                return -EINVAL;
        *ret_usec = (usec_t) seconds * USEC_PER_SEC;
        return 0;
}

static int read_object(json_object *object, AwsCredentials *ret, const char **ret_error)
{
        const char *code = json_member_text(object, "Code"),
                   *expiration = json_member_text(object, "Expiration");
        const char *access_key = json_member_text(object, "AccessKeyId");
        const char *secret_key = json_member_text(object, "SecretAccessKey");
        usec_t expires_usec = USEC_INFINITY;
        int r;

        if (code && !streq(code, "Success"))
                return bad(ret_error, "it has none, by its own word");
        if (!access_key || !secret_key)
                return bad(ret_error, "its answer has no key");
        if (expiration && aws_parse_time(expiration, &expires_usec) < 0)
                return bad(ret_error, "its answer has no time of expiration that can be read");
        r = aws_credentials_set(access_key, secret_key, json_member_text(object, "Token"), ret, ret_error);
        if (r == 0)
                ret->expires_usec = expires_usec;
        return r;
}

int aws_credentials_parse(const char *json, size_t size, AwsCredentials *ret, const char **ret_error)
{
        _cleanup_(json_putp) json_object *object = NULL;
        int r = json_parse(json, size, AWS_CREDENTIALS_JSON_SIZE_MAX, JSON_DEPTH_MAX, &object);

        if (r < 0)
                return r;
        return json_object_is_type(object, json_type_object)
                       ? read_object(object, ret, ret_error)
                       : bad(ret_error, "its answer is no JSON object");
}
