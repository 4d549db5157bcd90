/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A blob's file belongs to whoever sent it, and can change while it is read. So it is read once: the same
 * bytes go into the hash of the blob, through the decompressor into the hash of the plain tar, past the
 * scan, and into the tar that is unpacked later. Whatever the sender does meanwhile, what is unpacked is
 * what was checked. */

#include "image-layer.h"

#include "decompress.h"

#include "basic/string-util.h"
#include "shared/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define READ_SIZE (256U * 1024U)

_Static_assert(TAR_BAD == (int) IMAGE_BAD, "what the scan says is handed on");

static ssize_t read_at(int fd, void *data, size_t size, uint64_t offset)
{
        ssize_t n;

        do
                n = pread(fd, data, size, (off_t) offset);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

int image_read_blob(int fd, const char *digest, size_t size_max, const char *what, char **ret_data,
                    size_t *ret_size, char **ret_error)
{
        _cleanup_(hash_freep) Hash *hash = NULL;
        _cleanup_(buffer_done) Buffer blob = {};
        uint8_t chunk[4096];
        ssize_t n;
        int r;

        r = hash_new(&hash);
        if (r < 0)
                return r;
        while ((n = read_at(fd, chunk, sizeof(chunk), blob.size)) > 0) {
                r = buffer_append(&blob, chunk, (size_t) n, size_max);
                if (r == -ENOBUFS)
                        return error_set(ret_error, IMAGE_BAD, "%s has more than %zu bytes", what, size_max);
                if (r < 0)
                        return r;
        }
        if (n < 0)
                return (int) n;
        if (hash_add(hash, blob.data, blob.size) < 0 || !hash_is(hash, digest))
                return error_set(ret_error, IMAGE_BAD, "%s is not what its digest %s says", what, digest);
        r = buffer_append(&blob, "", 1, SIZE_MAX);
        if (r < 0)
                return r;
        *ret_size = blob.size - 1;
        *ret_data = (char *) TAKE_PTR(blob.data);
        return 0;
}

/* A layer on its way. */
typedef struct Layer {
        Hash *packed_hash, *plain_hash;
        Decompressor *decompressor;
        TarScan scan;
        ImageBudget *budget;
        int tar_fd;
        char *error; /* of the scan or the budget, without the layer's number */
} Layer;

static void layer_done(Layer *layer)
{
        hash_free(layer->packed_hash);
        hash_free(layer->plain_hash);
        decompressor_free(layer->decompressor);
        tar_scan_done(&layer->scan);
        free(layer->error);
}

static int on_plain(void *userdata, const uint8_t *data, size_t size)
{
        Layer *layer = userdata;
        int r;

        if (size > layer->budget->size)
                return error_set(&layer->error, IMAGE_BAD,
                                 "brings the image over %" PRIu64 " bytes unpacked",
                                 IMAGE_UNPACKED_SIZE_MAX);
        layer->budget->size -= size;
        r = hash_add(layer->plain_hash, data, size);
        if (r < 0)
                return r;
        r = tar_scan_feed(&layer->scan, data, size, &layer->budget->tar, &layer->error);
        return r != 0 ? r : write_all(layer->tar_fd, data, size);
}

static int layer_init(Layer *layer, ImageCompression compression)
{
        int r;

        r = hash_new(&layer->packed_hash);
        if (r < 0)
                return r;
        r = hash_new(&layer->plain_hash);
        if (r < 0)
                return r;
        return decompressor_new(compression, on_plain, layer, &layer->decompressor);
}

/* All of the file, and not a byte more than the manifest says. */
static int layer_read(Layer *layer, int fd, uint64_t size)
{
        _cleanup_free_ uint8_t *chunk = malloc(READ_SIZE);
        uint64_t done = 0;
        ssize_t n;
        int r;

        if (!chunk)
                return -ENOMEM;
        while ((n = read_at(fd, chunk, READ_SIZE, done)) > 0) {
                done += (uint64_t) n;
                if (done > size)
                        break;
                r = hash_add(layer->packed_hash, chunk, (size_t) n);
                if (r == 0)
                        r = decompressor_feed(layer->decompressor, chunk, (size_t) n);
                if (r != 0)
                        return r;
        }
        if (n < 0)
                return (int) n;
        if (done != size)
                return error_set(&layer->error, IMAGE_BAD,
                                 "has not the %" PRIu64 " bytes that the manifest says", size);
        r = decompressor_finish(layer->decompressor);
        return r != 0 ? r : tar_scan_finish(&layer->scan, &layer->error);
}

static int layer_verdict(int r, Layer *layer, const ImageBlob *blob, const char *diff_id)
{
        if (r < 0 || r == IMAGE_BAD)
                return r;
        if (r == 0 && !hash_is(layer->packed_hash, blob->digest))
                return error_set(&layer->error, IMAGE_BAD, "is not what its digest %s says", blob->digest);
        if (r == DECOMPRESS_CORRUPT)
                return error_set(&layer->error, IMAGE_BAD, "is corrupt: it cannot be decompressed");
        if (r == DECOMPRESS_TRUNCATED)
                return error_set(&layer->error, IMAGE_BAD, "is corrupt: it ends too early");
        if (!hash_is(layer->plain_hash, diff_id))
                return error_set(&layer->error, IMAGE_BAD,
                                 "is not what the configuration says: its diff id is not %s", diff_id);
        return 0;
}

int image_read_layer(int fd, const ImageBlob *blob, const char *diff_id, size_t number, int tar_fd,
                     ImageBudget *budget, char **ret_error)
{
        _cleanup_(layer_done) Layer layer = { .budget = budget, .tar_fd = tar_fd };
        int r;

        r = layer_init(&layer, blob->compression);
        if (r < 0)
                return r;
        r = layer_verdict(layer_read(&layer, fd, blob->size), &layer, blob, diff_id);
        if (r == IMAGE_BAD)
                return error_set(ret_error, IMAGE_BAD, "layer %zu %s", number, layer.error);
        if (r == 0) {
                budget->tar.entries -= layer.scan.use.entries;
                budget->tar.name_bytes -= layer.scan.use.name_bytes;
        }
        return r;
}
