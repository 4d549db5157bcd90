/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From blobs to a root file system: what happens in the process that is confined for it. */

#include "proto/image.h"

typedef struct ImageSource {
        char *digest;
        int fd;
} ImageSource;

#define IMAGE_ROOTFS "rootfs"

/* Checks the image whose manifest has the digest, and unpacks it into the folder IMAGE_ROOTFS below the
 * current one, where IMAGE_LAYOUT remains too. The caller is root of a namespace that can do nothing else.
 * `ret_record` is image.json. IMAGE_BAD with an error. */
int image_unpack(const char *digest, const ImageSource *sources, size_t n_sources, char **ret_record,
                 char **ret_error) _warn_unused_;
