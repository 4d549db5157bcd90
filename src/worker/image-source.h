/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The blobs of an image in an OCI layout, one after the other as open files: manifest, config, layers. Their
 * content is checked by sandboxd, not here. */

#include "basic/macro.h"

typedef struct ImageSource ImageSource;

/* Where to look: an OCI layout of this process's own, or that of a track in the embedded registry, which its
 * writers must not lead out of with links. */
typedef struct ImagePlace {
        const char *layout; /* a path; NULL: */
        const char *registry, *channel, *track;
} ImagePlace;

/* Opens the image of that digest. 0 with an image, or with *ret NULL and a new string that says why it is
 * not there; -errno where this process is at its end (memory, descriptors). */
int image_source_open(const ImagePlace *place, const char *digest, ImageSource **ret,
                      char **ret_error) _warn_unused_;
ImageSource *image_source_free(ImageSource *source);

/* The next blob: its digest (borrowed) and an open file, which is the caller's. */
enum {
        IMAGE_SOURCE_END = 1,
};
int image_source_next(ImageSource *source, const char **ret_digest, int *ret_fd) _warn_unused_;
