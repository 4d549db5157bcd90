/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image comes into FOLDER/HEX.partial, an OCI layout in the making, and is FOLDER/HEX when it is whole:
 * there by one rename, or not at all. Who fetches holds FOLDER/HEX.lock alone, so that an image which two
 * want comes once; the second one finds it there. What an earlier attempt left is gone on with: a whole blob
 * stays, and of one that was broken off the rest is asked for. Blobs are hashed as they come (and by
 * sandboxd again, which trusts nobody). */

#include "ask.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "proto/image.h"
#include "proto/json-fields.h"
#include "shared/hash.h"
#include "shared/oci-layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_USEC  (250 * USEC_PER_MSEC)
#define LEFT_FREE_SIZE (UINT64_C(256) << 20) /* on the file system, for others */
#define KEPT_SECONDS   (24 * 3600)           /* what nobody came back for */
#define ATTEMPTS_MAX   3U                    /* for a blob that was broken off */
#define ATTEMPT_USEC   USEC_PER_SEC
#define LOCK_SUFFIX    ".lock"
#define CHUNK_SIZE     65536U

typedef struct Fetch {
        const Ask *ask;
        const char *digest;
        int folder_fd, lock_fd, partial_fd;
        char *partial; /* its name in the folder */
        Distribution *distribution;
        uint64_t done_size, total_size;
        usec_t shown_usec;
} Fetch;

static void fetch_done(Fetch *fetch)
{
        distribution_free(fetch->distribution);
        safe_close(fetch->folder_fd);
        safe_close(fetch->partial_fd);
        safe_close(fetch->lock_fd);
        free(fetch->partial);
}

static int cannot(char **ret_error, const char *what, int r)
{
        return r == -ENOMEM ? r
                            : error_set(ret_error, ASK_UNAVAILABLE, "the worker cannot %s: %s", what,
                                        strerror(-r));
}

static void show_progress(Fetch *fetch, bool is_end)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (!is_end && now < fetch->shown_usec + PROGRESS_USEC)
                return;
        fetch->shown_usec = now;
        ask_progress(fetch->done_size, fetch->total_size);
}

/* The folder */

