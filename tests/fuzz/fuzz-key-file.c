/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of keys: what is taken is whole, and what is wrong is told without a piece of the text. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "shared/key-file.h"

static bool is_key_or_nothing(const char *text)
{
        return text[0] == '\0' || strnlen(text, KEY_TEXT_SIZE) == KEY_TEXT_SIZE - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(key_file_done) KeyFile file = {};
        _cleanup_free_ char *error = NULL;
        int r = key_file_parse((const char *) data, size, &file, &error);

        expect(r == 0 || r == KEY_BAD);
        expect((r == KEY_BAD) == (error != NULL));
        expect(is_key_or_nothing(file.public) && is_key_or_nothing(file.secret) &&
               is_key_or_nothing(file.router));
        expect(strv_length(file.roles) <= KEY_N_LIST_MAX && strv_length(file.workers) <= KEY_N_LIST_MAX);
        return 0;
}
