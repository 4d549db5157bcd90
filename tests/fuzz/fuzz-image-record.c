/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* image.json, as whoever unpacked an image may have written it: what was read, written and read again, is
 * the same, and what an answer says of it is an object of bounded size. */

#include "fuzz.h"

#include "sandboxd/image-record.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"

static void check_answer(const ImageRecord *record)
{
        static const ImageProbe probes[] = { { "/bin/run.sh", "file" }, { "/none", NULL } };
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *text = NULL, *error = NULL;

        expect(image_record_describe(record, probes, ARRAY_SIZE(probes), &text) == 0);
        expect(json_object_from_bytes(text, strlen(text), &object, &error) == 0);
        expect(json_object_is_type(json_object_object_get(object, "config"), json_type_object));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(image_record_done) ImageRecord record = {}, back = {};
        _cleanup_free_ char *text = NULL, *again = NULL, *error = NULL;
        int r = image_record_parse((const char *) data, size, &record);

        expect(r == 0 || r == IMAGE_BAD);
        if (r != 0)
                return 0;
        expect(record.config.folder && record.config.user && record.size <= INT64_MAX);
        for (char **id = record.config.diff_ids; id && *id; id++)
                expect(digest_hex(*id));
        check_answer(&record);
        r = image_record_format(&record, &text, &error);
        expect((r == 0 || r == IMAGE_BAD) && (r == IMAGE_BAD) == (error != NULL));
        if (r != 0)
                return 0;
        expect(image_record_parse(text, strlen(text), &back) == 0);
        expect(image_record_format(&back, &again, &error) == 0 && streq(text, again));
        return 0;
}
