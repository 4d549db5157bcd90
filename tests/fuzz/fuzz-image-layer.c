/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers: the first byte says how the rest is packed. What comes out stays below the limit, and the scan
 * never reads beside what it was given, however it is cut into pieces. */

#include "fuzz.h"

#include "sandboxd/decompress.h"
#include "sandboxd/tar-scan.h"

#include <errno.h>

#define SIZE_LIMIT    (1024U * 1024U)
#define ENTRIES_LIMIT 100U
#define NAMES_LIMIT   4000U
#define OVER          2001

typedef struct Layer {
        TarScan scan;
        size_t size;
        char *error;
} Layer;

static int on_plain(void *userdata, const uint8_t *data, size_t size)
{
        static const TarUse limits = { ENTRIES_LIMIT, NAMES_LIMIT };
        Layer *layer = userdata;

        if (size > SIZE_LIMIT - layer->size)
                return OVER;
        layer->size += size;
        return tar_scan_feed(&layer->scan, data, size, &limits, &layer->error);
}

static int feed(Decompressor *decompressor, Layer *layer, const uint8_t *data, size_t size)
{
        for (size_t n = 1; size > 0; n = n * 2 + 1) {
                size_t part = MIN(n, size);
                int r = decompressor_feed(decompressor, data, part);

                if (r != 0)
                        return r;
                data += part;
                size -= part;
        }
        return decompressor_finish(decompressor) ?: tar_scan_finish(&layer->scan, &layer->error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(decompressor_freep) Decompressor *decompressor = NULL;
        Layer layer = {};
        int r;

        if (size == 0)
                return 0;
        expect(decompressor_new((ImageCompression) (data[0] % (IMAGE_TAR_ZSTD + 1)), on_plain, &layer,
                                &decompressor) == 0);
        r = feed(decompressor, &layer, data + 1, size - 1);
        expect(r == 0 || r == TAR_BAD || r == OVER || r == DECOMPRESS_CORRUPT || r == DECOMPRESS_TRUNCATED ||
               r == -ENOMEM);
        expect((r == TAR_BAD) == (layer.error != NULL));
        expect(layer.scan.use.entries <= ENTRIES_LIMIT + 1);
        tar_scan_done(&layer.scan);
        free(layer.error);
        return 0;
}
