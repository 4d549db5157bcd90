/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests and configurations of images: what is read from good ones, and how each bad one is refused. */

#include "proto/image.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define DIGEST "\"sha256:" HEX "\""
#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define CONFIG                                                 \
        "\"config\":{\"mediaType\":\"" OCI "config.v1+json\"," \
        "\"digest\":" DIGEST ",\"size\":7}"
#define LAYER(type)    "{\"mediaType\":\"" type "\",\"digest\":" DIGEST ",\"size\":9}"
#define MANIFEST(rest) "{\"schemaVersion\":2," CONFIG ",\"layers\":[" rest "]}"

static void expect_manifest_error(const char *text, const char *wanted)
{
        _cleanup_free_ char *error = NULL;
        ImageManifest manifest;

        assert_int_equal(image_manifest_parse(text, strlen(text), &manifest, &error), IMAGE_BAD);
        assert_non_null(error);
        if (!strstr(error, wanted))
                fail_msg("\"%s\" says nothing of \"%s\"", error, wanted);
}

static void manifest_of_oci(void **state)
{
        static const char text[] = MANIFEST(LAYER(OCI "layer.v1.tar") "," LAYER(
                OCI "layer.v1.tar+gzip") "," LAYER(OCI "layer.v1.tar+zstd"));
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(image_manifest_parse(text, strlen(text), &manifest, &error), 0);
        assert_string_equal(manifest.config.digest, "sha256:" HEX);
        assert_int_equal(manifest.config.size, 7);
        assert_int_equal(manifest.n_layers, 3);
        assert_int_equal(manifest.layers[0].compression, IMAGE_TAR);
        assert_int_equal(manifest.layers[1].compression, IMAGE_TAR_GZIP);
        assert_int_equal(manifest.layers[2].compression, IMAGE_TAR_ZSTD);
        assert_int_equal(manifest.layers[2].size, 9);
}

static void manifest_of_docker(void **state)
{
        static const char text[] =
                "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER "distribution.manifest.v2+json\","
                "\"config\":{\"mediaType\":\"" DOCKER "container.image.v1+json\",\"digest\":" DIGEST
                ",\"size\":7},\"layers\":[" LAYER(DOCKER "image.rootfs.diff.tar.gzip") "]}";
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(image_manifest_parse(text, strlen(text), &manifest, &error), 0);
        assert_int_equal(manifest.layers[0].compression, IMAGE_TAR_GZIP);
}

static void manifests_that_are_none(void **state)
{
        static const struct {
                const char *text, *error;
        } cases[] = {
                { "", "not JSON" },
                { "[]", "not an object" },
                { "{}", "schemaVersion" },
                { "{\"schemaVersion\":1,\"fsLayers\":[]}", "schema 1" },
                { "{\"schemaVersion\":2,\"manifests\":[]}", "index" },
                { "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}", "index" },
                { "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"artifactType\":\"x\"}", "artefact" },
                { "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
                  "vnd.oci.empty.v1+json\",\"digest\":" DIGEST ",\"size\":2},\"layers\":[]}",
                  "artefact" },
                { "{\"schemaVersion\":2,\"mediaType\":\"text/plain\"," CONFIG ",\"layers\":[]}",
                  "mediaType" },
                { MANIFEST(""), "no layers" },
                { MANIFEST(LAYER(OCI "layer.nondistributable.v1.tar")), "layer 1" },
                { MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":" DIGEST
                           ",\"size\":9,\"urls\":[\"https://example.org\"]}"),
                  "address of its own" },
                { MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":\"sha512:" HEX HEX
                           "\",\"size\":9}"),
                  "layers[0].digest must be a sha256 digest" },
                { MANIFEST("{\"mediaType\":\"" OCI
                           "layer.v1.tar\",\"digest\":\"sha256:../../../../etc/passwd\",\"size\":9}"),
                  "layers[0].digest must be a sha256 digest" },
                { MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":" DIGEST ",\"size\":-1}"),
                  "size" },
                { MANIFEST("{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":" DIGEST ",\"size\":1e30}"),
                  "size" },
                { "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI
                  "config.v1+json\",\"digest\":" DIGEST
                  ",\"size\":1048577},\"layers\":[" LAYER(OCI "layer.v1.tar") "]}",
                  "configuration has more than 1048576 bytes" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect_manifest_error(cases[i].text, cases[i].error);
}

static void manifest_with_too_many_layers(void **state)
{
        _cleanup_free_ char *layers = strdup("");

        for (size_t i = 0; i <= IMAGE_LAYERS_MAX; i++) {
                char *more = string_format("%s%s%s", layers, i > 0 ? "," : "", LAYER(OCI "layer.v1.tar"));

                assert_non_null(more);
                free(layers);
                layers = more;
        }
        {
                _cleanup_free_ char *text =
                        string_format("{\"schemaVersion\":2,%s,\"layers\":[%s]}", CONFIG, layers);

                expect_manifest_error(text, "more than 128");
        }
}

