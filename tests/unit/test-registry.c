/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a registry's address, challenges, password files and lists of images are taken for. */

#include "registry/ask.h"
#include "registry/challenge.h"
#include "registry/login.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Settings */

static void set_address(RegistrySettings *settings, const char *address)
{
        _cleanup_free_ char *error = NULL;

        assert_int_equal(registry_settings_init(settings), 0);
        assert_int_equal(registry_settings_set_address(settings, address, &error), 0);
}

static void test_addresses(void **state)
{
        static const struct {
                const char *address, *host, *repository;
                bool is_plain;
        } cases[] = {
                { "docker://registry.example", "registry.example", "test_runners/ruby", false },
                { "docker://registry.example:5000/team", "registry.example:5000", "team/test_runners/ruby",
                  false },
                { "docker://r.example/{track}-test-runner", "r.example", "ruby-test-runner", false },
                { "docker://r.example/a/{channel}.{track}", "r.example", "a/test_runners.ruby", false },
                { "docker://r.example/x-{channel}", "r.example", "x-test_runners/test_runners/ruby", false },
                { "docker://r.example/a__b--c", "r.example", "a__b--c/test_runners/ruby", false },
                { "docker://127.0.0.1:5001/t", "127.0.0.1:5001", "t/test_runners/ruby", true },
                { "docker://localhost/t", "localhost", "t/test_runners/ruby", true },
                { "docker://[::1]:5001", "[::1]:5001", "test_runners/ruby", true },
                { "docker://127.0.0.1.example", "127.0.0.1.example", "test_runners/ruby", false },
                { "docker://localhost.example", "localhost.example", "test_runners/ruby", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(registry_settings_done) RegistrySettings settings = {};
                _cleanup_free_ char *repository = NULL, *error = NULL;

                set_address(&settings, cases[i].address);
                assert_null(settings.folder);
                assert_string_equal(settings.host, cases[i].host);
                assert_int_equal(settings.is_plain, cases[i].is_plain);
                assert_int_equal(registry_repository(&settings, "test_runners", "ruby", &repository, &error),
                                 0);
                assert_string_equal(repository, cases[i].repository);
        }
}

static void test_bad_addresses(void **state)
{
        static const char *const addresses[] = {
                "",
                "folder",
                "registry.example",
                "docker://",
                "docker:///path",
                "docker://-x.example",
                "docker://user:password@r.example/x",
                "docker://r.example:0",
                "docker://r.example:99999",
                "docker://r.example:x",
                "docker://[::1",
                "docker://r.example/Team",
                "docker://r.example/a//b",
                "docker://r.example/../x",
                "docker://r.example/a/",
                "docker://r.example/a..b",
                "docker://r.example/a_-b",
                "docker://r.example/a___b",
                "docker://r.example/a b",
                "docker://r.example/{other}",
                "docker://r.example/x?y",
                "docker://r.example\n/x",
                "https://r.example",
        };

        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
                _cleanup_(registry_settings_done) RegistrySettings settings = {};
                _cleanup_free_ char *error = NULL;

                assert_int_equal(registry_settings_init(&settings), 0);
                assert_int_equal(registry_settings_set_address(&settings, addresses[i], &error),
                                 REGISTRY_BAD);
                assert_non_null(error);
                assert_non_null(settings.folder);
        }
}

static void test_tracks_without_a_repository(void **state)
{
        static const char *const tracks[] = { "Ruby", "c-", "x__" };

        for (size_t i = 0; i < ARRAY_SIZE(tracks); i++) {
                _cleanup_(registry_settings_done) RegistrySettings settings = {};
                _cleanup_free_ char *repository = NULL, *error = NULL;

                set_address(&settings, "docker://r.example/team");
                assert_int_equal(
                        registry_repository(&settings, "test_runners", tracks[i], &repository, &error),
                        REGISTRY_BAD);
                assert_non_null(strstr(error, tracks[i]));
        }
}

static char *const *environment;

static char *lookup(const char *name)
{
        for (char *const *variable = environment; *variable; variable++) {
                const char *rest = string_after(*variable, name);

                if (rest && *rest == '=')
                        return (char *) rest + 1;
        }
        return NULL;
}

