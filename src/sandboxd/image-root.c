/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image may hold anything: a link where a mount point should be, by which a mount would land elsewhere;
 * files that only their owner may read, when the guest is never the owner; set-id programs; pipes, through
 * which guests of the same image could talk. All of it is settled here, before the image can be run, and
 * never again: a tree that passed is not written to any more. Nothing here follows a link of the image. */

#include "image-root.h"

#include "rootless/identity.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX     256U
#define NAME_SIZE_MAX 32U
#define GUEST_NAME    "guest"
#define BLOCK_SIZE    512U

/* Every one is a real folder, made where it is missing. */
static const char *const FOLDERS[] = {
        "dev", "etc", "mnt", "mnt/exercism-iteration", "proc", "run", "sys", "tmp",
};

static int open_beneath(int root_fd, const char *path, int flags)
{
        const struct open_how how = {
                .flags = (uint64_t) (flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* What sandboxes mount on */

/* The parents were made, and so checked, before: mkdirat() meets no link on the way. */
static int make_folder(int root_fd, const char *path, char **ret_error)
{
        _cleanup_close_ int fd = -EBADF;

        if (mkdirat(root_fd, path, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd == -ELOOP || fd == -ENOTDIR)
                return error_set(ret_error, IMAGE_BAD,
                                 "/%s must be a folder of the image, and is a link or a file", path);
        if (fd < 0)
                return fd;
        return fchmod(fd, 0755) < 0 ? -errno : 0;
}

/* Replaces whatever has the name, unless that is a folder. */
static int write_file(int root_fd, const char *path, const char *text, char **ret_error)
{
        _cleanup_close_ int fd = -EBADF;

        if (unlinkat(root_fd, path, 0) < 0 && errno == EISDIR)
                return error_set(ret_error, IMAGE_BAD, "/%s must be a file, and is a folder", path);
        fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0644) < 0)
                return -errno;
        return write_all(fd, text, strlen(text));
}

/* Names */

/* The name in `NAME`, `NAME:GROUP`; a number, or a name that is somebody else's, is none for the guest. */
static void guest_name(const char *user, char *ret)
{
        static const char first[] = "abcdefghijklmnopqrstuvwxyz_",
                          rest[] = "abcdefghijklmnopqrstuvwxyz_0123456789-";
        size_t n = strcspn(user, ":");

        memcpy(ret, GUEST_NAME, sizeof(GUEST_NAME));
        if (n == 0 || n > NAME_SIZE_MAX || !strchr(first, user[0]) || strspn(user, rest) < n)
                return;
        if ((n == 4 && memcmp(user, "root", n) == 0) || (n == 6 && memcmp(user, "nobody", n) == 0))
                return;
        *(char *) mempcpy(ret, user, n) = '\0';
}

static int write_names(int root_fd, const char *user, char **ret_error)
{
        char name[NAME_SIZE_MAX + 1];
        _cleanup_free_ char *passwd = NULL, *group = NULL;
        int r;

        guest_name(user, name);
        passwd = string_format("root:x:0:0:root:/root:/bin/sh\n"
                               "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
                               "%s:x:%u:%u::/tmp:/bin/sh\n",
                               name, IDENTITY_GUEST_ID, IDENTITY_GUEST_ID);
        group = string_format("root:x:0:\nnogroup:x:65534:\n%s:x:%u:\n", name, IDENTITY_GUEST_ID);
        if (!passwd || !group)
                return -ENOMEM;
        r = write_file(root_fd, "etc/passwd", passwd, ret_error);
        return r != 0 ? r : write_file(root_fd, "etc/group", group, ret_error);
}

static int complete(int root_fd, const char *user, char **ret_error)
{
        static const struct {
                const char *path, *text;
        } files[] = {
                { ".pipeline-init", "" }, /* the program is mounted on it */
                { "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" },
                { "etc/resolv.conf", "" },
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(FOLDERS) && r == 0; i++)
                r = make_folder(root_fd, FOLDERS[i], ret_error);
        for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++)
                r = write_file(root_fd, files[i].path, files[i].text, ret_error);
        return r != 0 ? r : write_names(root_fd, user, ret_error);
}

/* The whole tree */

/* Others get what the owner has of reading and executing, and nobody a set-id bit. */
static mode_t settled_mode(mode_t mode)
{
        mode_t wanted = mode & (S_IRWXU | S_IRWXG | S_IROTH | S_IXOTH);

        if (S_ISDIR(mode) && (mode & S_ISVTX))
                wanted |= mode & (S_ISVTX | S_IWOTH);
        return wanted | (mode & (S_IRUSR | S_IXUSR)) >> 6;
}

typedef struct Walk {
        uint64_t size;
        uint64_t entries, entries_max;
        char *error;
} Walk;

static int walk_folder(Walk *walk, int folder_fd, unsigned depth);

static int walk_entry(Walk *walk, int folder_fd, const char *name, unsigned depth)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (++walk->entries > walk->entries_max)
                return error_set(&walk->error, IMAGE_BAD,
                                 "the image has more than %" PRIu64 " files and folders", walk->entries_max);
        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        walk->size += (uint64_t) st.st_blocks * BLOCK_SIZE / (S_ISREG(st.st_mode) ? st.st_nlink : 1);
        if (S_ISLNK(st.st_mode))
                return 0;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return unlinkat(folder_fd, name, 0) < 0 ? -errno : 0;
        fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if ((st.st_mode & 07777) != settled_mode(st.st_mode) && fchmod(fd, settled_mode(st.st_mode)) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return walk_folder(walk, fd, depth + 1);
        return fremovexattr(fd, "security.capability") < 0 && errno != ENODATA && errno != ENOTSUP ? -errno
                                                                                                   : 0;
}

static int walk_folder(Walk *walk, int folder_fd, unsigned depth)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r;

        if (depth > DEPTH_MAX)
                return error_set(&walk->error, IMAGE_BAD, "the image has folders more than %u deep",
                                 DEPTH_MAX);
        r = folder_open(folder_fd, ".", &folder);
        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = walk_entry(walk, dirfd(folder), entry->d_name, depth);
        return r;
}

int image_root_prepare(int root_fd, const char *user, uint64_t entries_max, uint64_t *ret_size,
                       char **ret_error)
{
        Walk walk = { .entries_max = entries_max };
        int r;

        if (fchmod(root_fd, 0755) < 0)
                return -errno;
        r = complete(root_fd, user, ret_error);
        if (r != 0)
                return r;
        r = walk_folder(&walk, root_fd, 0);
        if (r == IMAGE_BAD)
                *ret_error = walk.error;
        if (r == 0)
                *ret_size = walk.size;
        return r;
}