/* Waits for another who fetches it. A lock file may have been taken away meanwhile: then anew. */
static int lock(int folder_fd, const char *name, int flags, int *ret_fd)
{
        for (;;) {
                _cleanup_close_ int fd =
                        openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                struct stat own, there;

                if (fd < 0 || flock(fd, flags) < 0 || fstat(fd, &own) < 0)
                        return -errno;
                if (fstatat(folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                    own.st_ino == there.st_ino) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
}

/* Removes what belongs to one digest, where nobody works on it. */
static void remove_old(int folder_fd, const char *lock_name)
{
        _cleanup_free_ char *hex = strndup(lock_name, DIGEST_HEX_SIZE);
        _cleanup_free_ char *partial = hex ? string_format("%s.partial", hex) : NULL;
        _cleanup_close_ int fd = -EBADF;

        if (!partial || lock(folder_fd, lock_name, LOCK_EX | LOCK_NB, &fd) < 0)
                return;
        if (tree_remove(folder_fd, partial) == 0 && tree_remove(folder_fd, hex) == 0)
                (void) unlinkat(folder_fd, lock_name, 0);
}

static bool is_old_lock(int folder_fd, const char *name)
{
        struct stat st;

        return strlen(name) == DIGEST_HEX_SIZE + strlen(LOCK_SUFFIX) &&
               string_ends_with(name, LOCK_SUFFIX) &&
               fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_mtime + KEPT_SECONDS < time(NULL);
}

/* What nobody came back for; that it cannot be removed is for the next one to try. */
static void collect(int folder_fd)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;

        if (folder_open(folder_fd, ".", &folder) < 0)
                return;
        while (folder_next(folder, &entry) > 0)
                if (is_old_lock(folder_fd, entry->d_name))
                        remove_old(folder_fd, entry->d_name);
}

static int open_folder(int parent_fd, const char *path, int *ret_fd)
{
        if (mkdirat(parent_fd, path, 0700) < 0 && errno != EEXIST)
                return -errno;
        *ret_fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

/* Room */

static int check_room(const Fetch *fetch, char **ret_error)
{
        uint64_t wanted = fetch->total_size + LEFT_FREE_SIZE, free_size;
        struct statvfs fs;

        if (fetch->total_size > fetch->ask->settings->size_max)
                return error_set(ret_error, ASK_BAD_IMAGE,
                                 "the image has %" PRIu64 " bytes, more than the %" PRIu64
                                 " that REGISTRY_SIZE_MAX= allows",
                                 fetch->total_size, fetch->ask->settings->size_max);
        if (fstatvfs(fetch->folder_fd, &fs) < 0)
                return cannot(ret_error, "look at its disk", -errno);
        free_size = (uint64_t) fs.f_bavail * fs.f_frsize;
        if (free_size < wanted)
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the worker's disk has %" PRIu64
                                 " MiB left; with the image it would need %" PRIu64,
                                 free_size >> 20, wanted >> 20);
        return 0;
}

/* Blobs */

typedef struct BlobFile {
        Fetch *fetch;
        int fd;
        Hash *hash;
        uint64_t offset; /* asked for */
        uint64_t start;  /* what came begins there */
        uint64_t size;   /* written */
        uint64_t base;   /* of the fetch, without this blob */
        bool has_begun;
        int error; /* of our own disk: what ended it, and no fault of the registry's */
} BlobFile;

static void blob_file_done(BlobFile *file)
{
        safe_close(file->fd);
        hash_free(file->hash);
}

#define BEGUN_ELSEWHERE 1

/* All that is there already goes into the hash; a registry that begins at 0 is begun anew with. 0, -errno,
 * or BEGUN_ELSEWHERE. */
static int begin(BlobFile *file)
{
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK_SIZE);
        char ignored[DIGEST_SIZE + 1];
        int r;

        if (!chunk)
                return -ENOMEM;
        file->has_begun = true;
        if (file->start != file->offset && file->start != 0)
                return BEGUN_ELSEWHERE;
        r = hash_end(file->hash, ignored);
        if (r < 0)
                return r;
        if (ftruncate(file->fd, (off_t) file->start) < 0)
                return -errno;
        for (file->size = 0; file->size < file->start;) {
                ssize_t n = pread(file->fd, chunk, CHUNK_SIZE, (off_t) file->size);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                r = hash_add(file->hash, chunk, (size_t) n);
                if (r < 0)
                        return r;
                file->size += (uint64_t) n;
        }
        return 0;
}

static int on_data(const void *data, size_t size, void *userdata)
{
        BlobFile *file = userdata;
        int r = file->has_begun ? 0 : begin(file);
        ssize_t n;

        if (r == 0) {
                n = pwrite(file->fd, data, size, (off_t) file->size);
                r = n == (ssize_t) size ? hash_add(file->hash, data, size) : n < 0 ? -errno : -ENOSPC;
        }
        if (r != 0) {
                file->error = MIN(r, 0);
                return r;
        }
        file->size += size;
        file->fetch->done_size = file->base + file->size;
        show_progress(file->fetch, false);
        return 0;
}

static int check_blob(const BlobFile *file, const ImageBlob *blob, char **ret_error)
{
        const char *host = file->fetch->ask->settings->host;

        if (file->size != blob->size)
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s sends %" PRIu64 " bytes of %" PRIu64 " of blob %s", host,
                                 file->size, blob->size, blob->digest);
        if (!hash_is(file->hash, blob->digest))
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s sends something else than blob %s", host, blob->digest);
        return fsync(file->fd) < 0 ? cannot(ret_error, "write an image's blob", -errno) : 0;
}

