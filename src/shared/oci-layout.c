/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OCI image layout is a folder with `oci-layout`, `index.json` and `blobs/sha256/HEX`. The index is small
 * and is replaced by rename, so a reader takes it whole, once, and needs no lock; blobs never change. A
 * reader must not be led out of the layout by a link that a writer of some other track placed: nothing here
 * follows one below the registry's folder. */

#include "oci-layout.h"

#include "json-util.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IMAGES_MAX   65536U
#define TAG_SIZE_MAX 128U
#define INDEX_DEPTH  32

struct OciLayout {
        int folder_fd;
        OciIndex index;
};

/* Opens beneath a folder without following any link. */
static int open_beneath(int folder_fd, const char *path, int flags)
{
        const struct open_how how = {
                /* With O_PATH openat2() takes no other flag than these two. */
                .flags = (uint64_t) (flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK)),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        int fd = (int) syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* The index */

void oci_index_done(OciIndex *index)
{
        for (size_t i = 0; i < index->n_images; i++) {
                free(index->images[i].digest);
                strv_free(index->images[i].tags);
        }
        free(index->images);
        *index = (OciIndex){};
}

static OciImage *index_find(const OciIndex *index, const char *digest)
{
        for (size_t i = 0; i < index->n_images; i++)
                if (streq(index->images[i].digest, digest))
                        return &index->images[i];
        return NULL;
}

/* One member of `manifests`. Further mentions of a digest only add tags. */
static int index_add(OciIndex *index, json_object *manifest)
{
        const char *digest = json_member_text(manifest, "digest");
        const char *tag = json_member_text(json_member(manifest, "annotations"), OCI_TAG_ANNOTATION);
        OciImage *image;

        if (!digest || !digest_hex(digest) || (tag && strlen(tag) > TAG_SIZE_MAX))
                return OCI_LAYOUT_BAD;
        image = index_find(index, digest);
        if (!image) {
                image = &index->images[index->n_images];
                image->digest = strdup(digest);
                if (!image->digest)
                        return -ENOMEM;
                index->n_images++;
        }
        return tag && !strv_contains(image->tags, tag) ? strv_extend(&image->tags, tag) : 0;
}

static int index_read(json_object *object, OciIndex *index, char **ret_error)
{
        json_object *manifests = json_member(object, "manifests");
        size_t n;
        int r;

        if (!json_object_is_type(manifests, json_type_array))
                return error_set(ret_error, OCI_LAYOUT_BAD, "has no array `manifests`");
        n = json_object_array_length(manifests);
        if (n > IMAGES_MAX)
                return error_set(ret_error, OCI_LAYOUT_BAD, "names more than %u images", IMAGES_MAX);
        index->images = calloc(n ?: 1, sizeof(OciImage));
        if (!index->images)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *manifest = json_object_array_get_idx(manifests, i);

                r = json_object_is_type(manifest, json_type_object) ? index_add(index, manifest)
                                                                    : OCI_LAYOUT_BAD;
                if (r == OCI_LAYOUT_BAD)
                        return error_set(ret_error, OCI_LAYOUT_BAD,
                                         "manifests[%zu] has no sha256 digest, or too long a tag", i);
                if (r < 0)
                        return r;
        }
        return 0;
}

int oci_index_parse(const char *text, size_t size, OciIndex *ret, char **ret_error)
{
        _cleanup_(json_putp) json_object *object = NULL;
        _cleanup_(oci_index_done) OciIndex index = {};
        int r;

        if (size > OCI_INDEX_SIZE_MAX)
                return error_set(ret_error, OCI_LAYOUT_BAD, "has more than %u bytes", OCI_INDEX_SIZE_MAX);
        r = json_parse(text, size, OCI_INDEX_SIZE_MAX, INDEX_DEPTH, &object);
        if (r < 0)
                return r;
        if (!object)
                return error_set(ret_error, OCI_LAYOUT_BAD, "is not JSON");
        r = index_read(object, &index, ret_error);
        if (r != 0)
                return r;
        *ret = index;
        index = (OciIndex){};
        return 0;
}

/* Layouts */

OciLayout *oci_layout_free(OciLayout *layout)
{
        if (!layout)
                return NULL;
        oci_index_done(&layout->index);
        safe_close(layout->folder_fd);
        free(layout);
        return NULL;
}

