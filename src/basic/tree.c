/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every step goes from an open folder to a name in it, and never follows a link: whatever a tree holds, what
 * is removed lies in it. */

#include "tree.h"

#include "fd-util.h"
#include "folder.h"

#include <fcntl.h>
#include <unistd.h>

int tree_clear(int folder_fd)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(folder_fd, ".", &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = tree_remove(dirfd(folder), entry->d_name);
        return r;
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