static void test_settings_survive_the_environment(void **state)
{
        char *const given[] = { (char *) "REGISTRY=docker://r.example/team",
                                (char *) "REGISTRY_REPOSITORY=yes",
                                (char *) "REGISTRY_AUTH=/run/auth",
                                (char *) "REGISTRY_CA=/etc/ca.pem",
                                (char *) "REGISTRY_TLS=no",
                                (char *) "REGISTRY_TOKEN_HOSTS=a.example, b.example:1",
                                (char *) "REGISTRY_SIZE_MAX=1G",
                                (char *) "REGISTRY_STALL_TIME=5",
                                (char *) "REGISTRY_TIME_MAX=2min",
                                NULL };
        _cleanup_(registry_settings_done) RegistrySettings first = {}, second = {};
        _cleanup_(strv_freep) char **passed = NULL;
        _cleanup_free_ char *error = NULL;

        environment = given;
        assert_int_equal(registry_settings_init(&first), 0);
        assert_int_equal(registry_settings_from_environment(&first, lookup, &error), 0);
        assert_int_equal(registry_settings_to_environment(&first, &passed), 0);
        environment = passed;
        assert_int_equal(registry_settings_init(&second), 0);
        assert_int_equal(registry_settings_from_environment(&second, lookup, &error), 0);
        assert_string_equal(second.host, "r.example");
        assert_string_equal(second.path, "team");
        assert_true(second.is_repository);
        assert_string_equal(second.auth_file, "/run/auth");
        assert_string_equal(second.ca_file, "/etc/ca.pem");
        assert_true(second.is_plain);
        assert_int_equal(strv_length(second.token_hosts), 2);
        assert_string_equal(second.token_hosts[1], "b.example:1");
        assert_int_equal(second.size_max, 1 << 30);
        assert_int_equal(second.stall_usec, 5 * USEC_PER_SEC);
        assert_int_equal(second.time_usec, 120 * USEC_PER_SEC);
}

static void test_bad_variables(void **state)
{
        static const char *const variables[] = { "REGISTRY=x",
                                                 "REGISTRY_AUTH=auth.json",
                                                 "REGISTRY_CA=ca.pem",
                                                 "REGISTRY_TLS=perhaps",
                                                 "REGISTRY_TOKEN_HOSTS=https://a.example",
                                                 "REGISTRY_SIZE_MAX=much",
                                                 "REGISTRY_STALL_TIME=0",
                                                 "REGISTRY_TIME_MAX=-1" };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                char *const given[] = { (char *) variables[i], NULL };
                _cleanup_(registry_settings_done) RegistrySettings settings = {};
                _cleanup_free_ char *error = NULL;

                environment = given;
                assert_int_equal(registry_settings_init(&settings), 0);
                assert_int_equal(registry_settings_from_environment(&settings, lookup, &error),
                                 REGISTRY_BAD);
                assert_memory_equal(error, variables[i], strcspn(variables[i], "="));
        }
}

/* Challenges */

static int parse(const char *header, const char *registry, Challenge *ret)
{
        _cleanup_(registry_settings_done) RegistrySettings settings = {};
        _cleanup_free_ char *error = NULL;

        set_address(&settings, registry);
        assert_int_equal(strv_extend(&settings.token_hosts, "auth.example"), 0);
        return challenge_parse(&settings, header, ret, &error);
}

static void test_challenges(void **state)
{
        static const struct {
                const char *header, *registry;
                int result;
        } cases[] = {
                { "Basic realm=\"lab\"", "docker://r.example", 0 },
                { "basic realm=lab", "docker://r.example", 0 },
                { "Bearer realm=\"https://r.example/token\",service=\"s\"", "docker://r.example", 0 },
                { "Bearer realm=\"https://auth.example/token\"", "docker://r.example", 0 },
                { "Bearer realm=\"http://127.0.0.1:5001/token\"", "docker://127.0.0.1:5001", 0 },
                { "Bearer realm=\"http://r.example/token\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"http://auth.example/token\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://evil.example/token\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://r.example@evil.example/\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://r.example:444/\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://r.example.evil.example/\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://evil.example\\\\@r.example/\"", "docker://r.example",
                  CHALLENGE_BAD },
                { "Bearer realm=\"file:///etc/passwd\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://r.example/ x\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer realm=\"https://r.example", "docker://r.example", CHALLENGE_BAD },
                { "Bearer service=\"s\"", "docker://r.example", CHALLENGE_BAD },
                { "Bearer", "docker://r.example", CHALLENGE_BAD },
                { "Negotiate", "docker://r.example", CHALLENGE_BAD },
                { "", "docker://r.example", CHALLENGE_BAD },
                { NULL, "docker://r.example", CHALLENGE_BAD },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(challenge_done) Challenge challenge = {};

                if (parse(cases[i].header, cases[i].registry, &challenge) != cases[i].result)
                        fail_msg("%s", cases[i].header ?: "NULL");
        }
}

