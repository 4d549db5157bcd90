/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nobody writes in a folder while it is settled; while it is measured somebody may, and then what is not
 * there any more counts nothing. */

#include "cache.h"

#include "build-inside.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_SUFFIX   ".size"
#define SIZE_TEXT_MAX 32U
#define BLOCK_SIZE    512U
#define DEPTH_MAX     300U /* of folders: more than those of an image and of what it lies in */
#define SEEN_BITS     16U
#define SEEN_MAX      (1U << SEEN_BITS) /* files with several names; further ones count once a name */
#define SPREAD        UINT64_C(0x9e3779b97f4a7c15)

int cache_prepare(int cache_fd, const char *name, const Identity *identity)
{
        if (mkdirat(cache_fd, name, 0700) < 0)
                return errno == EEXIST ? 0 : -errno;
        if (fchownat(cache_fd, name, identity->uids.image[0].host, identity->gids.image[0].host,
                     AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

typedef struct Measure {
        uint64_t bytes;
        ino_t *seen; /* SEEN_MAX, a hash table; 0: nothing there */
        size_t n_seen;
} Measure;

/* A file with several names counts once for all that are met: of a share for each, names that are moved away
 * meanwhile would take theirs along. */
static bool was_seen(Measure *measure, const struct stat *st)
{
        size_t i = (size_t) ((uint64_t) st->st_ino * SPREAD >> (64 - SEEN_BITS));

        if (!S_ISREG(st->st_mode) || st->st_nlink < 2)
                return false;
        for (; measure->seen[i] != 0; i = (i + 1) % SEEN_MAX)
                if (measure->seen[i] == st->st_ino)
                        return true;
        if (measure->n_seen < SEEN_MAX / 2) {
                measure->seen[i] = st->st_ino;
                measure->n_seen++;
        }
        return false;
}

/* False: there is more than was gone through. */
static bool add(Measure *measure, int folder_fd, const char *name, unsigned depth)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        struct stat st;
        int r;

        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT;
        if (!was_seen(measure, &st))
                measure->bytes += (uint64_t) st.st_blocks * BLOCK_SIZE;
        if (!S_ISDIR(st.st_mode))
                return true;
        r = depth < DEPTH_MAX ? folder_open(folder_fd, name, &folder) : -ELOOP;
        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = add(measure, dirfd(folder), entry->d_name, depth + 1) ? 0 : -ELOOP;
        return r == 0 || r == -ENOENT;
}

int cache_measure(int cache_fd, const char *name, uint64_t *ret_bytes)
{
        _cleanup_free_ ino_t *seen = calloc(SEEN_MAX, sizeof(ino_t));
        Measure measure = { .seen = seen };

        if (!seen)
                return -ENOMEM;
        *ret_bytes = add(&measure, cache_fd, name, 0) ? measure.bytes : CACHE_ENDLESS;
        return 0;
}

static int write_size(int cache_fd, const char *name, uint64_t bytes)
{
        _cleanup_free_ char *path = string_format("%s" SIZE_SUFFIX, name);
        _cleanup_close_ int fd = -EBADF;
        char text[SIZE_TEXT_MAX];
        int size = snprintf(text, sizeof(text), "%" PRIu64, bytes);

        if (!path)
                return -ENOMEM;
        fd = openat(cache_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : write_all(fd, text, (size_t) size);
}

static int forget(int cache_fd, const char *name)
{
        _cleanup_free_ char *path = string_format("%s" SIZE_SUFFIX, name);
        int r;

        if (!path)
                return -ENOMEM;
        r = tree_remove(cache_fd, name);
        if (r < 0)
                return r;
        return unlinkat(cache_fd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

typedef struct Usage {
        uint64_t bytes;
        char *oldest; /* without its suffix; NULL: there is none but the one in use */
} Usage;

/* What one file NAME.size says. */
static int add_usage(int cache_fd, const char *file, const char *in_use, Usage *usage,
                     struct timespec *oldest)
{
        _cleanup_free_ char *text = NULL, *name = strndup(file, strlen(file) - strlen(SIZE_SUFFIX));
        uint64_t bytes;
        struct stat st;

        if (!name)
                return -ENOMEM;
        if (read_file_at(cache_fd, file, SIZE_TEXT_MAX, &text, NULL) < 0 ||
            parse_uint64(text, 0, UINT64_MAX, &bytes) < 0 || fstatat(cache_fd, file, &st, 0) < 0)
                return 0;
        usage->bytes += bytes;
        if (streq(name, in_use) || (usage->oldest && (st.st_mtim.tv_sec > oldest->tv_sec ||
                                                      (st.st_mtim.tv_sec == oldest->tv_sec &&
                                                       st.st_mtim.tv_nsec >= oldest->tv_nsec))))
                return 0;
        *oldest = st.st_mtim;
        free(usage->oldest);
        usage->oldest = TAKE_PTR(name);
        return 0;
}

static int read_usage(int cache_fd, const char *in_use, Usage *ret)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct timespec oldest = {};
        struct dirent *entry;
        Usage usage = {};
        int r = folder_open(cache_fd, ".", &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = string_ends_with(entry->d_name, SIZE_SUFFIX)
                            ? add_usage(cache_fd, entry->d_name, in_use, &usage, &oldest)
                            : 0;
        if (r < 0)
                free(usage.oldest);
        else
                *ret = usage;
        return r;
}

static int keep_within(int cache_fd, const char *in_use, uint64_t bytes_max)
{
        for (;;) {
                _cleanup_free_ char *oldest = NULL;
                Usage usage;
                int r = read_usage(cache_fd, in_use, &usage);

                if (r < 0)
                        return r;
                oldest = usage.oldest;
                if (usage.bytes <= bytes_max || !oldest)
                        return 0;
                r = forget(cache_fd, oldest);
                if (r < 0)
                        return r;
        }
}

int cache_clear_work(int cache_fd, const char *name)
{
        _cleanup_free_ char *work = string_format("%s/" BUILD_WORK, name);

        return work ? tree_remove(cache_fd, work) : -ENOMEM;
}

bool cache_has_work(int cache_fd, const char *name)
{
        _cleanup_free_ char *work = string_format("%s/" BUILD_WORK, name);

        return !work || faccessat(cache_fd, work, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int cache_settle(int cache_fd, const char *name, const CacheBounds *bounds)
{
        uint64_t bytes;
        int r = cache_clear_work(cache_fd, name);

        if (r >= 0)
                r = cache_measure(cache_fd, name, &bytes);
        if (r >= 0)
                r = bytes > MIN(bounds->folder_bytes, bounds->all_bytes) ? forget(cache_fd, name)
                                                                         : write_size(cache_fd, name, bytes);
        return r < 0 ? r : keep_within(cache_fd, name, bounds->all_bytes);
}
