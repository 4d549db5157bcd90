/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All blobs are opened when the image is: so what another writer of the registry does later changes nothing,
 * and a blob that is missing is known before anything is sent. */

#include "image-source.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/image.h"
#include "shared/oci-layout.h"

#include <unistd.h>

/* Conditions of opening: why the image is not there was said. */
enum {
        NOT_THERE = 1,
};

typedef struct Blob {
        char *digest;
        int fd;
} Blob;

struct ImageSource {
        Blob blobs[IMAGE_BLOBS_MAX]; /* the first is the manifest */
        size_t n_blobs, n_taken;
};

DEFINE_CLEANUP(ImageSource *, image_source_free)

ImageSource *image_source_free(ImageSource *source)
{
        for (size_t i = 0; source && i < source->n_blobs; i++) {
                free(source->blobs[i].digest);
                safe_close(source->blobs[i].fd);
        }
        free(source);
        return NULL;
}

static int add_blob(ImageSource *source, const OciLayout *layout, const char *digest, char **ret_error)
{
        Blob blob = { .fd = -EBADF };
        int r;

        assert(source->n_blobs < IMAGE_BLOBS_MAX);
        r = oci_layout_open_blob(layout, digest, &blob.fd);
        if (r == OCI_LAYOUT_NO_BLOB)
                return error_set(ret_error, NOT_THERE, "the registry has the image, but not its blob %s",
                                 digest);
        if (r < 0)
                return r;
        blob.digest = strdup(digest);
        if (!blob.digest) {
                safe_close(blob.fd);
                return -ENOMEM;
        }
        source->blobs[source->n_blobs++] = blob;
        return 0;
}

static int read_manifest(int fd, ImageManifest *ret, char **ret_error)
{
        _cleanup_free_ char *text = malloc(IMAGE_MANIFEST_SIZE_MAX + 1), *error = NULL;
        ssize_t n;
        int r;

        if (!text)
                return -ENOMEM;
        n = read_full(fd, text, IMAGE_MANIFEST_SIZE_MAX + 1);
        if (n < 0)
                return (int) n;
        if (n > (ssize_t) IMAGE_MANIFEST_SIZE_MAX)
                return error_set(ret_error, NOT_THERE, "the image's manifest is too large");
        r = image_manifest_parse(text, (size_t) n, ret, &error);
        if (r == IMAGE_BAD)
                return error_set(ret_error, NOT_THERE, "the image's manifest is malformed: %s", error);
        return r;
}

static int add_all(ImageSource *source, const OciLayout *layout, const char *digest, char **ret_error)
{
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        int r;

        r = add_blob(source, layout, digest, ret_error);
        if (r == 0)
                r = read_manifest(source->blobs[0].fd, &manifest, ret_error);
        if (r == 0 && lseek(source->blobs[0].fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r == 0)
                r = add_blob(source, layout, manifest.config.digest, ret_error);
        for (size_t i = 0; r == 0 && i < manifest.n_layers; i++)
                r = add_blob(source, layout, manifest.layers[i].digest, ret_error);
        return r;
}

static int open_layout(const ImagePlace *place, OciLayout **ret, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r = place->layout ? oci_layout_open_path(place->layout, ret, &error)
                              : oci_layout_open(place->registry, place->channel, place->track, ret, &error);

        if (r == OCI_LAYOUT_MISSING)
                return error_set(ret_error, NOT_THERE, "the image is gone again from where it was");
        if (r == OCI_LAYOUT_BAD)
                return error_set(ret_error, NOT_THERE, "the registry cannot be used: %s",
                                 error ?: "unknown");
        if (r == -EACCES)
                return error_set(ret_error, NOT_THERE, "the worker may not read the registry");
        return r;
}

int image_source_open(const ImagePlace *place, const char *digest, ImageSource **ret, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_(image_source_freep) ImageSource *source = calloc(1, sizeof(ImageSource));
        int r;

        *ret = NULL;
        if (!source)
                return -ENOMEM;
        r = open_layout(place, &layout, ret_error);
        if (r == 0)
                r = add_all(source, layout, digest, ret_error);
        if (r == 0)
                *ret = TAKE_PTR(source);
        if (r < 0 && r != -ENOMEM)
                r = error_set(ret_error, NOT_THERE, "the registry cannot be read: %s", strerror(-r));
        return r < 0 ? r : 0;
}

int image_source_next(ImageSource *source, const char **ret_digest, int *ret_fd)
{
        Blob *blob = &source->blobs[source->n_taken];

        if (source->n_taken == source->n_blobs)
                return IMAGE_SOURCE_END;
        *ret_digest = blob->digest;
        *ret_fd = TAKE_FD(blob->fd);
        source->n_taken++;
        return 0;
}
