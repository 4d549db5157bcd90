/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every fuzzer has. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must be so, whatever the input is. */
static inline void expect(bool condition)
{
        if (!condition)
                abort();
}
