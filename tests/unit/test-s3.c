/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs in S3: where they are, what keys may be files, what S3 answers. */

#include "worker/s3-list.h"
#include "worker/s3-uri.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void uris_name_a_bucket_and_a_folder(void **state)
{
        static const struct {
                const char *rest, *bucket, *prefix;
        } cases[] = {
                { "path/to/input/files/", "path", "to/input/files/" },
                { "path/to/input/files", "path", "to/input/files/" },
                { "exercism-iterations/production/iterations/1182520", "exercism-iterations",
                  "production/iterations/1182520/" },
                { "a.b-c_D9/x", "a.b-c_D9", "x/" },
                { "bucket/a+b c%20?x#y", "bucket", "a+b c%20?x#y/" },
                { "bucket/na\xc3\xafve/", "bucket", "na\xc3\xafve/" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(s3_place_done) S3Place place = {};
                const char *error;

                assert_int_equal(s3_place_parse(cases[i].rest, &place, &error), 0);
                assert_string_equal(place.bucket, cases[i].bucket);
                assert_string_equal(place.prefix, cases[i].prefix);
        }
}

static void uris_that_mean_something_else_are_refused(void **state)
{
        static const char *const cases[] = {
                "",
                "bucket",
                "bucket/",
                "bucket//",
                "/x/",
                "bu/x/",
                "b@cket/x/",
                "user@host/x/",
                "host:80/x/",
                "-bucket/x/",
                "bucket-/x/",
                "buc..ket/x/",
                "bu%2fcket/x/",
                "bucket//x/",
                "bucket/x//",
                "bucket/../",
                "bucket/a/../b/",
                "bucket/./x/",
                "bucket/a//b",
                "bucket/\xff/",
                "bucket/a\n",
                "bucket/a\x7f/",
                "bucket/\xed\xa0\x80",
                "b\xc3\xaf"
                "ket/x/",
                "bucket/\xc0\xaf/",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(s3_place_done) S3Place place = {};
                const char *error = NULL;

                if (s3_place_parse(cases[i], &place, &error) != S3_URI_BAD)
                        fail_msg("%s was taken", cases[i]);
                assert_non_null(error);
                assert_null(place.bucket);
        }
}

static void only_what_is_allowed_is_read(void **state)
{
        char *allowed[] = { (char *) "one", (char *) "two/open/", NULL };
        static const struct {
                const char *rest;
                bool is_allowed;
        } cases[] = {
                { "one/x/", true },     { "one1/x/", false },     { "on/x/", false },
                { "two/open/", true },  { "two/open/a", true },   { "two/opened/", false },
                { "two/other", false }, { "three/open/", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(s3_place_done) S3Place place = {};
                const char *error;

                if (s3_place_parse(cases[i].rest, &place, &error) != 0)
                        continue; /* "on" is too short for a bucket */
                assert_int_equal(s3_place_is_allowed(&place, allowed), cases[i].is_allowed);
                assert_true(s3_place_is_allowed(&place, NULL));
        }
        assert_true(s3_allowed_is_valid("bucket"));
        assert_true(s3_allowed_is_valid("bucket/a/b/"));
        assert_false(s3_allowed_is_valid("bucket/"));
        assert_false(s3_allowed_is_valid("bucket/a"));
        assert_false(s3_allowed_is_valid("b/a/"));
        assert_false(s3_allowed_is_valid("bucket/\n/"));
}

static void keys_become_paths_or_are_refused(void **state)
{
        static char too_long[1100], long_part[260];
        static const struct {
                const char *key;
                uint64_t size;
                int verdict;
                const char *path;
        } cases[] = {
                { "p/a", 1, 0, "a" },
                { "p/a/b.c/d", 0, 0, "a/b.c/d" },
                { "p/...", 1, 0, "..." },
                { "p/..a/.b", 1, 0, "..a/.b" },
                { "p/a b+\xf0\x9f\x98\x80", 1, 0, "a b+\xf0\x9f\x98\x80" },
                { "p/", 0, S3_KEY_FOLDER, NULL },
                { "p/a/", 0, S3_KEY_FOLDER, NULL },
                { "p/a//", 0, S3_KEY_FOLDER, NULL },
                { "p/a/", 1, S3_KEY_BAD, NULL },
                { "p/", 5, S3_KEY_BAD, NULL },
                { "q/a", 1, S3_KEY_BAD, NULL },
                { "p", 1, S3_KEY_BAD, NULL },
                { "p//a", 1, S3_KEY_BAD, NULL },
                { "p/../a", 1, S3_KEY_BAD, NULL },
                { "p/a/..", 1, S3_KEY_BAD, NULL },
                { "p/./a", 1, S3_KEY_BAD, NULL },
                { "p/a/.", 1, S3_KEY_BAD, NULL },
                { "p/a//b", 1, S3_KEY_BAD, NULL },
                { "p/a\nb", 1, S3_KEY_BAD, NULL },
                { "p/a\x1b", 1, S3_KEY_BAD, NULL },
                { "p/\xff", 1, S3_KEY_BAD, NULL },
                { "p/\xc3", 1, S3_KEY_BAD, NULL },
                { "p/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3", 1, S3_KEY_BAD,
                  NULL },
                { too_long, 1, S3_KEY_BAD, NULL },
                { long_part, 1, S3_KEY_BAD, NULL },
        };

        memset(too_long, 'x', sizeof(too_long) - 1);
        memset(long_part, 'x', sizeof(long_part) - 1);
        for (size_t i = 0; i < sizeof(too_long) - 1; i += 100)
                memcpy(too_long + i, "p/", 2);
        memcpy(long_part, "p/", 2);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *path = NULL, *error = NULL;

                if (s3_key_check(cases[i].key, strlen(cases[i].key), cases[i].size, "p/", &path, &error) !=
                    cases[i].verdict)
                        fail_msg("%s", cases[i].key);
                if (cases[i].path)
                        assert_string_equal(path, cases[i].path);
                assert_int_equal(error != NULL, cases[i].verdict == S3_KEY_BAD);
        }
        assert_int_equal(
                s3_key_check("p/a\0b", 5, 1, "p/", &(const char *){ NULL }, &(const char *){ NULL }),
                S3_KEY_BAD);
}

static void urls_follow_the_settings(void **state)
{
        static const struct {
                S3Settings settings;
                const char *bucket, *key, *query, *url;
        } cases[] = {
                { {}, "bucket", "a b/c", NULL, "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c" },
                { {}, "bucket", NULL, "x=1", "https://bucket.s3.eu-west-1.amazonaws.com/?x=1" },
                { {}, "buc.ket", "k", NULL, "https://s3.eu-west-1.amazonaws.com/buc.ket/k" },
                { { .path_style = true },
                  "bucket",
                  "k",
                  NULL,
                  "https://s3.eu-west-1.amazonaws.com/bucket/k" },
                { { .endpoint = (char *) "http://h:80" }, "bucket", NULL, "x=1", "http://h:80/bucket?x=1" },
                { { .endpoint = (char *) "http://h:80", .virtual_style = true },
                  "bucket",
                  "k",
                  NULL,
                  "http://bucket.h:80/k" },
                { { .endpoint = (char *) "http://127.0.0.1:80", .virtual_style = true },
                  "bucket",
                  "k",
                  NULL,
                  "http://127.0.0.1:80/bucket/k" },
                { { .endpoint = (char *) "http://[::1]:80", .virtual_style = true },
                  "bucket",
                  "k",
                  NULL,
                  "http://[::1]:80/bucket/k" },
        };
        _cleanup_free_ char *china = s3_url(&(S3Settings){}, "cn-north-1", "bucket", NULL, NULL);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *url = s3_url(&cases[i].settings, "eu-west-1", cases[i].bucket,
                                                  cases[i].key, cases[i].query);

                assert_string_equal(url, cases[i].url);
        }
        assert_string_equal(china, "https://bucket.s3.cn-north-1.amazonaws.com.cn/");
}

