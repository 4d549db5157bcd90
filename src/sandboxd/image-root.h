/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Making an unpacked root file system fit to be run: checked and completed once, so that nothing writes to
 * it when it runs. */

#include "proto/image.h"

/* `root_fd` is the root folder; the caller is root of the namespace that its owners are mapped in, and
 * nobody else writes to the tree. Folders and files that sandboxes mount on are made, or checked to be what
 * they must be; /etc/passwd and its like are generated (`user` names the guest where it can); others may
 * read and execute what owners may; set-id bits, file capabilities, pipes and sockets are taken away.
 * IMAGE_BAD with an error that says which path is wrong, or that it holds more than `entries_max` files and
 * folders: layers that name fewer can make more. `ret_size` is what it occupies on disk. */
int image_root_prepare(int root_fd, const char *user, uint64_t entries_max, uint64_t *ret_size,
                       char **ret_error) _warn_unused_;
