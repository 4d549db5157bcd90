/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where an input of the form file:///FOLDER/ lies. Pure. */

#include "basic/macro.h"

/* What is after `file://`: an absolute path with %XX for what is no plain character. *ret_path is a new
 * string, as it is to be opened. 0, -ENOMEM, or FILE_URI_BAD. */
enum {
        FILE_URI_BAD = 1,
};
int file_uri_parse(const char *rest, char **ret_path) _warn_unused_;

/* The path relative to a folder, borrowed, `.` for the folder itself; NULL where its text is not below it.
 * It may hold `..`: who opens it must not follow that out of the folder. */
const char *file_path_below(const char *path, const char *folder);
