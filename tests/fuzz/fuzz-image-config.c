/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations of images: what is accepted can be a guest's arguments, environment and folder, and is the
 * same after it went through the store's record. */

#include "fuzz.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "sandboxd/image-record.h"

static void expect_same(char *const *a, char *const *b)
{
        expect(strv_length(a) == strv_length(b));
        for (; a && *a; a++, b++)
                expect(streq(*a, *b));
}

/* Takes the configuration. */
static void record_and_back(ImageConfig *config)
{
        _cleanup_(image_record_done) ImageRecord record = { .config = *config, .size = 1 }, read = {};
        _cleanup_free_ char *text = NULL, *error = NULL;
        int r;

        *config = (ImageConfig){};
        r = image_record_format(&record, &text, &error);
        expect(r == 0 || (r == IMAGE_BAD && error));
        if (r != 0)
                return;
        expect(image_record_parse(text, strlen(text), &read) == 0);
        expect_same(record.config.entrypoint, read.config.entrypoint);
        expect_same(record.config.environment, read.config.environment);
        expect(streq(record.config.folder, read.config.folder) &&
               streq(record.config.user, read.config.user));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(image_config_done) ImageConfig config = {};
        _cleanup_free_ char *error = NULL;
        int r;

        r = image_config_parse((const char *) data, size, &config, &error);
        expect(r == 0 || r == IMAGE_BAD);
        expect((r == IMAGE_BAD) == (error != NULL));
        if (r != 0)
                return 0;
        expect(config.folder[0] == '/' && !strstr(config.folder, "/../") &&
               !string_ends_with(config.folder, "/.."));
        expect(!config.entrypoint || config.entrypoint[0][0] != '\0');
        for (char **entry = config.environment; entry && *entry; entry++)
                expect(strchr(*entry, '=') > *entry);
        for (char **id = config.diff_ids; id && *id; id++)
                expect(digest_hex(*id));
        record_and_back(&config);
        return 0;
}