static void endpoints_are_hosts(void **state)
{
        static const char *const good[] = { "http://localhost", "https://s3.example:9000",
                                            "http://127.0.0.1:7480", "http://[::1]",
                                            "https://[fd00::1]:443" };
        static const char *const bad[] = { "",           "localhost",   "http://",    "ftp://x",
                                           "http://x/y", "http://u@x",  "http://x:0", "http://x:99999",
                                           "http://x:",  "http://[::1", "http://[]",  "http://x y",
                                           "http://x?y", "http://x#y",  "http://x\n" };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_true(s3_endpoint_is_valid(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (s3_endpoint_is_valid(bad[i]))
                        fail_msg("%s was taken", bad[i]);
}

#define HEAD                                                           \
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult " \
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"

static int parse(const char *xml, S3Page *ret, const char **ret_error)
{
        return s3_page_parse(xml, strlen(xml), ret, ret_error);
}

static void pages_are_read(void **state)
{
        _cleanup_(s3_page_done) S3Page page = {};
        const char *error;

        assert_int_equal(
                parse(HEAD "<Name>b</Name><Prefix>p%2F</Prefix><IsTruncated>true</IsTruncated>"
                           "<NextContinuationToken>1/a+b==&amp;</NextContinuationToken>"
                           "<Contents><Key>p/a%20b+c%2Bd%00</Key><ETag>&quot;e1&quot;</ETag><Size>12</Size>"
                           "<Owner><ID>x</ID><Key>no</Key></Owner></Contents>"
                           "<Contents><Size>0</Size><Key>p/\xc3\xaf&lt;</Key></Contents>"
                           "<CommonPrefixes><Prefix>q</Prefix></CommonPrefixes>"
                           "<EncodingType>url</EncodingType></ListBucketResult>",
                      &page, &error),
                0);
        assert_int_equal(page.n_objects, 2);
        assert_int_equal(page.objects[0].key_size, 10);
        assert_memory_equal(page.objects[0].key, "p/a b c+d\0", 11);
        assert_string_equal(page.objects[0].etag, "\"e1\"");
        assert_int_equal(page.objects[0].size, 12);
        assert_string_equal(page.objects[1].key, "p/\xc3\xaf<");
        assert_null(page.objects[1].etag);
        assert_string_equal(page.next, "1/a+b==&");
}

static void keys_that_are_not_encoded_are_taken_as_they_are(void **state)
{
        _cleanup_(s3_page_done) S3Page page = {};
        const char *error;

        assert_int_equal(parse(HEAD
                               "<Contents><Key>a%20+b</Key><Size>1</Size></Contents></ListBucketResult>",
                               &page, &error),
                         0);
        assert_string_equal(page.objects[0].key, "a%20+b");
        assert_null(page.next);
}

static void pages_that_make_no_sense_are_refused(void **state)
{
        static const char *const cases[] = {
                "",
                "x",
                "<html></html>",
                HEAD,
                HEAD "<Contents><Size>1</Size></Contents></ListBucketResult>",
                HEAD "<Contents><Key>a</Key><Key>b</Key></Contents></ListBucketResult>",
                HEAD "<Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
                HEAD "<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents></ListBucketResult>",
                HEAD "<Contents><Key>a</Key><ETag>a b</ETag></Contents></ListBucketResult>",
                HEAD "<Contents><Key>%4</Key></Contents><EncodingType>url</EncodingType></ListBucketResult>",
                HEAD
                "<Contents><Key>%zz</Key></Contents><EncodingType>url</EncodingType></ListBucketResult>",
                HEAD "<IsTruncated>true</IsTruncated></ListBucketResult>",
                HEAD "<a><b><c><d><e><f><g><h></h></g></f></e></d></c></b></a></ListBucketResult>",
                "<!DOCTYPE x [<!ENTITY a "
                "\"b\">]><ListBucketResult><Contents><Key>&a;</Key></Contents></ListBucketResult>",
                "<Error><Code>NoSuchBucket</Code></Error>",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(s3_page_done) S3Page page = {};
                const char *error = NULL;

                if (parse(cases[i], &page, &error) != S3_XML_BAD)
                        fail_msg("%s was taken", cases[i]);
                assert_non_null(error);
        }
}

static void a_page_has_a_bound(void **state)
{
        static char xml[200000];
        S3Page page = {};
        const char *error = NULL;
        char *out = stpcpy(xml, HEAD);

        for (unsigned i = 0; i <= S3_PAGE_OBJECTS_MAX; i++)
                out += sprintf(out, "<Contents><Key>k%u</Key></Contents>", i);
        strcpy(out, "</ListBucketResult>");
        assert_int_equal(parse(xml, &page, &error), S3_XML_BAD);
        assert_non_null(strstr(error, "more objects"));
}

static void errors_are_read(void **state)
{
        static const struct {
                const char *xml, *code, *region;
        } cases[] = {
                { "<Error><Code>NoSuchKey</Code><Message>x</Message></Error>", "NoSuchKey", NULL },
                { "<?xml "
                  "version='1.0'?><Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</"
                  "Region></Error>",
                  "AuthorizationHeaderMalformed", "eu-west-1" },
                { "<Error><Code>a b</Code><Region>../x</Region></Error>", NULL, NULL },
                { "<Error><Code>Cut", NULL, NULL },
                { "<html>Bad Gateway</html>", NULL, NULL },
                { "", NULL, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(s3_error_done) S3Error error = {};

                assert_int_equal(s3_error_parse(cases[i].xml, strlen(cases[i].xml), &error), 0);
                assert_int_equal(error.code != NULL, cases[i].code != NULL);
                assert_int_equal(error.region != NULL, cases[i].region != NULL);
                if (cases[i].code)
                        assert_string_equal(error.code, cases[i].code);
                if (cases[i].region)
                        assert_string_equal(error.region, cases[i].region);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(uris_name_a_bucket_and_a_folder),
                cmocka_unit_test(uris_that_mean_something_else_are_refused),
                cmocka_unit_test(only_what_is_allowed_is_read),
                cmocka_unit_test(keys_become_paths_or_are_refused),
                cmocka_unit_test(urls_follow_the_settings),
                cmocka_unit_test(endpoints_are_hosts),
                cmocka_unit_test(pages_are_read),
                cmocka_unit_test(keys_that_are_not_encoded_are_taken_as_they_are),
                cmocka_unit_test(pages_that_make_no_sense_are_refused),
                cmocka_unit_test(a_page_has_a_bound),
                cmocka_unit_test(errors_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