/* All of a regular file. */
static int read_fd(int fd, size_t size_max, char **ret_text, size_t *ret_size)
{
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n;

        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uint64_t) st.st_size > size_max)
                return -EFBIG;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        n = read_full(fd, text, (size_t) st.st_size);
        if (n < 0)
                return (int) n;
        text[n] = '\0';
        *ret_text = TAKE_PTR(text);
        *ret_size = (size_t) n;
        return 0;
}

/* A regular file that is no link, for reading. -ENOTSUP where it is something else. */
static int open_file(int folder_fd, const char *path, int *ret_fd)
{
        _cleanup_close_ int fd = open_beneath(folder_fd, path, O_RDONLY);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOTSUP;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int layout_load(OciLayout *layout, const char *path, char **ret_error)
{
        _cleanup_free_ char *text = NULL, *error = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size;
        int r;

        r = open_file(layout->folder_fd, "index.json", &fd);
        if (r == 0) /* it is replaced by rename: what was opened does not change */
                r = read_fd(fd, OCI_INDEX_SIZE_MAX, &text, &size);
        if (r == -ENOENT)
                return OCI_LAYOUT_MISSING;
        if (r == -EFBIG || r == -ELOOP || r == -ENOTSUP)
                return error_set(ret_error, OCI_LAYOUT_BAD,
                                 "%s/index.json is no regular file of a sensible size", path);
        if (r < 0)
                return r;
        r = oci_index_parse(text, size, &layout->index, &error);
        return r == OCI_LAYOUT_BAD ? error_set(ret_error, OCI_LAYOUT_BAD, "%s/index.json %s", path, error)
                                   : r;
}

/* `parent` is trusted, what lies below it is not. */
static int layout_open(const char *parent, const char *below, OciLayout **ret, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = calloc(1, sizeof(OciLayout));
        _cleanup_free_ char *path = string_format("%s/%s", parent, below);
        _cleanup_close_ int parent_fd = -EBADF;
        int r;

        if (!layout || !path)
                return -ENOMEM;
        layout->folder_fd = -EBADF;
        parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return errno == ENOENT ? OCI_LAYOUT_MISSING : -errno;
        layout->folder_fd = open_beneath(parent_fd, below, O_PATH | O_DIRECTORY);
        if (layout->folder_fd == -ENOENT)
                return OCI_LAYOUT_MISSING;
        if (layout->folder_fd == -ELOOP || layout->folder_fd == -ENOTDIR)
                return error_set(ret_error, OCI_LAYOUT_BAD, "%s is a link or no folder", path);
        if (layout->folder_fd < 0)
                return layout->folder_fd;
        r = layout_load(layout, path, ret_error);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(layout);
        return 0;
}

int oci_layout_open(const char *registry, const char *channel, const char *track, OciLayout **ret,
                    char **ret_error)
{
        _cleanup_free_ char *below = string_format("%s/%s", channel, track);

        return below ? layout_open(registry, below, ret, ret_error) : -ENOMEM;
}

int oci_layout_open_path(const char *path, OciLayout **ret, char **ret_error)
{
        return layout_open(path, ".", ret, ret_error);
}

int oci_layout_resolve(const OciLayout *layout, const char *tag, const char **ret_digest)
{
        for (size_t i = 0; i < layout->index.n_images; i++)
                if (strv_contains(layout->index.images[i].tags, tag)) {
                        *ret_digest = layout->index.images[i].digest;
                        return 0;
                }
        return OCI_LAYOUT_NO_TAG;
}

const OciImage *oci_layout_images(const OciLayout *layout, size_t *ret_n)
{
        *ret_n = layout->index.n_images;
        return layout->index.images;
}

int oci_layout_open_blob(const OciLayout *layout, const char *digest, int *ret_fd)
{
        char path[sizeof(OCI_BLOBS) + DIGEST_HEX_SIZE] = OCI_BLOBS;
        const char *hex = digest_hex(digest);
        int r;

        if (!hex)
                return OCI_LAYOUT_NO_BLOB;
        r = open_file(layout->folder_fd, strcat(path, hex), ret_fd);
        return r == -ENOENT || r == -ELOOP || r == -ENOTSUP ? OCI_LAYOUT_NO_BLOB : r;
}

int oci_layout_read_blob(const OciLayout *layout, const char *digest, size_t size_max, char **ret_data,
                         size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = oci_layout_open_blob(layout, digest, &fd);
        return r != 0 ? r : read_fd(fd, size_max, ret_data, ret_size);
}
