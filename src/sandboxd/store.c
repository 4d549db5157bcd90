/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image is there when its folder is in `images`: it comes by a rename from `incoming`, whole and on the
 * disk, and goes by a rename to `removed`. So a crash leaves nothing half made where somebody would look for
 * it, and what it leaves elsewhere is removed at the next start. The folders belong to the daemon, what is
 * in them to the images' owners; all their ids are in the daemon's user namespace, and it holds the
 * capability to write there, so no image can keep its files from being removed. */

#include "store-private.h"

#include "image-record.h"
#include "image-unpack.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_FILE      ".lock"
#define NAME_PREFIX    "sha256-"
#define PROBES_MAX     16U
#define PROBE_SIZE_MAX 512U
#define FOLDER_MODE    0711 /* containers pass through, and cannot list */

/* Folders */

static int open_folder(const char *folder, Store *store)
{
        static const char *const parts[] = { STORE_IMAGES, STORE_INCOMING, STORE_REMOVED };

        if (mkdir(folder, FOLDER_MODE) < 0 && errno != EEXIST)
                return -errno;
        store->folder = realpath(folder, NULL);
        if (!store->folder)
                return -errno;
        store->folder_fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->folder_fd < 0)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if (mkdirat(store->folder_fd, parts[i], FOLDER_MODE) < 0 && errno != EEXIST)
                        return -errno;
        store->lock_fd =
                openat(store->folder_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (store->lock_fd < 0)
                return -errno;
        if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        return 0;
}

static int list_folder(int folder_fd, const char *name, char ***ret)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(folder_fd, name, &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = entry->d_name[0] == '.' ? 0 : strv_extend(&names, entry->d_name);
        if (r == 0)
                *ret = TAKE_PTR(names);
        return r;
}

/* Whatever an earlier process had under way. */
static int discard_incoming(Store *store)
{
        _cleanup_(strv_freep) char **names = NULL;
        int r;

        r = list_folder(store->folder_fd, STORE_INCOMING, &names);
        for (char **name = names; r == 0 && name && *name; name++) {
                _cleanup_free_ char *path = string_format(STORE_INCOMING "/%s", *name);

                r = path ? store_discard(store, path) : -ENOMEM;
        }
        return r;
}