static void test_the_first_realm_counts(void **state)
{
        _cleanup_(challenge_done) Challenge challenge = {};
        _cleanup_free_ char *url = NULL;

        assert_int_equal(parse("Bearer realm=\"https://r.example/t?a=b\",service=\"the service&x\","
                               "scope=\"repository:other:push\",realm=\"https://evil.example/\"",
                               "docker://r.example", &challenge),
                         0);
        url = challenge_token_url(&challenge, "team/ruby", "pull");
        assert_string_equal(
                url,
                "https://r.example/t?a=b&service=the%20service%26x&scope=repository%3Ateam%2Fruby%3Apull");
}

/* Password files */

static void test_auth_files(void **state)
{
        static const struct {
                const char *text, *login;
                int result;
        } cases[] = {
                { "{\"auths\":{\"r.example\":{\"auth\":\"Y2k6eA==\"}}}", "Basic Y2k6eA==", 0 },
                { "{\"auths\":{\"https://r.example/v1/\":{\"auth\":\"Y2k6eA==\"}}}", "Basic Y2k6eA==", 0 },
                { "{\"auths\":{\"other.example\":{\"auth\":\"Y2k6eA==\"}}}", NULL, 0 },
                { "{\"auths\":{}}", NULL, 0 },
                { "{}", NULL, 0 },
                { "{\"auths\":{\"r.example\":{}}}", NULL, LOGIN_FAILED },
                { "{\"auths\":{\"r.example\":{\"auth\":\"\"}}}", NULL, LOGIN_FAILED },
                { "{\"auths\":{\"r.example\":{\"auth\":\"x\\r\\nHost: y\"}}}", NULL, LOGIN_FAILED },
                { "{\"auths\":{\"r.example\":7}}", NULL, LOGIN_FAILED },
                { "ci:s3cret", NULL, LOGIN_FAILED },
                { "", NULL, LOGIN_FAILED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *login = NULL, *error = NULL;

                assert_int_equal(login_from_auth_file(cases[i].text, strlen(cases[i].text), "r.example",
                                                      &login, &error),
                                 cases[i].result);
                if (cases[i].login)
                        assert_string_equal(login, cases[i].login);
                else
                        assert_null(login);
                if (error)
                        assert_null(strstr(error, "s3cret"));
        }
}

/* Manifests */

static int choose(const char *text, char *ret)
{
        Manifest manifest = { .text = (char *) text, .size = strlen(text), .digest = DIGEST };
        _cleanup_free_ char *error = NULL;

        return index_choose(&manifest, ret, &error);
}

static void test_lists_of_images(void **state)
{
#define ITEM(os, architecture, digest)                                                                      \
        "{\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"},\"digest\":\"" digest "\"" \
        "}"
#define OTHER "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define IMAGE                                                           \
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/" \
        "vnd.oci.image.config.v1+json\",\"digest\":\"" OTHER            \
        "\",\"size\":1},\"layers\":[{\"mediaType\":\"application/"      \
        "vnd.oci.image.layer.v1.tar\",\"digest\":\"" OTHER "\",\"size\":1}]}"
        char digest[80];

        assert_int_equal(choose(IMAGE, digest), 0);
        assert_string_equal(digest, DIGEST);
        assert_int_equal(choose("{\"token\":\"x\"}", digest), ASK_BAD_IMAGE);
        assert_int_equal(choose("{\"manifests\":[]}", digest), ASK_BAD_IMAGE);
        assert_int_equal(choose("{\"manifests\":7}", digest), ASK_BAD_IMAGE);
        assert_int_equal(choose("{\"manifests\":[7,{},{\"platform\":7}]}", digest), ASK_BAD_IMAGE);
        assert_int_equal(choose("{\"manifests\":[" ITEM("windows", "amd64", OTHER) "]}", digest),
                         ASK_BAD_IMAGE);
        assert_int_equal(choose("{\"manifests\":[" ITEM("linux", "vax", OTHER) "]}", digest), ASK_BAD_IMAGE);
#if defined(__x86_64__) || defined(__aarch64__)
#ifdef __x86_64__
#define OWN "amd64"
#else
#define OWN "arm64"
#endif
        assert_int_equal(
                choose("{\"manifests\":[" ITEM("linux", "vax", DIGEST) "," ITEM("linux", OWN, OTHER) "]}",
                       digest),
                0);
        assert_string_equal(digest, OTHER);
        assert_int_equal(choose("{\"manifests\":[" ITEM("linux", OWN, "sha256:../../x") "]}", digest),
                         ASK_BAD_IMAGE);
#endif
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_bad_addresses),
                cmocka_unit_test(test_tracks_without_a_repository),
                cmocka_unit_test(test_settings_survive_the_environment),
                cmocka_unit_test(test_bad_variables),
                cmocka_unit_test(test_challenges),
                cmocka_unit_test(test_the_first_realm_counts),
                cmocka_unit_test(test_auth_files),
                cmocka_unit_test(test_lists_of_images),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
