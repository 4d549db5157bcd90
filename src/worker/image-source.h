/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The blobs of an image in an OCI layout, one after the other as open files: manifest, config, layers. Their
 * content is checked by sandboxd, not here. */

#include "basic/macro.h"

typedef struct ImageSource ImageSource;

/* Opens the image of that digest in an OCI layout. 0 with an image, or with *ret NULL and a new string that
 * says why it is not there; -errno where this process is at its end (memory, descriptors). */
int image_source_open(const char *layout_path, const char *digest, ImageSource **ret,
                      char **ret_error) _warn_unused_;
ImageSource *image_source_free(ImageSource *source);

/* The next blob: its digest (borrowed) and an open file, which is the caller's. */
enum {
        IMAGE_SOURCE_END = 1,
};
int image_source_next(ImageSource *source, const char **ret_digest, int *ret_fd) _warn_unused_;
