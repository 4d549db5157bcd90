/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI layout that umoci unpacks from: made anew from what was checked, below the current folder. */

#include "basic/macro.h"

#define IMAGE_LAYOUT        "oci"
#define IMAGE_LAYOUT_SOURCE IMAGE_LAYOUT ":image" /* as umoci wants to be told */

/* Makes an empty one. */
int image_layout_init(void) _warn_unused_;

/* Makes the file of a layer, a plain tar, for writing.
 *   IMAGE_LAYOUT_EXISTS  the same layer was made before */
enum {
        IMAGE_LAYOUT_EXISTS = 1,
};
int image_layout_make_layer(const char *diff_id, int *ret_fd) _warn_unused_;

/* Completes it: an image of these layers, the lowest first, each of them made. */
int image_layout_finish(char *const *diff_ids) _warn_unused_;
