/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every step goes from an open folder to a name in it, and never follows a link: whatever a tree holds, what
 * is removed lies in it. How deep a tree is was chosen by whoever made it, and descriptors and the stack are
 * few: what lies deeper than DEPTH_MAX is moved up into the top folder, and its turn comes there. */

#include "tree.h"

#include "fd-util.h"
#include "folder.h"
#include "string-util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX      16U /* folders that are open at once */
#define NAME_SIZE      16U /* of random bytes: no name that is there */
#define LINK_PATH_SIZE 40U

typedef struct Clearing {
        int top_fd; /* borrowed */
        bool has_moved;
} Clearing;

/* A folder's owner may have forbidden even himself to read and to change it; who may not change that is told
 * by the next step. */
static void permit(int folder_fd, const char *name)
{
        _cleanup_close_ int fd = openat(folder_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char path[LINK_PATH_SIZE];
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IRWXU) == S_IRWXU)
                return;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        (void) chmod(path, S_IRWXU);
}

static int move_up(Clearing *clearing, int folder_fd, const char *name)
{
        _cleanup_free_ char *fresh = random_hex(NAME_SIZE);

        if (!fresh)
                return -ENOMEM;
        if (renameat(folder_fd, name, clearing->top_fd, fresh) < 0)
                return errno == ENOENT ? 0 : -errno;
        clearing->has_moved = true;
        return 0;
}

static int remove_entry(Clearing *clearing, int folder_fd, const char *name, unsigned depth)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r;

        if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        permit(folder_fd, name);
        if (depth == DEPTH_MAX)
                return move_up(clearing, folder_fd, name);
        r = folder_open(folder_fd, name, &folder);
        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = remove_entry(clearing, dirfd(folder), entry->d_name, depth + 1);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return unlinkat(folder_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int tree_clear(int folder_fd)
{
        Clearing clearing = { .top_fd = folder_fd };
        int r;

        do {
                _cleanup_folder_ DIR *folder = NULL;
                struct dirent *entry;

                clearing.has_moved = false;
                r = folder_open(folder_fd, ".", &folder);
                while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                        r = remove_entry(&clearing, dirfd(folder), entry->d_name, 1);
        } while (r == 0 && clearing.has_moved);
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
        permit(folder_fd, name);
        fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = tree_clear(fd);
        if (r < 0)
                return r;
        return unlinkat(folder_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
