/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Removing what others made: files with any owner, mode and name, folders inside each other, however deep: a
 * few descriptors are enough. */

#include "macro.h"

/* Removes a file or a folder with all it holds; no link is followed. That it is not there is no error. */
int tree_remove(int folder_fd, const char *name) _warn_unused_;
/* Removes what a folder holds. */
int tree_clear(int folder_fd) _warn_unused_;
