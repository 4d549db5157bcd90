/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations of base images. */

#include "fuzz.h"

#include "builder/base-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *reason = NULL;
        int r = base_config_check((const char *) data, size, &reason);

        expect(r == 0 || r == BASE_CONFIG_BAD);
        expect((r == BASE_CONFIG_BAD) == (reason != NULL));
        return 0;
}
