/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record is written by the process that unpacked the image, so it is read like anything that an image
 * says. */

#include "image-record.h"

#include "proto/json-fields.h"
#include "proto/name.h"

#include "basic/string-util.h"

#include <errno.h>

static const JsonField CONFIG_FIELDS[] = {
        { "entrypoint", &field_texts, offsetof(ImageConfig, entrypoint), .optional = true },
        { "environment", &field_texts, offsetof(ImageConfig, environment), .optional = true },
        { "folder", &field_text, offsetof(ImageConfig, folder) },
        { "user", &field_text, offsetof(ImageConfig, user) },
};
static const JsonTable CONFIG = JSON_TABLE(ImageConfig, CONFIG_FIELDS);

static const JsonField RECORD_FIELDS[] = {
        { "config", &field_struct, offsetof(ImageRecord, config), .table = &CONFIG },
        { "diff_ids", &field_texts, offsetof(ImageRecord, config.diff_ids), .is_valid = digest_is_valid,
          .form = "a digest" },
        { "size", &field_uint, offsetof(ImageRecord, size) },
};
static const JsonTable RECORD = JSON_TABLE(ImageRecord, RECORD_FIELDS);

void image_record_done(ImageRecord *record)
{
        image_config_done(&record->config);
        *record = (ImageRecord){};
}

int image_record_parse(const char *text, size_t size, ImageRecord *ret)
{
        _cleanup_(image_record_done) ImageRecord record = {};
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = json_object_from_bytes(text, size, &object, &error);
        if (r == 0)
                r = json_read(&RECORD, object, &record, &error);
        if (r != 0)
                return r < 0 ? r : IMAGE_BAD;
        *ret = record;
        record = (ImageRecord){};
        return 0;
}

int image_record_format(const ImageRecord *record, char **ret_text, char **ret_error)
{
        _cleanup_json_ json_object *object = json_write(&RECORD, record),
                                   *config = json_write(&CONFIG, &record->config);
        const char *text = object ? json_object_text(object) : NULL;
        const char *answer = config ? json_object_text(config) : NULL;

        if (!text || !answer)
                return -ENOMEM;
        if (strlen(answer) > IMAGE_ANSWER_SIZE_MAX)
                return error_set(ret_error, IMAGE_BAD, "the configuration's texts are too long");
        *ret_text = strdup(text);
        return *ret_text ? 0 : -ENOMEM;
}

static json_object *probes_to_json(const ImageProbe *probes, size_t n)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        for (size_t i = 0; object && i < n; i++)
                if (json_add_text(object, probes[i].path, probes[i].kind) < 0)
                        return NULL;
        return TAKE_PTR(object);
}

int image_record_describe(const ImageRecord *record, const ImageProbe *probes, size_t n_probes,
                          char **ret_text)
{
        _cleanup_json_ json_object *answer = json_object_new_object(),
                                   *config = json_write(&CONFIG, &record->config),
                                   *probed = probes_to_json(probes, n_probes);
        const char *text;

        if (!answer || !config || !probed || json_add(answer, "config", TAKE_PTR(config)) < 0 ||
            json_add(answer, "probed", TAKE_PTR(probed)) < 0 ||
            json_add_uint(answer, "size", record->size) < 0)
                return -ENOMEM;
        text = json_object_text(answer);
        *ret_text = text ? strdup(text) : NULL;
        return *ret_text ? 0 : -ENOMEM;
}
