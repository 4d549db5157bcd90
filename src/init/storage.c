/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that a guest can write lies in one tmpfs, so that one limit of bytes and one of inodes hold for
 * all of it. Folders of that tmpfs are what the guest sees at its three writable places; its root is mounted
 * nowhere.
 *
 * The tmpfs is one page and one inode larger than the limits. So a guest may use all of what it was
 * promised, and one that asked for more is told apart by the last page or inode being gone: no guess from an
 * exit status or an error of its own is needed. What is not seen is space that is used and freed between two
 * looks, or asked for in one piece too large to be given (fallocate): such a guest got its error and never
 * held more than the limit.
 *
 * Nothing here follows a path of the guest's. Input is written before it exists, results are opened when it
 * is dead, beneath one folder, without symlinks, and only regular files with one name are read. */

#include "storage.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STORAGE_PAGE_SIZE 4096U
#define STORAGE_BASE      "/tmp" /* where the tmpfs is mounted while its folders are made */

static const struct {
        const char *name, *target;
        mode_t mode;
        bool is_input;
} places[] = {
        { "tmp", "/tmp", 01777, false },
        { "shm", "/dev/shm", 01777, false },
        { "iteration", STORAGE_INPUT_FOLDER, 0755, true },
};

#define STORAGE_OWN_INODES (ARRAY_SIZE(places) + 1U) /* the folders and the root */

static int open_beneath(int folder_fd, const char *path, uint64_t flags, mode_t mode)
{
        struct open_how how = {
                .flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
                .mode = mode,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : (int) fd;
}

/* A mount point: a real folder, whatever the image holds. */
static int open_mount_point(const char *path)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_NO_SYMLINKS,
        };
        long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        return fd < 0 ? -errno : (int) fd;
}

/* Makes a folder of the tmpfs and takes a mount of it alone, not yet at any place. */
static int detach_place(int base_fd, size_t i, uint32_t guest_id)
{
        uint32_t owner = places[i].is_input ? guest_id : 0;
        int fd;

        if (mkdirat(base_fd, places[i].name, 0700) < 0 ||
            fchmodat(base_fd, places[i].name, places[i].mode, 0) < 0 ||
            fchownat(base_fd, places[i].name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        fd = open_tree(base_fd, places[i].name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int attach(int tree_fd, const char *target)
{
        _cleanup_close_ int target_fd = open_mount_point(target);

        if (target_fd < 0)
                return target_fd;
        if (move_mount(tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return -errno;
        return 0;
}

static int mount_base(const InitSetup *setup)
{
        uint64_t n_pages = (setup->written_size + STORAGE_PAGE_SIZE - 1) / STORAGE_PAGE_SIZE + 1;
        uint64_t n_inodes = setup->inodes + STORAGE_OWN_INODES + 1;
        char options[128];

        (void) snprintf(options, sizeof(options), "mode=0755,size=%llu,nr_inodes=%llu",
                        (unsigned long long) (n_pages * STORAGE_PAGE_SIZE), (unsigned long long) n_inodes);
        return mount("tmpfs", STORAGE_BASE, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

/* Takes the mounts of all places; on failure those taken are the caller's to close all the same. */
static int detach_all(int *tree_fds, uint32_t guest_id)
{
        _cleanup_close_ int base_fd = open_mount_point(STORAGE_BASE);

        if (base_fd < 0)
                return base_fd;
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                tree_fds[i] = detach_place(base_fd, i, guest_id);
                if (tree_fds[i] < 0)
                        return tree_fds[i];
        }
        return umount2(STORAGE_BASE, MNT_DETACH) < 0 ? -errno : 0;
}

int storage_mount(Storage *storage, const InitSetup *setup, const char **ret_what)
{
        int tree_fds[ARRAY_SIZE(places)] = { -EBADF, -EBADF, -EBADF };
        int r;

        storage->guest_id = (uint32_t) setup->guest_id;
        *ret_what = "mount the writable file system";
        r = mount_base(setup);
        if (r < 0)
                return r;
        r = detach_all(tree_fds, storage->guest_id);
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                if (r >= 0) {
                        *ret_what = places[i].target;
                        r = attach(tree_fds[i], places[i].target);
                }
                safe_close(tree_fds[i]);
        }
        if (r < 0)
                return r;
        storage->folder_fd = open_mount_point(STORAGE_INPUT_FOLDER);
        return MIN(storage->folder_fd, 0);
}

static int make_folders(Storage *storage, const char *path)
{
        char folder[PATH_MAX];

        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *(char *) mempcpy(folder, path, (size_t) (slash - path)) = '\0';
                if (mkdirat(storage->folder_fd, folder, 0755) < 0) {
                        if (errno != EEXIST)
                                return -errno;
                        continue;
                }
                if (fchownat(storage->folder_fd, folder, storage->guest_id, storage->guest_id,
                             AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        }
        return 0;
}

int storage_begin_file(Storage *storage, const char *path, bool executable)
{
        int r;

        storage_end_file(storage);
        r = make_folders(storage, path);
        if (r < 0)
                return r;
        storage->file_fd = open_beneath(storage->folder_fd, path, O_WRONLY | O_CREAT | O_EXCL,
                                        executable ? 0755 : 0644);
        if (storage->file_fd < 0)
                return storage->file_fd;
        return fchown(storage->file_fd, storage->guest_id, storage->guest_id) < 0 ? -errno : 0;
}

int storage_append(Storage *storage, const void *data, size_t size)
{
        return write_all(storage->file_fd, data, size);
}

void storage_end_file(Storage *storage)
{
        storage->file_fd = safe_close(storage->file_fd);
}

int storage_measure(const Storage *storage, StorageUse *ret)
{
        struct statfs s;
        uint64_t n_inodes;

        if (fstatfs(storage->folder_fd, &s) < 0)
                return -errno;
        n_inodes = s.f_files - s.f_ffree;
        *ret = (StorageUse){
                .size = (s.f_blocks - s.f_bfree) * (uint64_t) s.f_bsize,
                .inodes = n_inodes - MIN(n_inodes, (uint64_t) STORAGE_OWN_INODES),
                .is_over = s.f_bfree == 0 || s.f_ffree == 0,
        };
        return 0;
}

static ResultState state_from_error(int error)
{
        switch (error) {
        case -ENOENT:
        case -ENOTDIR:
                return RESULT_MISSING;
        case -ELOOP: /* a symlink, at the end or on the way */
        case -EXDEV:
        case -ENXIO: /* a socket */
                return RESULT_NOT_REGULAR;
        default:
                return RESULT_UNREADABLE;
        }
}

ResultState storage_open_result(const Storage *storage, const char *name, uint64_t size_max, int *ret_fd,
                                uint64_t *ret_size)
{
        _cleanup_close_ int fd = open_beneath(storage->folder_fd, name, O_RDONLY | O_NONBLOCK, 0);
        struct stat s;

        if (fd < 0)
                return state_from_error(fd);
        if (fstat(fd, &s) < 0)
                return RESULT_UNREADABLE;
        if (!S_ISREG(s.st_mode) || s.st_nlink != 1)
                return RESULT_NOT_REGULAR;
        if ((uint64_t) s.st_size > size_max)
                return RESULT_TOO_LARGE;
        *ret_fd = TAKE_FD(fd);
        *ret_size = (uint64_t) s.st_size;
        return RESULT_OK;
}
