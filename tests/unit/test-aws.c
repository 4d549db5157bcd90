/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is signed for AWS, and with which keys. */

#include "shared/aws-fetch.h"
#include "shared/aws-sign.h"
#include "shared/ecr.h"

#include "basic/string-util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void queries_are_sorted(void **state)
{
        static const char *const pairs[] = { "list-type", "2",        "encoding-type",
                                             "url",       "prefix",   "a+b /",
                                             "max-keys",  "1000",     "continuation-token",
                                             "1/x+y==&",  "location", "",
                                             NULL };
        static const char *const none[] = { NULL };
        _cleanup_free_ char *query = aws_query(pairs), *empty = aws_query(none);

        assert_string_equal(query,
                            "continuation-token=1%2Fx%2By%3D%3D%26&encoding-type=url&list-type=2&location="
                            "&max-keys=1000&prefix=a%2Bb%20%2F");
        assert_string_equal(empty, "");
}

static void regions_are_names(void **state)
{
        static const char *const good[] = { "us-east-1", "eu-central-1", "default", "x" };
        static const char *const bad[] = {
                "",        "-",       "us-", "-us",     "US-EAST-1",
                "us.east", "us/east", "a b", "us:east", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_true(aws_region_is_valid(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(aws_region_is_valid(bad[i]));
}

static void libcurls_that_sign_wrongly_are_refused(void **state)
{
        static const unsigned good[] = {
                0x075700, 0x075801, 0x080000, 0x080d00, 0x080dff, 0x081300, 0x090000
        };
        static const unsigned bad[] = {
                0x071300, 0x075600, 0x0756ff, 0x080e00, 0x080e01, 0x080f00, 0x0812ff
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_null(aws_sign_check(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_non_null(strstr(aws_sign_check(bad[i]), "wrongly"));
}

static int parse(const char *json, AwsCredentials *ret, const char **ret_error)
{
        return aws_credentials_parse(json, strlen(json), ret, ret_error);
}

static void credentials_are_read(void **state)
{
        AwsCredentials credentials = {};
        const char *error = NULL;

        assert_int_equal(parse("{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"ASIA1\", "
                               "\"SecretAccessKey\": \"s/+=\", \"Token\": \"t==\", "
                               "\"Expiration\": \"2030-01-02T03:04:05Z\"}",
                               &credentials, &error),
                         0);
        assert_string_equal(credentials.access_key, "ASIA1");
        assert_string_equal(credentials.secret_key, "s/+=");
        assert_string_equal(credentials.token, "t==");
        assert_int_equal(credentials.expires_usec, UINT64_C(1893553445) * USEC_PER_SEC);
        aws_credentials_done(&credentials);
        assert_int_equal(parse("{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"RoleArn\": 7}",
                               &credentials, &error),
                         0);
        assert_null(credentials.token);
        assert_true(credentials.expires_usec == USEC_INFINITY);
        aws_credentials_done(&credentials);
}

static void bad_credentials_are_refused(void **state)
{
        static const char *const cases[] = {
                "",
                "[]",
                "null",
                "{",
                "{}",
                "{\"AccessKeyId\": \"a\"}",
                "{\"SecretAccessKey\": \"a\"}",
                "{\"AccessKeyId\": 1, \"SecretAccessKey\": \"b\"}",
                "{\"AccessKeyId\": \"\", \"SecretAccessKey\": \"b\"}",
                "{\"AccessKeyId\": \"a b\", \"SecretAccessKey\": \"b\"}",
                "{\"AccessKeyId\": \"a\\r\\nX: y\", \"SecretAccessKey\": \"b\"}",
                "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\\u0000c\"}",
                "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Token\": \"\\n\"}",
                "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Token\": \"\\u00e4\"}",
                "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Expiration\": \"tomorrow\"}",
                "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Code\": \"Failed\"}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AwsCredentials credentials = {};
                const char *error = NULL;

                if (parse(cases[i], &credentials, &error) != AWS_CREDENTIALS_BAD)
                        fail_msg("%s was taken", cases[i]);
                assert_non_null(error);
                assert_null(credentials.access_key);
        }
}

static void times_are_read(void **state)
{
        static const char *const bad[] = { "",
                                           "2030-01-02",
                                           "2030-01-02T03:04:05",
                                           "2030-01-02T03:04:05+01:00",
                                           "2030-01-02T03:04:05Zx",
                                           "1960-01-01T00:00:00Z",
                                           "x" };
        usec_t usec;

        assert_int_equal(aws_parse_time("1970-01-01T00:00:01Z", &usec), 0);
        assert_int_equal(usec, USEC_PER_SEC);
        assert_int_equal(aws_parse_time("1970-01-01T00:00:01.999Z", &usec), 0);
        assert_int_equal(usec, USEC_PER_SEC);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(aws_parse_time(bad[i], &usec), -EINVAL);
}

static void container_endpoints_are_near(void **state)
{
        static const char *const good[] = {
                "https://credentials.example/x",  "http://127.0.0.1/x",       "http://127.9.9.9:80/x",
                "http://localhost:8080/x?y",      "http://[::1]:99/x",        "http://169.254.170.2/v2/x",
                "http://169.254.170.23/v1/creds", "http://[fd00:ec2::23]/v1",
        };
        static const char *const bad[] = {
                "",
                "http://example.com/x",
                "http://169.254.169.254/x",
                "http://10.0.0.1/",
                "http://127.0.0.1.example.com/",
                "http://user@127.0.0.1/",
                "http://127.0.0.1@example.com/",
                "https://user:pass@host/",
                "file:///etc/passwd",
                "ftp://127.0.0.1/",
                "http://127.0.0.1/a b",
                "http://127.0.0.1/\r\nX: y",
                "/v2/x",
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                if (!aws_container_uri_is_allowed(good[i]))
                        fail_msg("%s is not allowed", good[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (aws_container_uri_is_allowed(bad[i]))
                        fail_msg("%s is allowed", bad[i]);
}

static void hosts_of_ecr_name_account_and_region(void **state)
{
        static const char *const others[] = {
                "",
                "registry.example",
                "12345678901.dkr.ecr.us-east-1.amazonaws.com",
                "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
                "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
                "123456789012.dkr.ecr.us-east-1.amazonaws.com:443",
                "123456789012.dkr.ecr..amazonaws.com",
                "123456789012.dkr.ecr.a.b.amazonaws.com",
                "evil.123456789012.dkr.ecr.us-east-1.amazonaws.com",
        };
        _cleanup_(ecr_registry_done) EcrRegistry registry = {}, china = {}, none = {};

        assert_int_equal(ecr_registry_from_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com", &registry),
                         1);
        assert_string_equal(registry.account, "123456789012");
        assert_string_equal(registry.region, "eu-west-1");
        assert_int_equal(ecr_registry_from_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", &china),
                         1);
        assert_string_equal(china.region, "cn-north-1");
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (ecr_registry_from_host(others[i], &none) != 0)
                        fail_msg("%s was taken", others[i]);
}

static void tokens_of_ecr_are_a_user_and_a_password(void **state)
{
        static const char good[] = "{\"authorizationData\": [{\"authorizationToken\": \"QVdTOnMzY3JldDp4\", "
                                   "\"expiresAt\": 1893553445.5, \"proxyEndpoint\": \"https://x\"}]}";
        static const char *const bad[] = {
                "",
                "{}",
                "[]",
                "{\"authorizationData\": {}}",
                "{\"authorizationData\": []}",
                "{\"authorizationData\": [1]}",
                "{\"authorizationData\": [{\"authorizationToken\": \"\"}]}",
                "{\"authorizationData\": [{\"authorizationToken\": \"QVdT\"}]}",     /* without a colon */
                "{\"authorizationData\": [{\"authorizationToken\": \"QVdTOgo=\"}]}", /* a line end */
                "{\"authorizationData\": [{\"authorizationToken\": \"????\"}]}",
                "{\"authorizationData\": [{\"authorizationToken\": \"QVdTOnM\"}]}",
        };
        _cleanup_(ecr_token_done) EcrToken token = {};
        char *error = NULL;

        assert_int_equal(ecr_parse_token(good, strlen(good), &token, &error), 0);
        assert_string_equal(token.user, "AWS");
        assert_string_equal(token.password, "s3cret:x");
        assert_int_equal(token.expires_usec, UINT64_C(1893553445) * USEC_PER_SEC);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *why = NULL;
                EcrToken none = {};

                if (ecr_parse_token(bad[i], strlen(bad[i]), &none, &why) != ECR_FAILED)
                        fail_msg("%s was taken", bad[i]);
                assert_non_null(why);
        }
}

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void lists_of_ecr_are_gathered(void **state)
{
        static const char first[] =
                "{\"imageIds\": [{\"imageDigest\": \"" DIGEST_A "\", \"imageTag\": \"v1\"}, "
                "{\"imageDigest\": \"sha512:x\", \"imageTag\": \"v9\"}], \"nextToken\": \"n/+=\"}";
        static const char second[] =
                "{\"imageIds\": [{\"imageDigest\": \"" DIGEST_A "\", \"imageTag\": \"v2\"}]}";
        json_object *images = json_object_new_object();
        _cleanup_free_ char *next = NULL, *error = NULL, *end = NULL;

        assert_int_equal(ecr_parse_page(first, strlen(first), images, &next, &error), 0);
        assert_string_equal(next, "n/+=");
        assert_int_equal(ecr_parse_page(second, strlen(second), images, &end, &error), 0);
        assert_null(end);
        assert_string_equal(json_object_to_json_string_ext(images, JSON_C_TO_STRING_PLAIN),
                            "{\"" DIGEST_A "\":[\"v1\",\"v2\"]}");
        assert_int_equal(ecr_parse_page("{}", 2, images, &end, &error), ECR_FAILED);
        json_object_put(images);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(queries_are_sorted),
                cmocka_unit_test(regions_are_names),
                cmocka_unit_test(libcurls_that_sign_wrongly_are_refused),
                cmocka_unit_test(credentials_are_read),
                cmocka_unit_test(bad_credentials_are_refused),
                cmocka_unit_test(times_are_read),
                cmocka_unit_test(container_endpoints_are_near),
                cmocka_unit_test(hosts_of_ecr_name_account_and_region),
                cmocka_unit_test(tokens_of_ecr_are_a_user_and_a_password),
                cmocka_unit_test(lists_of_ecr_are_gathered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
