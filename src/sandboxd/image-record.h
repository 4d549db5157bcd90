/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store keeps about an image beside its root file system: image.json. */

#include "proto/image.h"

/* Of image.json, and of the part of it that an answer holds. */
#define IMAGE_RECORD_SIZE_MAX (128U * 1024U)
#define IMAGE_ANSWER_SIZE_MAX (40U * 1024U)

typedef struct ImageRecord {
        ImageConfig config;
        uint64_t size; /* on disk, in bytes */
} ImageRecord;

void image_record_done(ImageRecord *record);

/* Pure. IMAGE_BAD where it is no record. */
int image_record_parse(const char *text, size_t size, ImageRecord *ret) _warn_unused_;
/* Pure. A new string. IMAGE_BAD with an error where it comes to more than fits. */
int image_record_format(const ImageRecord *record, char **ret_text, char **ret_error) _warn_unused_;

/* Of a path inside the image. */
typedef struct ImageProbe {
        const char *path, *kind; /* borrowed; `kind` is NULL where there is nothing */
} ImageProbe;

/* Pure: what the answer to an install says. A new string. */
int image_record_describe(const ImageRecord *record, const ImageProbe *probes, size_t n_probes,
                          char **ret_text) _warn_unused_;
