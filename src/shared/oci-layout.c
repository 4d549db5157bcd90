/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OCI image layout is a folder with `oci-layout`, `index.json` and `blobs/sha256/HEX`. The index is small
 * and is replaced by rename, so a reader takes it whole, once, and needs no lock; blobs never change. A
 * reader must not be led out of the layout by a link that a writer of some other track placed: nothing here
 * follows one below the registry's folder. */

#include "oci-layout.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INDEX_SIZE_MAX (8U * 1024U * 1024U)
#define IMAGES_MAX     65536U
#define TAG_SIZE_MAX   128U
#define INDEX_DEPTH    32
#define TAG_ANNOTATION "org.opencontainers.image.ref.name"
#define LOCK_FILE      ".lock"
#define LAYOUT_MODE    02775

struct OciLayout {
        int folder_fd;
        OciIndex index;
};

static int bad(char **ret_error, char *message)
{
        if (!message)
                return -ENOMEM;
        *ret_error = message;
        return OCI_LAYOUT_BAD;
}

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

static const char *member_text(json_object *object, const char *name)
{
        json_object *value = NULL;

        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, name, &value) ||
            !json_object_is_type(value, json_type_string) ||
            strlen(json_object_get_string(value)) != (size_t) json_object_get_string_len(value))
                return NULL;
        return json_object_get_string(value);
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
        const char *digest = member_text(manifest, "digest");
        const char *tag = member_text(json_object_object_get(manifest, "annotations"), TAG_ANNOTATION);
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
        json_object *manifests = NULL;
        size_t n;
        int r;

        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, "manifests", &manifests) ||
            !json_object_is_type(manifests, json_type_array))
                return bad(ret_error, strdup("has no array `manifests`"));
        n = json_object_array_length(manifests);
        if (n > IMAGES_MAX)
                return bad(ret_error, string_format("names more than %u images", IMAGES_MAX));
        index->images = calloc(n ?: 1, sizeof(OciImage));
        if (!index->images)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *manifest = json_object_array_get_idx(manifests, i);

                r = json_object_is_type(manifest, json_type_object) ? index_add(index, manifest)
                                                                    : OCI_LAYOUT_BAD;
                if (r == OCI_LAYOUT_BAD)
                        return bad(
                                ret_error,
                                string_format("manifests[%zu] has no sha256 digest, or too long a tag", i));
                if (r < 0)
                        return r;
        }
        return 0;
}

static void json_putp(json_object **object)
{
        json_object_put(*object);
}

int oci_index_parse(const char *text, size_t size, OciIndex *ret, char **ret_error)
{
        _cleanup_(json_putp) json_object *object = NULL;
        _cleanup_(oci_index_done) OciIndex index = {};
        struct json_tokener *tokener;
        int r;

        if (size > INDEX_SIZE_MAX)
                return bad(ret_error, string_format("has more than %u bytes", INDEX_SIZE_MAX));
        tokener = json_tokener_new_ex(INDEX_DEPTH);
        if (!tokener)
                return -ENOMEM;
        object = json_tokener_parse_ex(tokener, text, (int) size);
        json_tokener_free(tokener);
        if (!object)
                return bad(ret_error, strdup("is not JSON"));
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

static int layout_path(const char *registry, const char *channel, const char *track, char **ret)
{
        *ret = string_format("%s/%s/%s", registry, channel, track);
        return *ret ? 0 : -ENOMEM;
}

/* It is replaced by rename, so the file that was opened does not change while it is read. */
static int read_index(int folder_fd, char **ret_text, size_t *ret_size)
{
        _cleanup_close_ int fd = open_beneath(folder_fd, "index.json", O_RDONLY);
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOTSUP;
        if (st.st_size > INDEX_SIZE_MAX)
                return -EFBIG;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        n = read_full(fd, text, (size_t) st.st_size);
        if (n < 0)
                return (int) n;
        *ret_text = TAKE_PTR(text);
        *ret_size = (size_t) n;
        return 0;
}

static int layout_load(OciLayout *layout, const char *path, char **ret_error)
{
        _cleanup_free_ char *text = NULL, *error = NULL;
        size_t size;
        int r;

        r = read_index(layout->folder_fd, &text, &size);
        if (r == -ENOENT)
                return OCI_LAYOUT_MISSING;
        if (r == -EFBIG || r == -ELOOP || r == -ENOTSUP)
                return bad(ret_error,
                           string_format("%s/index.json is no regular file of a sensible size", path));
        if (r < 0)
                return r;
        r = oci_index_parse(text, size, &layout->index, &error);
        return r == OCI_LAYOUT_BAD ? bad(ret_error, string_format("%s/index.json %s", path, error)) : r;
}

int oci_layout_open(const char *registry, const char *channel, const char *track, OciLayout **ret,
                    char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = calloc(1, sizeof(OciLayout));
        _cleanup_close_ int registry_fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!layout)
                return -ENOMEM;
        layout->folder_fd = -EBADF;
        r = layout_path(registry, channel, track, &path);
        if (r < 0)
                return r;
        registry_fd = open(registry, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (registry_fd < 0)
                return errno == ENOENT ? OCI_LAYOUT_MISSING : -errno;
        layout->folder_fd = open_beneath(registry_fd, path + strlen(registry) + 1, O_PATH | O_DIRECTORY);
        if (layout->folder_fd == -ENOENT)
                return OCI_LAYOUT_MISSING;
        if (layout->folder_fd == -ELOOP || layout->folder_fd == -ENOTDIR)
                return bad(ret_error, string_format("%s is a link or no folder", path));
        if (layout->folder_fd < 0)
                return layout->folder_fd;
        r = layout_load(layout, path, ret_error);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(layout);
        return 0;
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
        char path[sizeof("blobs/sha256/") + DIGEST_HEX_SIZE] = "blobs/sha256/";
        const char *hex = digest_hex(digest);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (!hex)
                return OCI_LAYOUT_NO_BLOB;
        strcat(path, hex);
        fd = open_beneath(layout->folder_fd, path, O_RDONLY);
        if (fd == -ENOENT || fd == -ELOOP)
                return OCI_LAYOUT_NO_BLOB;
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return OCI_LAYOUT_NO_BLOB;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Writers */

static int make_folder(int parent_fd, const char *name, int *ret_fd)
{
        int fd;

        if (mkdirat(parent_fd, name, 0775) == 0) {
                /* The mask of whoever comes first must not keep the others of the group out. */
                if (fchmodat(parent_fd, name, LAYOUT_MODE, 0) < 0)
                        return -errno;
        } else if (errno != EEXIST)
                return -errno;
        fd = open_beneath(parent_fd, name, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

int oci_layout_lock(const char *registry, const char *channel, const char *track, char **ret_path,
                    int *ret_fd)
{
        _cleanup_close_ int registry_fd = -EBADF, channel_fd = -EBADF, track_fd = -EBADF, fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        int r;

        r = layout_path(registry, channel, track, &path);
        if (r < 0)
                return r;
        registry_fd = open(registry, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (registry_fd < 0)
                return -errno;
        r = make_folder(registry_fd, channel, &channel_fd);
        if (r < 0)
                return r;
        r = make_folder(channel_fd, track, &track_fd);
        if (r < 0)
                return r;
        fd = openat(track_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
        if (fd < 0)
                return -errno;
        (void) fchmod(fd, 0664); /* not ours: then it is right already */
        if (flock(fd, LOCK_EX) < 0)
                return -errno;
        *ret_path = TAKE_PTR(path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}
