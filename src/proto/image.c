/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image is a manifest, which names a configuration and layers by digest and size. OCI's and docker's
 * forms differ in nothing but their media types, which a table knows. What is not plainly one image whose
 * layers are sent along is refused here with a word about what it is instead: an index of several images, an
 * artefact that is no image, layers that lie at some address of their own, other digests than sha256.
 *
 * A configuration is what the image says about how to run it. Its strings end up in a guest's environment,
 * its arguments and its folder, so they are checked for what these can hold. */

#include "image.h"

#include "json-fields.h"
#include "name.h"

#include "basic/string-util.h"

#include <errno.h>

#define BLOB_SIZE_MAX       (UINT64_C(16) << 30)
#define MEDIA_TYPE_SIZE_MAX 256U
#define STRINGS_MAX         1024U
#define PATH_SIZE_MAX       4095U
#define USER_SIZE_MAX       128U

/* Manifests */

typedef struct Descriptor {
        char *media_type, *digest;
        uint64_t size;
        char **urls;
} Descriptor;

typedef struct Manifest {
        uint64_t schema;
        char *media_type, *artifact_type;
        Descriptor config;
        Descriptor *layers;
        size_t n_layers;
} Manifest;

static const JsonField DESCRIPTOR_FIELDS[] = {
        { "mediaType", &field_text, offsetof(Descriptor, media_type), .max = MEDIA_TYPE_SIZE_MAX },
        { "digest", &field_text, offsetof(Descriptor, digest), .is_valid = digest_is_valid,
          .form = "a sha256 digest" },
        { "size", &field_uint, offsetof(Descriptor, size), .min = 1, .max = BLOB_SIZE_MAX },
        { "urls", &field_texts, offsetof(Descriptor, urls), .optional = true, .max = STRINGS_MAX },
};
static const JsonTable DESCRIPTOR = JSON_TABLE(Descriptor, DESCRIPTOR_FIELDS);

static const JsonField MANIFEST_FIELDS[] = {
        { "schemaVersion", &field_uint, offsetof(Manifest, schema), .min = 2, .max = 2 },
        { "mediaType", &field_text, offsetof(Manifest, media_type), .optional = true,
          .max = MEDIA_TYPE_SIZE_MAX },
        { "artifactType", &field_text, offsetof(Manifest, artifact_type), .optional = true,
          .max = MEDIA_TYPE_SIZE_MAX },
        { "config", &field_struct, offsetof(Manifest, config), .table = &DESCRIPTOR },
        { "layers", &field_list, offsetof(Manifest, layers), .table = &DESCRIPTOR, .max = IMAGE_LAYERS_MAX,
          .count_offset = offsetof(Manifest, n_layers) },
};
static const JsonTable MANIFEST = JSON_TABLE(Manifest, MANIFEST_FIELDS);

static const char *const MANIFEST_TYPES[] = {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
};

static const char *const CONFIG_TYPES[] = {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
};

static const struct LayerType {
        const char *media_type;
        ImageCompression compression;
} LAYER_TYPES[] = {
        { "application/vnd.oci.image.layer.v1.tar", IMAGE_TAR },
        { "application/vnd.oci.image.layer.v1.tar+gzip", IMAGE_TAR_GZIP },
        { "application/vnd.oci.image.layer.v1.tar+zstd", IMAGE_TAR_ZSTD },
        { "application/vnd.docker.image.rootfs.diff.tar", IMAGE_TAR },
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", IMAGE_TAR_GZIP },
        { "application/vnd.docker.image.rootfs.diff.tar.zstd", IMAGE_TAR_ZSTD },
};

static bool is_one_of(const char *s, const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(s, list[i]))
                        return true;
        return false;
}

