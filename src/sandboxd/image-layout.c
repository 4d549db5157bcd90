/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain tars named by their hash, and a manifest and a configuration that say nothing else: the JSON that
 * came with the image has one reader, and how its layers were packed makes no difference from here on. */

#include "image-layout.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "shared/hash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS IMAGE_LAYOUT "/blobs/sha256/"

/* Writes a new file. */
static int write_file(const char *path, const char *text)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

static char *blob_path(const char *digest)
{
        return string_format(BLOBS "%s", digest_hex(digest));
}

int image_layout_init(void)
{
        static const char *const folders[] = { IMAGE_LAYOUT, IMAGE_LAYOUT "/blobs", BLOBS };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (mkdir(folders[i], 0755) < 0)
                        return -errno;
        return write_file(IMAGE_LAYOUT "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

int image_layout_make_layer(const char *diff_id, int *ret_fd)
{
        _cleanup_free_ char *path = blob_path(diff_id);
        int fd;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return errno == EEXIST ? IMAGE_LAYOUT_EXISTS : -errno;
        *ret_fd = fd;
        return 0;
}

/* JSON. Every builder returns a new object or NULL, and whoever adds one that is NULL fails. */

static int add(json_object *object, const char *key, json_object *value)
{
        return value ? json_add(object, key, value) : -ENOMEM;
}

static int array_add(json_object *array, json_object *value)
{
        if (value && json_object_array_add(array, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static json_object *descriptor_new(const char *media_type, const char *digest)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        _cleanup_free_ char *path = blob_path(digest);
        struct stat st;

        if (!object || !path || stat(path, &st) < 0 || json_add_text(object, "mediaType", media_type) < 0 ||
            json_add_text(object, "digest", digest) < 0 ||
            json_add_uint(object, "size", (uint64_t) st.st_size) < 0)
                return NULL;
        return TAKE_PTR(object);
}

/* Writes an object as a blob of its own; returns its descriptor. Takes `object`. */
static json_object *blob_new(const char *media_type, json_object *object)
{
        _cleanup_json_ json_object *owned = object;
        const char *text = object ? json_object_text(object) : NULL;
        char digest[DIGEST_SIZE + 1];
        _cleanup_free_ char *path = NULL;

        if (!text || hash_bytes(text, strlen(text), digest) < 0)
                return NULL;
        path = blob_path(digest);
        if (!path || write_file(path, text) < 0)
                return NULL;
        return descriptor_new(media_type, digest);
}

static json_object *config_new(char *const *diff_ids)
{
        _cleanup_json_ json_object *config = json_object_new_object(), *rootfs = json_object_new_object(),
                                   *ids = json_object_new_array();

        if (!config || !rootfs || !ids)
                return NULL;
        for (; *diff_ids; diff_ids++)
                if (array_add(ids, json_object_new_string(*diff_ids)) < 0)
                        return NULL;
        if (json_add_text(rootfs, "type", "layers") < 0 || add(rootfs, "diff_ids", TAKE_PTR(ids)) < 0 ||
            json_add_text(config, "os", "linux") < 0 || json_add_text(config, "architecture", "") < 0 ||
            add(config, "rootfs", TAKE_PTR(rootfs)) < 0)
                return NULL;
        return TAKE_PTR(config);
}

static json_object *layers_new(char *const *diff_ids)
{
        _cleanup_json_ json_object *layers = json_object_new_array();

        for (; layers && *diff_ids; diff_ids++)
                if (array_add(layers, descriptor_new("application/vnd.oci.image.layer.v1.tar", *diff_ids)) <
                    0)
                        return NULL;
        return TAKE_PTR(layers);
}

static json_object *manifest_new(char *const *diff_ids)
{
        _cleanup_json_ json_object *manifest = json_object_new_object();

        if (!manifest || json_add_uint(manifest, "schemaVersion", 2) < 0 ||
            add(manifest, "config",
                blob_new("application/vnd.oci.image.config.v1+json", config_new(diff_ids))) < 0 ||
            add(manifest, "layers", layers_new(diff_ids)) < 0)
                return NULL;
        return TAKE_PTR(manifest);
}

static json_object *index_new(char *const *diff_ids)
{
        _cleanup_json_ json_object *index = json_object_new_object(), *manifests = json_object_new_array(),
                                   *names = json_object_new_object();
        json_object *image;

        if (!index || !manifests || !names ||
            json_add_text(names, "org.opencontainers.image.ref.name", "image") < 0)
                return NULL;
        image = blob_new("application/vnd.oci.image.manifest.v1+json", manifest_new(diff_ids));
        if (array_add(manifests, image) < 0 || add(image, "annotations", TAKE_PTR(names)) < 0 ||
            json_add_uint(index, "schemaVersion", 2) < 0 || add(index, "manifests", TAKE_PTR(manifests)) < 0)
                return NULL;
        return TAKE_PTR(index);
}

int image_layout_finish(char *const *diff_ids)
{
        _cleanup_json_ json_object *index = NULL;
        const char *text;

        errno = 0;
        index = index_new(diff_ids);
        text = index ? json_object_text(index) : NULL;
        if (!text)
                return errno > 0 ? -errno : -ENOMEM;
        return write_file(IMAGE_LAYOUT "/index.json", text);
}
