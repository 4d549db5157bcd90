/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table of three kinds. gzip members and zstd frames may follow each other, as their formats say;
 * anything else behind them may not. A sink sees at most OUTPUT_SIZE bytes at a time and can stop the work
 * after each: that is where bombs end. */

#include "decompress.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#define OUTPUT_SIZE      (128U * 1024U)
#define GZIP_WINDOW_BITS (15 + 16) /* 16: with gzip's header */
#define ZSTD_WINDOW_LOG  27        /* 128 MiB, what the zstd program takes too */

typedef struct Kind {
        int (*init)(Decompressor *d);
        int (*feed)(Decompressor *d, const uint8_t *data, size_t size);
        void (*done)(Decompressor *d);
} Kind;

struct Decompressor {
        const Kind *kind;
        DecompressSink sink;
        void *userdata;
        bool is_between; /* a member or frame is complete, and no other one has begun */
        union {
                z_stream gzip;
                ZSTD_DStream *zstd;
        };
        uint8_t output[OUTPUT_SIZE];
};

static int tar_init(Decompressor *d)
{
        d->is_between = true;
        return 0;
}

static int tar_feed(Decompressor *d, const uint8_t *data, size_t size)
{
        return d->sink(d->userdata, data, size);
}

static void tar_done(Decompressor *d)
{
}

static int gzip_init(Decompressor *d)
{
        return inflateInit2(&d->gzip, GZIP_WINDOW_BITS) == Z_OK ? 0 : -ENOMEM;
}

/* One step; what was put out goes to the sink. */
static int gzip_step(Decompressor *d)
{
        int z, r;

        d->gzip.next_out = d->output;
        d->gzip.avail_out = OUTPUT_SIZE;
        z = inflate(&d->gzip, Z_NO_FLUSH);
        if (z == Z_MEM_ERROR)
                return -ENOMEM;
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
                return DECOMPRESS_CORRUPT;
        r = d->sink(d->userdata, d->output, OUTPUT_SIZE - d->gzip.avail_out);
        if (r == 0 && z == Z_STREAM_END) {
                d->is_between = true;
                if (inflateReset(&d->gzip) != Z_OK)
                        return -ENOMEM;
        }
        return r;
}

static int gzip_feed(Decompressor *d, const uint8_t *data, size_t size)
{
        int r = 0;

        d->gzip.next_in = (uint8_t *) data;
        d->gzip.avail_in = (unsigned) size;
        d->gzip.avail_out = OUTPUT_SIZE;
        while (r == 0 && (d->gzip.avail_in > 0 || d->gzip.avail_out == 0)) {
                if (d->gzip.avail_in > 0)
                        d->is_between = false;
                r = gzip_step(d);
        }
        return r;
}

static void gzip_done(Decompressor *d)
{
        inflateEnd(&d->gzip);
}

static int zstd_init(Decompressor *d)
{
        d->zstd = ZSTD_createDStream();
        if (!d->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
                return -ENOMEM;
        return 0;
}

static int zstd_feed(Decompressor *d, const uint8_t *data, size_t size)
{
        ZSTD_inBuffer in = { data, size, 0 };
        bool is_full = false;

        while (in.pos < in.size || is_full) {
                ZSTD_outBuffer out = { d->output, OUTPUT_SIZE, 0 };
                size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
                int r;

                if (ZSTD_isError(left))
                        return DECOMPRESS_CORRUPT;
                d->is_between = left == 0;
                is_full = !d->is_between && out.pos == out.size;
                r = d->sink(d->userdata, d->output, out.pos);
                if (r != 0)
                        return r;
        }
        return 0;
}

static void zstd_done(Decompressor *d)
{
        ZSTD_freeDStream(d->zstd);
}

static const Kind KINDS[] = {
        [IMAGE_TAR] = { tar_init, tar_feed, tar_done },
        [IMAGE_TAR_GZIP] = { gzip_init, gzip_feed, gzip_done },
        [IMAGE_TAR_ZSTD] = { zstd_init, zstd_feed, zstd_done },
};

int decompressor_new(ImageCompression kind, DecompressSink sink, void *userdata, Decompressor **ret)
{
        Decompressor *d = calloc(1, sizeof(Decompressor));
        int r;

        if (!d)
                return -ENOMEM;
        d->kind = &KINDS[kind];
        d->sink = sink;
        d->userdata = userdata;
        r = d->kind->init(d);
        if (r < 0) {
                decompressor_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

Decompressor *decompressor_free(Decompressor *d)
{
        if (d)
                d->kind->done(d);
        free(d);
        return NULL;
}

int decompressor_feed(Decompressor *d, const uint8_t *data, size_t size)
{
        return size > 0 ? d->kind->feed(d, data, size) : 0;
}

int decompressor_finish(Decompressor *d)
{
        return d->is_between ? 0 : DECOMPRESS_TRUNCATED;
}
