/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "folder.h"

#include "fd-util.h"
#include "string-util.h"

#include <fcntl.h>

int folder_open(int parent_fd, const char *name, DIR **ret)
{
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *folder = fd < 0 ? NULL : fdopendir(fd);

        if (!folder)
                return -errno;
        (void) TAKE_FD(fd);
        *ret = folder;
        return 0;
}

int folder_next(DIR *folder, struct dirent **ret)
{
        struct dirent *entry;

        do {
                errno = 0;
                entry = readdir(folder);
        } while (entry && (streq(entry->d_name, ".") || streq(entry->d_name, "..")));
        if (!entry)
                return -errno;
        *ret = entry;
        return 1;
}