/* What people hand in for an image, told by the members that an image's manifest never has. */
static int refuse_other_kinds(json_object *object, char **ret_error)
{
        static const struct {
                const char *member, *kind;
        } others[] = {
                { "manifests", "an index of images (for several platforms?): one of them must be chosen" },
                { "fsLayers", "a manifest of docker's schema 1, which nobody should use any more" },
                { "blobs", "the manifest of an artefact, not of an image" },
                { "subject", "an attachment to another image, not an image" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (json_object_object_get_ex(object, others[i].member, NULL))
                        return error_set(ret_error, IMAGE_BAD, "the manifest is %s", others[i].kind);
        return 0;
}

static int check_kind(const Manifest *manifest, char **ret_error)
{
        if (manifest->media_type &&
            !is_one_of(manifest->media_type, MANIFEST_TYPES, ARRAY_SIZE(MANIFEST_TYPES)))
                return error_set(ret_error, IMAGE_BAD, "the manifest's mediaType is not that of an image");
        if (manifest->artifact_type ||
            !is_one_of(manifest->config.media_type, CONFIG_TYPES, ARRAY_SIZE(CONFIG_TYPES)))
                return error_set(ret_error, IMAGE_BAD,
                                 "the manifest is that of an artefact, not of an image");
        if (manifest->n_layers == 0)
                return error_set(ret_error, IMAGE_BAD, "the image has no layers");
        return 0;
}

static int layer_compression(const Descriptor *layer, size_t i, ImageCompression *ret, char **ret_error)
{
        if (layer->urls)
                return error_set(ret_error, IMAGE_BAD,
                                 "layer %zu lies at an address of its own: layers must be part of the image",
                                 i + 1);
        for (size_t k = 0; k < ARRAY_SIZE(LAYER_TYPES); k++)
                if (streq(layer->media_type, LAYER_TYPES[k].media_type)) {
                        *ret = LAYER_TYPES[k].compression;
                        return 0;
                }
        return error_set(
                ret_error, IMAGE_BAD,
                "layer %zu has a mediaType that is not known here (a tar, plain or with gzip or zstd, is)",
                i + 1);
}

static int take_layers(Manifest *manifest, ImageManifest *image, char **ret_error)
{
        int r;

        image->layers = calloc(manifest->n_layers, sizeof(ImageBlob));
        if (!image->layers)
                return -ENOMEM;
        for (; image->n_layers < manifest->n_layers; image->n_layers++) {
                Descriptor *layer = &manifest->layers[image->n_layers];
                ImageBlob *blob = &image->layers[image->n_layers];

                r = layer_compression(layer, image->n_layers, &blob->compression, ret_error);
                if (r != 0)
                        return r;
                blob->digest = TAKE_PTR(layer->digest);
                blob->size = layer->size;
        }
        return 0;
}

static void manifest_done(Manifest *manifest)
{
        json_done(&MANIFEST, manifest);
}

int image_manifest_parse(const char *text, size_t size, ImageManifest *ret, char **ret_error)
{
        _cleanup_(image_manifest_done) ImageManifest image = {};
        _cleanup_(manifest_done) Manifest manifest = {};
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        if (size > IMAGE_MANIFEST_SIZE_MAX)
                return error_set(ret_error, IMAGE_BAD, "the manifest has more than %u bytes",
                                 IMAGE_MANIFEST_SIZE_MAX);
        r = json_object_from_bytes(text, size, &object, &error);
        if (r == JSON_BAD)
                return error_set(ret_error, IMAGE_BAD, "the manifest %s", error);
        if (r < 0)
                return r;
        r = refuse_other_kinds(object, ret_error);
        if (r != 0)
                return r;
        r = json_read(&MANIFEST, object, &manifest, &error);
        if (r == JSON_BAD)
                return error_set(ret_error, IMAGE_BAD, "the manifest's %s", error);
        if (r < 0)
                return r;
        r = check_kind(&manifest, ret_error);
        if (r != 0)
                return r;
        r = take_layers(&manifest, &image, ret_error);
        if (r != 0)
                return r;
        image.config =
                (ImageBlob){ .digest = TAKE_PTR(manifest.config.digest), .size = manifest.config.size };
        if (image.config.size > IMAGE_CONFIG_SIZE_MAX)
                return error_set(ret_error, IMAGE_BAD, "the configuration has more than %u bytes",
                                 IMAGE_CONFIG_SIZE_MAX);
        *ret = image;
        image = (ImageManifest){};
        return 0;
}

void image_manifest_done(ImageManifest *manifest)
{
        for (size_t i = 0; i < manifest->n_layers; i++)
                free(manifest->layers[i].digest);
        free(manifest->layers);
        free(manifest->config.digest);
        *manifest = (ImageManifest){};
}

/* Configurations */

typedef struct Run {
        char **entrypoint, **environment;
        char *folder, *user;
} Run;

typedef struct RootFs {
        char *type;
        char **diff_ids;
} RootFs;

typedef struct Config {
        char *os, *architecture;
        Run run;
        RootFs rootfs;
} Config;

static const JsonField RUN_FIELDS[] = {
        { "Entrypoint", &field_texts, offsetof(Run, entrypoint), .optional = true, .max = STRINGS_MAX },
        { "Env", &field_texts, offsetof(Run, environment), .optional = true, .max = STRINGS_MAX },
        { "WorkingDir", &field_text, offsetof(Run, folder), .optional = true, .max = PATH_SIZE_MAX },
        { "User", &field_text, offsetof(Run, user), .optional = true, .max = USER_SIZE_MAX },
};
static const JsonTable RUN = JSON_TABLE(Run, RUN_FIELDS);

static const JsonField ROOTFS_FIELDS[] = {
        { "type", &field_text, offsetof(RootFs, type), .max = MEDIA_TYPE_SIZE_MAX },
        { "diff_ids", &field_texts, offsetof(RootFs, diff_ids), .is_valid = digest_is_valid,
          .form = "a sha256 digest", .max = IMAGE_LAYERS_MAX },
};
static const JsonTable ROOTFS = JSON_TABLE(RootFs, ROOTFS_FIELDS);

static const JsonField CONFIG_FIELDS[] = {
        { "os", &field_text, offsetof(Config, os), .optional = true, .max = MEDIA_TYPE_SIZE_MAX },
        { "architecture", &field_text, offsetof(Config, architecture), .optional = true,
          .max = MEDIA_TYPE_SIZE_MAX },
        { "config", &field_struct, offsetof(Config, run), .optional = true, .table = &RUN },
        { "rootfs", &field_struct, offsetof(Config, rootfs), .table = &ROOTFS },
};
static const JsonTable CONFIG = JSON_TABLE(Config, CONFIG_FIELDS);

static void config_done(Config *config)
{
        json_done(&CONFIG, config);
}

static size_t strings_size(char *const *strings)
{
        size_t size = 0;

        for (; strings && *strings; strings++)
                size += strlen(*strings) + 1;
        return size;
}

static bool environment_is_valid(char *const *environment)
{
        for (; environment && *environment; environment++)
                if ((*environment)[0] == '=' || !strchr(*environment, '='))
                        return false;
        return true;
}

static bool user_is_valid(const char *user)
{
        for (; *user; user++)
                if (*user <= ' ' || *user > '~')
                        return false;
        return true;
}

/* Writes an absolute path without empty, `.` and `..` parts; false where it is none, or lies in a file
 * system of the kernel, where a path may lead anywhere. */
static bool folder_normalize(const char *folder, char *ret)
{
        static const char *const kernels[] = { "/proc", "/sys", "/dev" };
        char *end = ret;

        if (folder[0] != '/')
                return false;
        while (*(folder += strspn(folder, "/"))) {
                size_t n = strcspn(folder, "/");

                if (strncmp(folder, "..", n) == 0)
                        return false;
                *end++ = '/';
                end = mempcpy(end, folder, n);
                folder += n;
        }
        *end = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
                const char *rest = string_after(ret, kernels[i]);

                if (rest && (*rest == '/' || *rest == '\0'))
                        return false;
        }
        return true;
}

static int check_run(const Run *run, char **ret_error)
{
        if (strings_size(run->entrypoint) + strings_size(run->environment) > IMAGE_STRINGS_SIZE_MAX)
                return error_set(ret_error, IMAGE_BAD,
                                 "the configuration's Entrypoint and Env have more than %u bytes",
                                 IMAGE_STRINGS_SIZE_MAX);
        if (!environment_is_valid(run->environment))
                return error_set(ret_error, IMAGE_BAD,
                                 "the configuration's Env holds something else than NAME=VALUE");
        if (run->entrypoint && run->entrypoint[0][0] == '\0')
                return error_set(ret_error, IMAGE_BAD, "the configuration's Entrypoint names no program");
        if (run->user && !user_is_valid(run->user))
                return error_set(ret_error, IMAGE_BAD,
                                 "the configuration's User is not printable ASCII without blanks");
        return 0;
}

static int take_run(Run *run, ImageConfig *image, char **ret_error)
{
        char folder[PATH_SIZE_MAX + 2] = "";
        int r;

        r = check_run(run, ret_error);
        if (r != 0)
                return r;
        if (run->folder && run->folder[0] != '\0' && !folder_normalize(run->folder, folder))
                return error_set(ret_error, IMAGE_BAD,
                                 "the configuration's WorkingDir must be an absolute path without `.` and "
                                 "`..`, outside of /proc, /sys and /dev");
        image->folder = strdup(folder[0] != '\0' ? folder : "/");
        image->user = run->user ? TAKE_PTR(run->user) : strdup("");
        image->entrypoint = TAKE_PTR(run->entrypoint);
        image->environment = TAKE_PTR(run->environment);
        return image->folder && image->user ? 0 : -ENOMEM;
}

int image_config_parse(const char *text, size_t size, ImageConfig *ret, char **ret_error)
{
        _cleanup_(image_config_done) ImageConfig image = {};
        _cleanup_(config_done) Config config = {};
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        if (size > IMAGE_CONFIG_SIZE_MAX)
                return error_set(ret_error, IMAGE_BAD, "the configuration has more than %u bytes",
                                 IMAGE_CONFIG_SIZE_MAX);
        r = json_object_from_bytes(text, size, &object, &error);
        if (r == JSON_BAD)
                return error_set(ret_error, IMAGE_BAD, "the configuration %s", error);
        if (r < 0)
                return r;
        r = json_read(&CONFIG, object, &config, &error);
        if (r == JSON_BAD)
                return error_set(ret_error, IMAGE_BAD, "the configuration's %s", error);
        if (r < 0)
                return r;
        if (config.os && config.os[0] != '\0' && !streq(config.os, "linux"))
                return error_set(ret_error, IMAGE_BAD, "the image is for another system than linux");
        if (!streq(config.rootfs.type, "layers"))
                return error_set(ret_error, IMAGE_BAD, "the configuration's rootfs.type must be `layers`");
        r = take_run(&config.run, &image, ret_error);
        if (r != 0)
                return r;
        image.architecture = TAKE_PTR(config.architecture);
        image.diff_ids = TAKE_PTR(config.rootfs.diff_ids);
        *ret = image;
        image = (ImageConfig){};
        return 0;
}

void image_config_done(ImageConfig *config)
{
        strv_free(config->entrypoint);
        strv_free(config->environment);
        free(config->folder);
        free(config->user);
        free(config->architecture);
        strv_free(config->diff_ids);
        *config = (ImageConfig){};
}
