/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading folders. What is in one is gone through like this:
 *
 *     r = folder_open(parent_fd, name, &folder);
 *     while (r == 0 && (r = folder_next(folder, &entry)) > 0)
 *             r = take(dirfd(folder), entry->d_name);
 */

#include "macro.h"

#include <dirent.h>

static inline void closedirp(DIR **folder)
{
        if (*folder)
                (void) closedir(*folder);
}

#define _cleanup_folder_ _cleanup_(closedirp)

/* Opens the folder `name` of another (or of AT_FDCWD), which may be `.`; no link in its
 * place is followed. */
int folder_open(int parent_fd, const char *name, DIR **ret) _warn_unused_;
/* The next entry that is neither `.` nor `..`: 1 with it, 0 at the end, or -errno. */
int folder_next(DIR *folder, struct dirent **ret) _warn_unused_;