/* One attempt; whether another one could go on is in *ret_goes_on. */
static int try_blob(Fetch *fetch, const ImageBlob *blob, BlobFile *file, bool *ret_goes_on, char **ret_error)
{
        BlobRequest request = { .digest = blob->digest, .sink = on_data, .userdata = file };
        struct stat st;
        int r;

        if (fstat(file->fd, &st) < 0)
                return cannot(ret_error, "read an image's blob", -errno);
        file->offset = (uint64_t) st.st_size < blob->size ? (uint64_t) st.st_size : 0;
        file->has_begun = false;
        file->start = file->size = 0;
        request.offset = file->offset;
        request.size = blob->size;
        request.ret_start = &file->start;
        file->error = 0;
        r = distribution_blob(fetch->distribution, &request, ret_error);
        *ret_goes_on = r == ASK_UNAVAILABLE && file->size > file->offset && file->error == 0;
        if (file->error < 0)
                return cannot(ret_error, "write an image's blob", file->error);
        if (r == ASK_UNAVAILABLE && !*ret_error)
                return error_set(ret_error, r,
                                 "the registry %s goes on elsewhere in blob %s than it was asked to",
                                 fetch->ask->settings->host, blob->digest);
        return r;
}

static int fetch_blob(Fetch *fetch, const ImageBlob *blob, const char *part, char **ret_error)
{
        _cleanup_(blob_file_done) BlobFile file = { .fetch = fetch, .base = fetch->done_size };
        bool goes_on = true;
        int r;

        file.fd = openat(fetch->partial_fd, part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file.fd < 0)
                return cannot(ret_error, "write an image's blob", -errno);
        r = hash_new(&file.hash);
        if (r < 0)
                return r;
        for (unsigned n = 0; goes_on; n++) {
                free(*ret_error);
                *ret_error = NULL;
                r = try_blob(fetch, blob, &file, &goes_on, ret_error);
                if (!goes_on || n + 1 == ATTEMPTS_MAX)
                        break;
                (void) usleep((useconds_t) ATTEMPT_USEC);
        }
        if (r != 0)
                return r;
        r = check_blob(&file, blob, ret_error);
        if (r != 0) { /* what is wrong is not gone on with */
                (void) unlinkat(fetch->partial_fd, part, 0);
                return r;
        }
        fetch->done_size = file.base + blob->size;
        return 0;
}

static int need_blob(Fetch *fetch, const ImageBlob *blob, char **ret_error)
{
        _cleanup_free_ char *path = string_format(OCI_BLOBS "%s", digest_hex(blob->digest)),
                            *part = path ? string_format("%s.part", path) : NULL;
        int r;

        if (!part)
                return -ENOMEM;
        if (faccessat(fetch->partial_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                fetch->done_size += blob->size;
                return 0;
        }
        r = fetch_blob(fetch, blob, part, ret_error);
        if (r == 0 && renameat(fetch->partial_fd, part, fetch->partial_fd, path) < 0)
                r = cannot(ret_error, "write an image's blob", -errno);
        return r;
}

/* The image */

static int write_file(int folder_fd, const char *name, const char *text, size_t size)
{
        _cleanup_close_ int fd =
                openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = fd < 0 ? -errno : write_all(fd, text, size);

        return r < 0 ? r : fsync(fd) < 0 ? -errno : 0;
}

/* What makes it a layout, and the manifest. */
static int write_layout(Fetch *fetch, const Manifest *manifest)
{
        static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
        _cleanup_free_ char *blob = string_format(OCI_BLOBS "%s", digest_hex(manifest->digest));
        _cleanup_free_ char *index =
                string_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
                              "vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu}]}",
                              manifest->digest, manifest->size);
        int r;

        if (!blob || !index)
                return -ENOMEM;
        r = write_file(fetch->partial_fd, blob, manifest->text, manifest->size);
        if (r == 0)
                r = write_file(fetch->partial_fd, "oci-layout", version, strlen(version));
        return r < 0 ? r : write_file(fetch->partial_fd, OCI_INDEX, index, strlen(index));
}

