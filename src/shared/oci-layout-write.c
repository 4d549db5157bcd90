/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing to a layout: one writer at a time, by a lock; blobs first, then the index, by one rename. skopeo
 * and umoci would write their index in place and their blobs for their owner alone, so they work on a layout
 * of their own, which is then taken over from here. */

#include "oci-layout.h"

#include "json-util.h"
#include "process-util.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE       ".lock"
#define FOLDER_MODE     02775 /* whoever comes first must not keep the others of the group out */
#define BLOB_MODE       0644
#define OUTPUT_SIZE_MAX 4096U

/* Makes a folder, where it is not there; a link in its place is not followed. */
static int make_folder(int parent_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        bool is_new = mkdirat(parent_fd, name, 0775) == 0;

        if (!is_new && errno != EEXIST)
                return -errno;
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || (is_new && fchmod(fd, FOLDER_MODE) < 0))
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int oci_layout_lock(const char *registry, const char *channel, const char *track, char **ret_path,
                    int *ret_fd)
{
        _cleanup_close_ int registry_fd = -EBADF, channel_fd = -EBADF, track_fd = -EBADF, fd = -EBADF;
        _cleanup_free_ char *path = string_format("%s/%s/%s", registry, channel, track);
        int r;

        if (!path)
                return -ENOMEM;
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
        (void) fchmod(fd, 0664); /* another's: then it is right already */
        if (flock(fd, LOCK_EX) < 0)
                return -errno;
        *ret_path = TAKE_PTR(path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The index, as JSON: members that are not known here are kept. */

static json_object *index_manifests(json_object *index)
{
        json_object *manifests = json_member(index, "manifests");

        return json_object_is_type(manifests, json_type_array) ? manifests : NULL;
}

static int read_index(const char *path, json_object **ret)
{
        _cleanup_free_ char *file = string_format("%s/" OCI_INDEX, path), *text = NULL;
        json_object *index;
        int r;

        if (!file)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, file, OCI_INDEX_SIZE_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? OCI_LAYOUT_MISSING : r;
        index = json_tokener_parse(text);
        if (!index_manifests(index)) {
                json_object_put(index);
                return OCI_LAYOUT_BAD;
        }
        *ret = index;
        return 0;
}

static int write_index(const char *path, json_object *index)
{
        _cleanup_free_ char *file = string_format("%s/" OCI_INDEX, path);
        const char *text = json_object_to_json_string_ext(index, JSON_C_TO_STRING_PLAIN |
                                                                         JSON_C_TO_STRING_NOSLASHESCAPE);

        return file && text ? write_file_atomic(file, text, strlen(text), BLOB_MODE) : -ENOMEM;
}

/* Takes out what has the tag; whether there was any. */
static bool index_drop_tag(json_object *index, const char *tag)
{
        json_object *manifests = index_manifests(index);
        bool is_found = false;

        for (size_t i = json_object_array_length(manifests); i-- > 0;) {
                json_object *manifest = json_object_array_get_idx(manifests, i);
                json_object *annotations = json_member(manifest, "annotations");

                if (streq(json_member_text(annotations, OCI_TAG_ANNOTATION) ?: "", tag)) {
                        json_object_array_del_idx(manifests, i, 1);
                        is_found = true;
                }
        }
        return is_found;
}

/* A descriptor of its own for the digest, with the tag. */
static int index_add_tag(json_object *index, json_object *from, const char *digest, const char *tag)
{
        json_object *manifests = index_manifests(from), *source = NULL, *copy = NULL, *annotations;

        for (size_t i = 0; i < json_object_array_length(manifests); i++)
                if (streq(json_member_text(json_object_array_get_idx(manifests, i), "digest") ?: "", digest))
                        source = json_object_array_get_idx(manifests, i);
        if (!source)
                return -ENOENT;
        if (json_object_deep_copy(source, &copy, NULL) < 0)
                return -ENOMEM;
        annotations = json_object_new_object();
        if (!annotations ||
            json_object_object_add(annotations, OCI_TAG_ANNOTATION, json_object_new_string(tag)) < 0 ||
            json_object_object_add(copy, "annotations", annotations) < 0 ||
            json_object_array_add(index_manifests(index), copy) < 0) {
                json_object_put(copy);
                return -ENOMEM;
        }
        return 0;
}

/* Adding */

static int open_blobs(const char *path, int *ret_fd)
{
        _cleanup_close_ int layout_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), blobs_fd = -EBADF;
        int r;

        if (layout_fd < 0)
                return -errno;
        r = make_folder(layout_fd, "blobs", &blobs_fd);
        return r < 0 ? r : make_folder(blobs_fd, "sha256", ret_fd);
}

/* What is there already is the same: it has the same name. */
static int move_blob(int from_fd, int to_fd, const char *name)
{
        _cleanup_close_ int fd = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fchmod(fd, BLOB_MODE) < 0 || fsync(fd) < 0 || renameat(from_fd, name, to_fd, name) < 0)
                return -errno;
        return 0;
}

