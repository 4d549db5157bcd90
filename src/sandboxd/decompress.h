/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Compressed bytes in, plain bytes out, piece by piece; however large they grow, what is in
 * memory does not. */

#include "proto/image.h"

typedef struct Decompressor Decompressor;

/* Takes plain bytes. What it returns, unless 0, ends the work and is returned to whoever feeds. */
typedef int (*DecompressSink)(void *userdata, const uint8_t *data, size_t size);

int decompressor_new(ImageCompression kind, DecompressSink sink, void *userdata,
                     Decompressor **ret) _warn_unused_;
Decompressor *decompressor_free(Decompressor *decompressor);
DEFINE_CLEANUP(Decompressor *, decompressor_free)

/* What the bytes can be; far from what sinks return. */
enum {
        DECOMPRESS_CORRUPT = 1001,   /* not what they are said to be, or with something else behind */
        DECOMPRESS_TRUNCATED = 1002, /* they end in the middle */
};

/* DECOMPRESS_CORRUPT, or what the sink returned. */
int decompressor_feed(Decompressor *decompressor, const uint8_t *data, size_t size) _warn_unused_;
/* At the end of the bytes. DECOMPRESS_TRUNCATED. */
int decompressor_finish(Decompressor *decompressor) _warn_unused_;
