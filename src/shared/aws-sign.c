/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libcurl needs, of all versions that sign right: the payload's hash in a header of our own (not all
 * add it, and servers of S3 want it), paths and queries encoded once, sorted, each name with its `=`; no
 * header without a value (they sign it, and do not send it); keys with `.` and `..` refused by the caller,
 * because they would be resolved; the names of keys and secrets each in its option, because a name may hold
 * a colon.
 *
 * From 8.14.0 until 8.19.0 a `+` in a query is signed wrongly: listings then fail now and then, with the
 * tokens that lead from page to page. Before 7.87.0 the hash in the header is not heeded. */

#include "aws-sign.h"

#include "basic/percent.h"
#include "basic/string-util.h"

#include <errno.h>

#define REGION_SIZE_MAX  32U
#define VERSION(a, b, c) ((a) << 16 | (b) << 8 | (c))

/* SHA-256 of nothing: requests to S3 have no body here. */
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

bool aws_region_is_valid(const char *region)
{
        size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");

        return n > 0 && n <= REGION_SIZE_MAX && region[n] == '\0' && region[0] != '-' &&
               region[n - 1] != '-';
}

const char *aws_sign_check(unsigned version)
{
        if (version < VERSION(7U, 87U, 0U))
                return "this libcurl is older than 7.87.0 and signs requests for S3 wrongly; install a "
                       "newer one";
        if (version >= VERSION(8U, 14U, 0U) && version < VERSION(8U, 19U, 0U))
                return "libcurl 8.14.0 to 8.18 sign requests for S3 wrongly; install an older or a newer "
                       "one";
        return NULL;
}

static int compare_pairs(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *join(char *const *pairs, size_t n)
{
        size_t size = 1;
        char *query, *out;

        for (size_t i = 0; i < n; i++)
                size += strlen(pairs[i]) + 1;
        query = out = malloc(size);
        if (!query)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        *out++ = '&';
                out = stpcpy(out, pairs[i]);
        }
        *out = '\0';
        return query;
}

char *aws_query(const char *const *pairs)
{
        char *encoded[AWS_QUERY_PAIRS_MAX] = {}, *query = NULL;
        bool is_whole = true;
        size_t n = 0;

        for (; *pairs && is_whole; pairs += 2) {
                _cleanup_free_ char *name = percent_encode(pairs[0], ""),
                                    *value = percent_encode(pairs[1], "");

                assert(n < AWS_QUERY_PAIRS_MAX);
                is_whole = name && value && (encoded[n++] = string_format("%s=%s", name, value));
        }
        if (is_whole) {
                /* `=` comes before all that may stand in a name but '-' and '.' and digits: names that begin
                 * with another's whole name, and such a character behind it, are not used together. */
                qsort(encoded, n, sizeof(char *), compare_pairs);
                query = join(encoded, n);
        }
        for (size_t i = 0; i < n; i++)
                free(encoded[i]);
        return query;
}

static int add_header(struct curl_slist **headers, const char *name, const char *value)
{
        _cleanup_free_ char *line = string_format("%s: %s", name, value);
        struct curl_slist *longer = line ? curl_slist_append(*headers, line) : NULL;

        if (line)
                explicit_bzero(line, strlen(line));
        if (!longer)
                return -ENOMEM;
        *headers = longer;
        return 0;
}

int aws_sign(CURL *easy, const AwsSigning *signing, struct curl_slist **headers)
{
        _cleanup_free_ char *scope = string_format("aws:amz:%s:%s", signing->region, signing->service);
        int r = 0;

        if (!scope)
                return -ENOMEM;
        if (streq(signing->service, "s3"))
                r = add_header(headers, "x-amz-content-sha256", EMPTY_HASH);
        if (r == 0 && signing->credentials->token)
                r = add_header(headers, "x-amz-security-token", signing->credentials->token);
        if (r < 0)
                return r;
        if (curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, scope) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_USERNAME, signing->credentials->access_key) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_PASSWORD, signing->credentials->secret_key) != CURLE_OK)
                return -EIO;
        return 0;
}