#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" DIGEST "]}"

static void expect_config_error(const char *run, const char *wanted)
{
        _cleanup_free_ char *text = string_format("{%s,\"config\":%s}", ROOTFS, run), *error = NULL;
        ImageConfig config;

        assert_int_equal(image_config_parse(text, strlen(text), &config, &error), IMAGE_BAD);
        if (!strstr(error, wanted))
                fail_msg("\"%s\" says nothing of \"%s\"", error, wanted);
}

static void config_whole(void **state)
{
        static const char text[] =
                "{\"os\":\"linux\",\"architecture\":\"amd64\"," ROOTFS
                ",\"config\":{\"Entrypoint\":[\"/bin/sh\",\"-c\"],\"Env\":[\"A=b\",\"C=\"],"
                "\"WorkingDir\":\"/opt//test-runner/\",\"User\":\"student:staff\",\"Cmd\":[\"x\"]}}";
        _cleanup_(image_config_done) ImageConfig config = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(image_config_parse(text, strlen(text), &config, &error), 0);
        assert_int_equal(strv_length(config.entrypoint), 2);
        assert_string_equal(config.entrypoint[1], "-c");
        assert_string_equal(config.environment[1], "C=");
        assert_string_equal(config.folder, "/opt/test-runner");
        assert_string_equal(config.user, "student:staff");
        assert_string_equal(config.architecture, "amd64");
        assert_string_equal(config.diff_ids[0], "sha256:" HEX);
}

static void config_least(void **state)
{
        static const char text[] = "{" ROOTFS ",\"config\":null}";
        _cleanup_(image_config_done) ImageConfig config = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(image_config_parse(text, strlen(text), &config, &error), 0);
        assert_null(config.entrypoint);
        assert_null(config.environment);
        assert_string_equal(config.folder, "/");
        assert_string_equal(config.user, "");
}

static void configs_that_are_hostile(void **state)
{
        static const struct {
                const char *run, *error;
        } cases[] = {
                { "7", "config must be an object" },
                { "{\"Entrypoint\":\"/bin/sh\"}", "Entrypoint must be an array" },
                { "{\"Entrypoint\":[\"\"]}", "names no program" },
                { "{\"Entrypoint\":[\"a\\u0000b\"]}", "without NUL" },
                { "{\"Env\":[\"PATH\"]}", "NAME=VALUE" },
                { "{\"Env\":[\"=x\"]}", "NAME=VALUE" },
                { "{\"Env\":[\"A=\\u0000\"]}", "without NUL" },
                { "{\"WorkingDir\":\"opt\"}", "WorkingDir must be an absolute path" },
                { "{\"WorkingDir\":\"/opt/../etc\"}", "WorkingDir must be an absolute path" },
                { "{\"WorkingDir\":\"/proc/self/fd/8\"}", "outside of /proc" },
                { "{\"WorkingDir\":\"//proc\"}", "outside of /proc" },
                { "{\"User\":\"a b\"}", "User" },
                { "{\"User\":\"a\\nroot:x:0:0\"}", "User" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect_config_error(cases[i].run, cases[i].error);
}

static void config_with_huge_environment(void **state)
{
        _cleanup_free_ char *value = malloc(IMAGE_STRINGS_SIZE_MAX + 1), *run = NULL;

        assert_non_null(value);
        memset(value, 'x', IMAGE_STRINGS_SIZE_MAX);
        value[IMAGE_STRINGS_SIZE_MAX] = '\0';
        run = string_format("{\"Env\":[\"A=%s\"]}", value);
        expect_config_error(run, "more than 32768 bytes");
}

static void configs_for_others(void **state)
{
        static const char windows[] = "{\"os\":\"windows\"," ROOTFS "}",
                          other[] = "{\"rootfs\":{\"type\":\"x\",\"diff_ids\":[]}}";
        _cleanup_free_ char *error = NULL, *other_error = NULL;
        ImageConfig config;

        assert_int_equal(image_config_parse(windows, strlen(windows), &config, &error), IMAGE_BAD);
        assert_non_null(strstr(error, "linux"));
        assert_int_equal(image_config_parse(other, strlen(other), &config, &other_error), IMAGE_BAD);
        assert_non_null(strstr(other_error, "rootfs.type"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(manifest_of_oci),
                cmocka_unit_test(manifest_of_docker),
                cmocka_unit_test(manifests_that_are_none),
                cmocka_unit_test(manifest_with_too_many_layers),
                cmocka_unit_test(config_whole),
                cmocka_unit_test(config_least),
                cmocka_unit_test(configs_that_are_hostile),
                cmocka_unit_test(config_with_huge_environment),
                cmocka_unit_test(configs_for_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
