/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of images: what is accepted keeps every limit, what is not has an error. */

#include "fuzz.h"

#include "basic/digest.h"
#include "proto/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        _cleanup_free_ char *error = NULL;
        int r;

        r = image_manifest_parse((const char *) data, size, &manifest, &error);
        expect(r == 0 || r == IMAGE_BAD);
        expect((r == IMAGE_BAD) == (error != NULL));
        if (r != 0)
                return 0;
        expect(digest_hex(manifest.config.digest) && manifest.config.size <= IMAGE_CONFIG_SIZE_MAX);
        expect(manifest.n_layers > 0 && manifest.n_layers <= IMAGE_LAYERS_MAX);
        for (size_t i = 0; i < manifest.n_layers; i++)
                expect(digest_hex(manifest.layers[i].digest) && manifest.layers[i].size > 0 &&
                       manifest.layers[i].compression <= IMAGE_TAR_ZSTD);
        return 0;
}
