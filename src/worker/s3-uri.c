/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys are not paths: S3 knows no folders, and `a/../b`, `a//b` and `/a` are keys like others. Those that
 * would not mean the same as a path are refused, here and with a word; none is ever changed. */

#include "s3-uri.h"

#include "input.h"

#include "basic/parse-util.h"
#include "basic/percent.h"
#include "basic/string-util.h"

#include <arpa/inet.h>
#include <errno.h>

#define BUCKET_SIZE_MIN  3U
#define BUCKET_SIZE_MAX  63U
#define SEGMENT_SIZE_MAX 255U
#define HOST_SIZE_MAX    253U

#define LOWER_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define ALL_DIGITS   LOWER_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

void s3_settings_done(S3Settings *settings)
{
        free(settings->region);
        free(settings->endpoint);
        strv_free(settings->allowed);
        *settings = (S3Settings){};
}

void s3_place_done(S3Place *place)
{
        free(place->bucket);
        free(place->prefix);
        *place = (S3Place){};
}

/* Keys. */

/* The size of one character of UTF-8, 0 where it is none. No surrogate, nothing longer than it must be. */
static size_t utf8_size(const char *s)
{
        const uint8_t *c = (const uint8_t *) s;
        size_t size = c[0] < 0x80                   ? 1
                      : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
                      : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
                      : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                                    : 0;

        for (size_t i = 1; i < size; i++)
                if ((c[i] & 0xc0) != 0x80)
                        return 0;
        if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
            (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
                return 0;
        return size;
}

static const char *text_error(const char *s)
{
        for (size_t n; *s; s += n) {
                if ((uint8_t) *s < ' ' || *s == 0x7f)
                        return "has a control character";
                n = utf8_size(s);
                if (n == 0)
                        return "is not UTF-8";
        }
        return NULL;
}

static bool is_segment(const char *s, size_t n, const char *wanted)
{
        return n == strlen(wanted) && memcmp(s, wanted, n) == 0;
}

/* What is wrong with a relative path, as keys and prefixes are; a slash at its end is for the caller to
 * allow. */
static const char *path_error(const char *path)
{
        unsigned depth = 0;

        for (const char *s = path;; s++) {
                size_t n = strcspn(s, "/");

                if (n == 0 && (*s == '/' || depth == 0))
                        return "has an empty part between slashes";
                if (is_segment(s, n, ".") || is_segment(s, n, ".."))
                        return "has a part that is . or ..";
                if (n > SEGMENT_SIZE_MAX)
                        return "has a part that is longer than 255 bytes";
                if (++depth > INPUT_DEPTH_MAX)
                        return "lies too deep";
                s += n;
                if (*s == '\0')
                        return NULL;
        }
}

int s3_key_check(const char *key, size_t key_size, uint64_t object_size, const char *prefix,
                 const char **ret_path, const char **ret_error)
{
        const char *path = string_after(key, prefix), *error = NULL;
        size_t n = strlen(key);

        if (n != key_size)
                error = "has a control character";
        else if (n > S3_KEY_SIZE_MAX)
                error = "is longer than 1024 bytes";
        else if (!path)
                error = "is not below the folder that was asked for";
        else if ((error = text_error(key)))
                ;
        else if (*path == '\0' || path[strlen(path) - 1] == '/')
                error = object_size > 0 ? "is a folder's, and has content" : NULL;
        else
                error = path_error(path);
        if (error) {
                *ret_error = error;
                return S3_KEY_BAD;
        }
        if (*path == '\0' || path[strlen(path) - 1] == '/')
                return S3_KEY_FOLDER;
        *ret_path = path;
        return 0;
}

/* Places. */

bool s3_bucket_is_valid(const char *bucket)
{
        size_t n = strspn(bucket, ALL_DIGITS "-._");

        return bucket[n] == '\0' && n >= BUCKET_SIZE_MIN && n <= BUCKET_SIZE_MAX &&
               strchr(ALL_DIGITS, bucket[0]) && strchr(ALL_DIGITS, bucket[n - 1]) && !strstr(bucket, "..");
}

static int bad(const char **ret_error, const char *error)
{
        *ret_error = error;
        return S3_URI_BAD;
}

int s3_place_parse(const char *rest, S3Place *ret, const char **ret_error)
{
        size_t n = strcspn(rest, "/"), end = strlen(rest);
        S3Place place;

        if (end > n && rest[end - 1] == '/' && (end < 2 || rest[end - 2] != '/'))
                end--;
        if (rest[n] == '\0' || end <= n + 1)
                return bad(ret_error, "an input's URI looks like s3://BUCKET/FOLDER/");
        if (strlen(rest) > BUCKET_SIZE_MAX + S3_KEY_SIZE_MAX)
                return bad(ret_error, "the input's URI is too long");
        if (text_error(rest))
                return bad(ret_error, "the input's URI has bytes that are no text");
        place = (S3Place){ strndup(rest, n), string_format("%.*s/", (int) (end - n - 1), rest + n + 1) };
        if (!place.bucket || !place.prefix) {
                s3_place_done(&place);
                return -ENOMEM;
        }
        place.prefix[strlen(place.prefix) - 1] = '\0';
        *ret_error = !s3_bucket_is_valid(place.bucket) ? "the input's bucket is no name of a bucket"
                     : path_error(place.prefix)
                             ? "the input's folder has an empty, '.' or '..' part, or one that is too long"
                             : NULL;
        if (*ret_error) {
                s3_place_done(&place);
                return S3_URI_BAD;
        }
        strcat(place.prefix, "/");
        *ret = place;
        return 0;
}

bool s3_allowed_is_valid(const char *item)
{
        _cleanup_free_ char *bucket = strndup(item, strcspn(item, "/"));
        const char *prefix = item + strcspn(item, "/");

        if (!bucket || !s3_bucket_is_valid(bucket) || text_error(item))
                return false;
        return *prefix == '\0' || (strlen(prefix) > 2 && string_ends_with(prefix, "/"));
}

bool s3_place_is_allowed(const S3Place *place, char *const *allowed)
{
        size_t n = strlen(place->bucket);

        if (!allowed)
                return true;
        for (; *allowed; allowed++) {
                const char *prefix;

                if (strncmp(*allowed, place->bucket, n) != 0)
                        continue;
                prefix = *allowed + n;
                if (*prefix == '\0' || (*prefix == '/' && string_after(place->prefix, prefix + 1)))
                        return true;
        }
        return false;
}

/* Endpoints. */

/* HOST[:PORT]; an address of IPv6 is in brackets. */
static bool host_is_valid(const char *host)
{
        size_t n = *host == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 1
                                : strspn(host, ALL_DIGITS "-.");
        uint64_t port;

        if (n < 1 || n > HOST_SIZE_MAX || (*host == '[' && (n < 3 || host[n++] != ']')))
                return false;
        return host[n] == '\0' || (host[n] == ':' && parse_uint64(host + n + 1, 1, 65535, &port) == 0);
}

bool s3_endpoint_is_valid(const char *endpoint)
{
        const char *host = string_after(endpoint, "https://") ?: string_after(endpoint, "http://");

        return host && host_is_valid(host);
}

static bool is_address(const char *host)
{
        _cleanup_free_ char *name = strndup(host, strcspn(host, ":"));
        struct in_addr address;

        return *host == '[' || (name && inet_pton(AF_INET, name, &address) == 1);
}

/* A bucket with a dot fits no certificate, an address has no names below it. */
static bool uses_path(const S3Settings *settings, const char *bucket, const char *host)
{
        if (settings->path_style || strchr(bucket, '.') || is_address(host))
                return true;
        return settings->endpoint && !settings->virtual_style;
}

static char *own_host(const char *region)
{
        return string_format("s3.%s.amazonaws.com%s", region, string_after(region, "cn-") ? ".cn" : "");
}

char *s3_url(const S3Settings *settings, const char *region, const char *bucket, const char *key,
             const char *query)
{
        const char *end = settings->endpoint ? strstr(settings->endpoint, "://") : NULL;
        _cleanup_free_ char *scheme =
                end ? strndup(settings->endpoint, (size_t) (end - settings->endpoint)) : strdup("https");
        _cleanup_free_ char *host = end ? strdup(end + 3) : own_host(region);
        _cleanup_free_ char *path = key ? percent_encode(key, "/") : strdup("");

        if (!scheme || !host || !path)
                return NULL;
        if (uses_path(settings, bucket, host))
                return string_format("%s://%s/%s%s%s%s%s", scheme, host, bucket, key ? "/" : "", path,
                                     query ? "?" : "", query ?: "");
        return string_format("%s://%s.%s/%s%s%s", scheme, bucket, host, path, query ? "?" : "", query ?: "");
}