int store_open(const char *folder, const Identity *identity, sd_event *event, Store **ret)
{
        _cleanup_(store_freep) Store *store = calloc(1, sizeof(Store));
        int r;

        if (!store)
                return -ENOMEM;
        store->folder_fd = store->lock_fd = -EBADF;
        store->identity = *identity;
        store->event = sd_event_ref(event);
        r = open_folder(folder, store);
        if (r < 0)
                return r;
        r = discard_incoming(store);
        if (r < 0)
                return r;
        r = store_sweep(store);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

Store *store_free(Store *store)
{
        if (!store)
                return NULL;
        assert(store->n_installs == 0);
        child_free(store->sweeper);
        sd_event_unref(store->event);
        safe_close(store->folder_fd);
        safe_close(store->lock_fd);
        free(store->folder);
        free(store);
        return NULL;
}

/* Removing */

int store_discard(Store *store, const char *path)
{
        _cleanup_free_ char *random = random_hex(16), *target = NULL;

        target = random ? string_format(STORE_REMOVED "/%s", random) : NULL;
        if (!target)
                return -ENOMEM;
        if (renameat(store->folder_fd, path, store->folder_fd, target) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

static int sweep(void *userdata)
{
        const Store *store = userdata;
        int fd = openat(store->folder_fd, STORE_REMOVED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 || tree_clear(fd) < 0;
}

static void on_swept(Child *child, int status, void *userdata)
{
        Store *store = userdata;

        store->sweeper = child_free(child);
        if (store->sweeps_again)
                (void) store_sweep(store); /* else it is done at the next start */
}

int store_sweep(Store *store)
{
        if (store->sweeper) {
                store->sweeps_again = true;
                return 0;
        }
        store->sweeps_again = false;
        return child_start(store->event, sweep, on_swept, store, &store->folder_fd, 1, &store->sweeper);
}

int store_remove(Store *store, const char *digest)
{
        _cleanup_free_ char *rootfs = NULL, *path = NULL;
        int r;

        r = store_find(store, digest, &rootfs);
        if (r != 0)
                return r;
        path = store_image_path(digest);
        if (!path)
                return -ENOMEM;
        r = store_discard(store, path);
        return r < 0 ? r : store_sweep(store);
}

/* Looking */

char *store_image_path(const char *digest)
{
        return string_format(STORE_IMAGES "/" NAME_PREFIX "%s", digest_hex(digest));
}

int store_find(const Store *store, const char *digest, char **ret_rootfs)
{
        _cleanup_free_ char *path = NULL, *rootfs = NULL;

        if (!digest_hex(digest))
                return STORE_BAD_DIGEST;
        path = store_image_path(digest);
        rootfs = path ? string_format("%s/%s/" IMAGE_ROOTFS, store->folder, path) : NULL;
        if (!rootfs)
                return -ENOMEM;
        if (faccessat(store->folder_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? STORE_MISSING : -errno;
        *ret_rootfs = TAKE_PTR(rootfs);
        return 0;
}

int store_images(const Store *store, char ***ret)
{
        _cleanup_(strv_freep) char **names = NULL, **digests = NULL;
        int r;

        r = list_folder(store->folder_fd, STORE_IMAGES, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                const char *hex = string_after(*name, NAME_PREFIX);
                _cleanup_free_ char *digest = NULL;

                if (!hex)
                        continue;
                digest = string_format(DIGEST_PREFIX "%s", hex);
                r = digest ? strv_extend(&digests, digest) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(digests);
        return 0;
}

/* Use */

int store_used(const Store *store, const char *digest, usec_t *ret_usec)
{
        _cleanup_free_ char *path = digest_hex(digest) ? store_image_path(digest) : NULL;
        struct stat st;

        if (!path)
                return digest_hex(digest) ? -ENOMEM : STORE_BAD_DIGEST;
        if (fstatat(store->folder_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? STORE_MISSING : -errno;
        *ret_usec = (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t) st.st_mtim.tv_nsec / 1000;
        return 0;
}

int store_touch(const Store *store, const char *digest)
{
        _cleanup_free_ char *path = digest_hex(digest) ? store_image_path(digest) : NULL;

        if (!path)
                return digest_hex(digest) ? -ENOMEM : STORE_BAD_DIGEST;
        if (utimensat(store->folder_fd, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? STORE_MISSING : -errno;
        return 0;
}

int store_free_size(const Store *store, uint64_t *ret)
{
        struct statvfs fs;

        if (fstatvfs(store->folder_fd, &fs) < 0)
                return -errno;
        *ret = (uint64_t) fs.f_bavail * fs.f_frsize;
        return 0;
}

/* Describing */

static int read_record(const Store *store, const char *digest, ImageRecord *ret)
{
        _cleanup_free_ char *folder = store_image_path(digest), *path = NULL, *text = NULL;
        size_t size;
        int r;

        path = folder ? string_format("%s/" STORE_RECORD, folder) : NULL;
        if (!path)
                return -ENOMEM;
        r = read_file_at(store->folder_fd, path, IMAGE_RECORD_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? STORE_MISSING : r;
        r = image_record_parse(text, size, ret);
        return r == IMAGE_BAD ? -EBADMSG : r;
}

static bool probe_is_valid(const char *path)
{
        if (path[0] != '/' || strlen(path) > PROBE_SIZE_MAX)
                return false;
        for (; *path; path++)
                if (*path < ' ' || *path > '~')
                        return false;
        return true;
}

/* The image's links lead to where they would inside. */
static const char *probe(int root_fd, const char *path)
{
        const struct open_how how = {
                .flags = O_PATH | O_CLOEXEC,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        _cleanup_close_ int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return NULL;
        if (S_ISDIR(st.st_mode))
                return "folder";
        if (!S_ISREG(st.st_mode))
                return NULL;
        return st.st_mode & S_IXOTH ? "executable" : "file";
}

int store_describe(const Store *store, const char *digest, char *const *paths, char **ret_json)
{
        _cleanup_(image_record_done) ImageRecord record = {};
        _cleanup_free_ char *rootfs = NULL;
        _cleanup_close_ int root_fd = -EBADF;
        ImageProbe probes[PROBES_MAX];
        size_t n = 0;
        int r;

        r = store_find(store, digest, &rootfs);
        if (r != 0)
                return r;
        r = read_record(store, digest, &record);
        if (r != 0)
                return r;
        root_fd = open(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        for (; paths && *paths; paths++) {
                if (n == PROBES_MAX || !probe_is_valid(*paths))
                        return STORE_BAD_PROBE;
                probes[n++] = (ImageProbe){ *paths, probe(root_fd, *paths) };
        }
        return image_record_describe(&record, probes, n, ret_json);
}
