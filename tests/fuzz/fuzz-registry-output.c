/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What pipeline-registry says, line by line: an answer has a status of three digits with a reason, or none
 * and what was asked for, in its form. */

#include "fuzz.h"

#include "shared/registry-output.h"

#include "basic/digest.h"
#include "basic/string-util.h"

#define REASON_SHOWN_MAX 1600U /* 400 bytes, each as \xNN at most */

static void check_answer(const RegistryOutput *output)
{
        RegistryAnswer answer;

        registry_output_answer(output, &answer);
        expect(answer.code == 0 || (answer.code >= 100 && answer.code <= 999));
        expect((answer.code != 0) == (answer.error != NULL));
        expect(answer.code == 0 || (!answer.digest && !answer.layout && !answer.images));
        expect(!answer.digest || digest_hex(answer.digest));
        expect(!answer.layout || answer.layout[0] == '/');
        expect(!answer.images || json_object_is_type(answer.images, json_type_object));
        expect(output->answer || answer.code == 503);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(registry_output_done) RegistryOutput output = {};
        _cleanup_free_ char *text = strndup((const char *) data, size);
        char *rest = text;

        expect(text);
        check_answer(&output);
        for (char *line; (line = strsep(&rest, "\n"));) {
                uint64_t done_size, total_size;
                int r = registry_output_take(&output, line, &done_size, &total_size);

                expect(r == 0 || r == REGISTRY_PROGRESS);
                expect(r == 0 || strstr(line, "done") || strchr(line, '\\'));
                expect(!output.answer || json_object_is_type(output.answer, json_type_object));
        }
        for (const char *c = output.reason; c && *c; c++)
                expect((unsigned char) *c >= ' ' && *c != 0x7f);
        expect(!output.reason || strlen(output.reason) <= REASON_SHOWN_MAX);
        check_answer(&output);
        return 0;
}