static int get_manifest(Fetch *fetch, Manifest *manifest, ImageManifest *image, char **ret_error)
{
        int r;

        r = distribution_manifest(fetch->distribution, fetch->digest, manifest, ret_error);
        if (r != 0)
                return r;
        r = image_manifest_parse(manifest->text, manifest->size, image, ret_error);
        if (r != 0)
                return r < 0 ? r : ASK_BAD_IMAGE;
        fetch->total_size = image->config.size;
        for (size_t i = 0; i < image->n_layers; i++)
                fetch->total_size += image->layers[i].size;
        return check_room(fetch, ret_error);
}

static int make_partial(Fetch *fetch)
{
        _cleanup_close_ int blobs_fd = -EBADF, inner_fd = -EBADF;
        int r;

        fetch->partial = string_format("%s.partial", digest_hex(fetch->digest));
        if (!fetch->partial)
                return -ENOMEM;
        r = open_folder(fetch->folder_fd, fetch->partial, &fetch->partial_fd);
        if (r == 0)
                r = open_folder(fetch->partial_fd, "blobs", &blobs_fd);
        return r < 0 ? r : open_folder(blobs_fd, "sha256", &inner_fd);
}

static int get_all(Fetch *fetch, char **ret_error)
{
        _cleanup_(image_manifest_done) ImageManifest image = {};
        _cleanup_(manifest_done) Manifest manifest = {};
        int r;

        r = get_manifest(fetch, &manifest, &image, ret_error);
        if (r != 0)
                return r;
        r = make_partial(fetch);
        if (r < 0)
                return cannot(ret_error, "use its folder for images", r);
        r = need_blob(fetch, &image.config, ret_error);
        for (size_t i = 0; r == 0 && i < image.n_layers; i++)
                r = need_blob(fetch, &image.layers[i], ret_error);
        if (r != 0)
                return r;
        show_progress(fetch, true);
        r = write_layout(fetch, &manifest);
        if (r == 0 &&
            (renameat(fetch->folder_fd, fetch->partial, fetch->folder_fd, digest_hex(fetch->digest)) < 0 ||
             fsync(fetch->folder_fd) < 0))
                r = -errno;
        return r < 0 ? cannot(ret_error, "write the image", r) : 0;
}

static int open_all(Fetch *fetch, const char *folder, char **ret_error)
{
        _cleanup_free_ char *name = string_format("%s" LOCK_SUFFIX, digest_hex(fetch->digest));
        int r = name ? open_folder(AT_FDCWD, folder, &fetch->folder_fd) : -ENOMEM;

        if (r == 0) {
                collect(fetch->folder_fd);
                r = lock(fetch->folder_fd, name, LOCK_EX, &fetch->lock_fd);
        }
        if (r == 0)
                (void) futimens(fetch->lock_fd, NULL); /* its age begins anew */
        return r < 0 ? cannot(ret_error, "use its folder for images", r) : 0;
}

int remote_fetch(const Ask *ask, char **ret_error)
{
        _cleanup_(fetch_done) Fetch fetch = { .ask = ask,
                                              .digest = ask->arguments[1],
                                              .folder_fd = -EBADF,
                                              .lock_fd = -EBADF,
                                              .partial_fd = -EBADF };
        const DistributionOptions options = { .settings = ask->settings,
                                              .channel = ask->channel,
                                              .track = ask->track,
                                              .time_usec = ask->settings->time_usec };
        const char *hex = digest_hex(fetch.digest);
        _cleanup_free_ char *layout = hex ? string_format("%s/%s", ask->arguments[0], hex) : NULL;
        int r;

        if (!hex)
                return error_set(ret_error, ASK_MISSING, "that is no digest");
        if (!layout)
                return -ENOMEM;
        r = open_all(&fetch, ask->arguments[0], ret_error);
        if (r != 0)
                return r;
        if (faccessat(fetch.folder_fd, hex, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* another was quicker */
                return json_add_text(ask->answer, "layout", layout);
        r = distribution_new(&options, &fetch.distribution, ret_error);
        if (r == 0)
                r = get_all(&fetch, ret_error);
        return r != 0 ? r : json_add_text(ask->answer, "layout", layout);
}