static int move_blobs(const char *from, const char *to)
{
        _cleanup_close_ int from_fd = -EBADF, to_fd = -EBADF;
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r;

        r = open_blobs(from, &from_fd);
        if (r == 0)
                r = open_blobs(to, &to_fd);
        if (r == 0)
                r = folder_open(from_fd, ".", &folder);
        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = entry->d_name[0] == '.' ? 0 : move_blob(from_fd, to_fd, entry->d_name);
        if (r < 0)
                return r;
        return fsync(to_fd) < 0 ? -errno : 0;
}

static int write_version(const char *path)
{
        static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
        _cleanup_free_ char *file = string_format("%s/oci-layout", path);

        return file ? write_file_atomic(file, version, strlen(version), BLOB_MODE) : -ENOMEM;
}

int oci_layout_add(const char *path, const char *from, const char *digest, const char *tag)
{
        _cleanup_(json_putp) json_object *index = NULL, *from_index = NULL;
        int r;

        r = read_index(from, &from_index);
        if (r != 0)
                return r < 0 ? r : -EBADMSG;
        r = read_index(path, &index);
        if (r == OCI_LAYOUT_MISSING) {
                index = json_tokener_parse("{\"schemaVersion\":2,\"manifests\":[]}");
                r = index ? write_version(path) : -ENOMEM;
        }
        if (r != 0)
                return r < 0 ? r : -EBADMSG;
        r = move_blobs(from, path);
        if (r < 0)
                return r;
        (void) index_drop_tag(index, tag);
        r = index_add_tag(index, from_index, digest, tag);
        return r < 0 ? r : write_index(path, index);
}

/* Removing */

static int collect(const char *path, char **ret_error)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const ProcessOptions options = {
                .argv = (const char *const[]){ "umoci", "gc", "--layout", path, NULL },
                .output_size_max = OUTPUT_SIZE_MAX,
        };
        int r;

        r = process_run(&options, &result);
        if (r < 0)
                return r;
        if (result.status == 0)
                return 0;
        *ret_error = process_error(&options, &result);
        return *ret_error ? OCI_LAYOUT_BAD : -ENOMEM;
}

int oci_layout_remove_tag(const char *path, const char *tag, char **ret_error)
{
        _cleanup_(json_putp) json_object *index = NULL;
        int r;

        r = read_index(path, &index);
        if (r == OCI_LAYOUT_BAD)
                return error_set(ret_error, OCI_LAYOUT_BAD, "%s/" OCI_INDEX " is not the index of a layout",
                                 path);
        if (r != 0)
                return r;
        if (!index_drop_tag(index, tag))
                return OCI_LAYOUT_NO_TAG;
        r = write_index(path, index);
        return r < 0 ? r : collect(path, ret_error);
}
