/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The blobs of an image, each read once, from its start to its end: hashed, and checked against its name. */

#include "proto/image.h"
#include "tar-scan.h"

#define IMAGE_UNPACKED_SIZE_MAX (UINT64_C(16) << 30)
#define IMAGE_ENTRIES_MAX       UINT64_C(2000000)
#define IMAGE_NAME_BYTES_MAX    (UINT64_C(256) << 20) /* umoci holds each twice in memory */

/* What is left of an image's limits, for its layers together. */
typedef struct ImageBudget {
        uint64_t size; /* bytes of plain tar */
        TarUse tar;    /* files, folders, links, and what they are called */
} ImageBudget;

#define IMAGE_BUDGET_INIT                                                                            \
        {                                                                                            \
                .size = IMAGE_UNPACKED_SIZE_MAX, .tar = { IMAGE_ENTRIES_MAX, IMAGE_NAME_BYTES_MAX }, \
        }

/* Reads a blob of at most `size_max` bytes into memory (NUL added). `what` is its name in errors. IMAGE_BAD
 * with an error where it is not the blob of that digest. */
int image_read_blob(int fd, const char *digest, size_t size_max, const char *what, char **ret_data,
                    size_t *ret_size, char **ret_error) _warn_unused_;

/* Reads layer `number` and writes it as plain tar to `tar_fd`. IMAGE_BAD with an error where it has not the
 * size or digest that the manifest says, is not what the configuration's diff id says, or is no tar that an
 * image may hold. What was written is of use only when 0 is returned. */
int image_read_layer(int fd, const ImageBlob *layer, const char *diff_id, size_t number, int tar_fd,
                     ImageBudget *budget, char **ret_error) _warn_unused_;
