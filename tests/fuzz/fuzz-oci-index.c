/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Indexes of OCI layouts: every image once, its digest fit for a path. */

#include "fuzz.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "shared/oci-layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(oci_index_done) OciIndex index = {};
        _cleanup_free_ char *error = NULL;
        int r;

        r = oci_index_parse((const char *) data, size, &index, &error);
        expect(r == 0 || r == OCI_LAYOUT_BAD);
        expect((r == OCI_LAYOUT_BAD) == (error != NULL));
        for (size_t i = 0; i < index.n_images; i++) {
                expect(digest_hex(index.images[i].digest));
                for (size_t k = 0; k < i; k++)
                        expect(!streq(index.images[i].digest, index.images[k].digest));
        }
        return 0;
}
