/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every step goes from an open folder to a name in it, and never follows a link: whatever a tree holds, what
 * is removed lies in it. */

#include "tree.h"

#include "fd-util.h"
#include "string-util.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static void closedirp(DIR **folder)
{
        if (*folder)
                closedir(*folder);
}

int tree_clear(int folder_fd)
{
        _cleanup_(closedirp) DIR *folder = NULL;
        int fd, r = 0;

        fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        folder = fdopendir(fd);
        if (!folder) {
                safe_close(fd);
                return -errno;
        }
        errno = 0;
        for (struct dirent *entry; r == 0 && (entry = readdir(folder)); errno = 0)
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = tree_remove(fd, entry->d_name);
        return r < 0 ? r : -errno;
}

int tree_remove(int folder_fd, const char *name)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = tree_clear(fd);
        if (r < 0)
                return r;
        return unlinkat(folder_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
