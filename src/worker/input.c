/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemes that inputs may have. */

#include "input.h"

#include "basic/string-util.h"

#include <errno.h>

static const InputScheme *const schemes[] = {
        &input_file,
        &input_s3,
};

int input_open(const char *uri, const InputContext *context, Input **ret, char **ret_error)
{
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                const char *rest = string_after(uri, schemes[i]->prefix);

                if (!rest)
                        continue;
                r = schemes[i]->open(rest, context, ret, ret_error);
                if (r == 0 || r == INPUT_FETCHING)
                        (*ret)->scheme = schemes[i];
                return r;
        }
        return error_set(ret_error, INPUT_BAD,
                         "inputs of this scheme are not known; file:///FOLDER/ and s3://BUCKET/FOLDER/ are");
}

Input *input_free(Input *input)
{
        if (input)
                input->scheme->free(input);
        return NULL;
}

int input_fill(Input *input, Buffer *out, size_t size_max, char **ret_error)
{
        return input->scheme->fill(input, out, size_max, ret_error);
}

char *input_progress(const Input *input)
{
        return input->scheme->progress ? input->scheme->progress(input) : NULL;
}
