/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image goes as it is, so that it keeps its digest: blobs first, then the manifest, once for each tag. A
 * reader of the registry sees a tag before or after, and never without its blobs. */

#include "ask.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "proto/image.h"
#include "proto/json-fields.h"
#include "proto/name.h"
#include "shared/ecr.h"
#include "shared/hash.h"
#include "shared/oci-layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CHUNK_SIZE   (1U << 20)
#define FOLDER_MODE  0755
#define ECR_USEC     (20 * USEC_PER_SEC)

typedef struct Push {
        const Ask *ask;
        OciLayout *layout;
        Manifest manifest;
        char *media_type;
        ImageManifest image;
        uint64_t done_size, total_size;
} Push;

static void push_done(Push *push)
{
        oci_layout_free(push->layout);
        manifest_done(&push->manifest);
        free(push->media_type);
        image_manifest_done(&push->image);
}

/* What is pushed */

static int read_manifest(Push *push, const char *digest, char **ret_error)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = oci_layout_read_blob(push->layout, digest, IMAGE_MANIFEST_SIZE_MAX, &push->manifest.text,
                                 &push->manifest.size);
        if (r == -ENOMEM)
                return r;
        if (r != 0)
                return error_set(ret_error, ASK_MISSING, "the layout has no manifest %s", digest);
        (void) strcpy(push->manifest.digest, digest);
        r = image_manifest_parse(push->manifest.text, push->manifest.size, &push->image, ret_error);
        if (r > 0)
                return ASK_BAD_IMAGE;
        if (r == 0)
                r = json_object_from_bytes(push->manifest.text, push->manifest.size, &object, &error);
        if (r != 0)
                return MIN(r, 0);
        push->media_type = strdup(json_text(object, "mediaType") ?: OCI_MANIFEST);
        push->total_size = push->image.config.size;
        for (size_t i = 0; i < push->image.n_layers; i++)
                push->total_size += push->image.layers[i].size;
        return push->media_type ? 0 : -ENOMEM;
}

static int push_open(Push *push, char **ret_error)
{
        const char *path = push->ask->arguments[0], *digest = push->ask->arguments[1];
        _cleanup_free_ char *error = NULL;
        int r;

        if (!digest_is_valid(digest))
                return error_set(ret_error, ASK_MISSING, "that is no digest");
        for (char *const *tag = push->ask->arguments + 2; *tag; tag++)
                if (!version_is_valid(*tag))
                        return error_set(ret_error, ASK_MISSING, "a version is letters, digits, . _ and -");
        r = oci_layout_open_path(path, &push->layout, &error);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return error_set(ret_error, ASK_MISSING, "%s is no OCI layout: %s", path, strerror(-r));
        if (r > 0)
                return error_set(ret_error, ASK_MISSING, "%s is no OCI layout: %s", path,
                                 error ?: "there is none");
        return read_manifest(push, digest, ret_error);
}

/* Each blob of the image once, by its own way of sending. */
static int for_each_blob(Push *push,
                         int (*send)(Push *push, const ImageBlob *blob, int fd, void *userdata,
                                     char **ret_error),
                         void *userdata, char **ret_error)
{
        for (size_t i = 0; i <= push->image.n_layers; i++) {
                const ImageBlob *blob = i == 0 ? &push->image.config : &push->image.layers[i - 1];
                _cleanup_close_ int fd = -EBADF;
                int r = oci_layout_open_blob(push->layout, blob->digest, &fd);

                if (r > 0)
                        return error_set(ret_error, ASK_BAD_IMAGE, "the layout has no blob %s",
                                         blob->digest);
                if (r == 0)
                        r = send(push, blob, fd, userdata, ret_error);
                if (r != 0)
                        return r;
                push->done_size += blob->size;
                ask_progress(push->done_size, push->total_size);
        }
        return json_add_text(push->ask->answer, "digest", push->manifest.digest);
}

/* To a registry that is asked over HTTP */

static int send_blob(Push *push, const ImageBlob *blob, int fd, void *userdata, char **ret_error)
{
        return distribution_put_blob(userdata, blob->digest, fd, blob->size, ret_error);
}

/* Amazon's registry takes nothing for a repository that nobody made. */
static int ensure_repository(const Ask *ask, char **ret_error)
{
        _cleanup_(ecr_registry_done) EcrRegistry registry = {};
        _cleanup_free_ char *repository = NULL;
        int r = ecr_registry_from_host(ask->settings->host, &registry);

        if (r <= 0)
                return r;
        r = registry_repository(ask->settings, ask->channel, ask->track, &repository, ret_error);
        if (r == 0)
                r = ecr_ensure_repository(&registry, repository, ECR_USEC, ret_error);
        return r > 0 ? ASK_UNAVAILABLE : r;
}

int remote_push(const Ask *ask, char **ret_error)
{
        const DistributionOptions options = { .settings = ask->settings,
                                              .channel = ask->channel,
                                              .track = ask->track,
                                              .time_usec = ask->settings->time_usec,
                                              .pushes = true };
        _cleanup_(distribution_freep) Distribution *d = NULL;
        _cleanup_(push_done) Push push = { .ask = ask };
        int r;

        r = push_open(&push, ret_error);
        if (r == 0)
                r = ensure_repository(ask, ret_error);
        if (r == 0)
                r = distribution_new(&options, &d, ret_error);
        if (r == 0)
                r = for_each_blob(&push, send_blob, d, ret_error);
        for (char *const *tag = ask->arguments + 2; r == 0 && *tag; tag++)
                r = distribution_put_manifest(d, *tag, push.media_type,
                                              (Bytes){ push.manifest.text, push.manifest.size }, ret_error);
        return r;
}

/* To the embedded one */

static int write_file(const char *folder, const char *name, const void *data, size_t size)
{
        _cleanup_free_ char *path = string_format("%s/%s", folder, name);

        return path ? write_file_atomic(path, data, size, 0644) : -ENOMEM;
}

static int copy(int from_fd, int to_fd, Hash *hash)
{
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK_SIZE);
        int r = chunk ? 0 : -ENOMEM;

        while (r == 0) {
                ssize_t n = read_full(from_fd, chunk, CHUNK_SIZE);

                if (n <= 0)
                        return (int) n;
                r = write_all(to_fd, chunk, (size_t) n);
                if (r == 0)
                        r = hash_add(hash, chunk, (size_t) n);
        }
        return r;
}

static int stage_blob(Push *push, const ImageBlob *blob, int fd, void *userdata, char **ret_error)
{
        _cleanup_free_ char *path =
                string_format("%s/" OCI_BLOBS "%s", (const char *) userdata, digest_hex(blob->digest));
        _cleanup_close_ int to_fd =
                path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -EBADF;
        _cleanup_(hash_freep) Hash *hash = NULL;
        int r;

        if (to_fd < 0)
                return path ? -errno : -ENOMEM;
        r = hash_new(&hash);
        if (r == 0)
                r = copy(fd, to_fd, hash);
        if (r == 0 && !hash_is(hash, blob->digest))
                r = error_set(ret_error, ASK_BAD_IMAGE, "the layout's blob %s is not that blob",
                              blob->digest);
        return r;
}

static int make_stage(const char *layout, char **ret)
{
        static const char *const folders[] = { "blobs", "blobs/sha256" };
        _cleanup_free_ char *stage = string_format("%s/.push-XXXXXX", layout);

        if (!stage)
                return -ENOMEM;
        if (!mkdtemp(stage))
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = string_format("%s/%s", stage, folders[i]);

                if (!path || mkdir(path, FOLDER_MODE) < 0)
                        return path ? -errno : -ENOMEM;
        }
        *ret = TAKE_PTR(stage);
        return 0;
}

/* Manifest and index of the stage, then all of it moves, tag by tag. */
static int take_over(Push *push, const char *layout, const char *stage)
{
        const Manifest *manifest = &push->manifest;
        _cleanup_free_ char *blob = string_format(OCI_BLOBS "%s", digest_hex(manifest->digest));
        _cleanup_free_ char *index =
                string_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                              "\"size\":%zu}]}",
                              push->media_type, manifest->digest, manifest->size);
        int r;

        if (!blob || !index)
                return -ENOMEM;
        r = write_file(stage, blob, manifest->text, manifest->size);
        if (r == 0)
                r = write_file(stage, OCI_INDEX, index, strlen(index));
        for (char *const *tag = push->ask->arguments + 2; r == 0 && *tag; tag++)
                r = oci_layout_add(layout, stage, manifest->digest, *tag);
        return r;
}

int embedded_push(const Ask *ask, char **ret_error)
{
        _cleanup_free_ char *layout = NULL, *stage = NULL;
        _cleanup_(push_done) Push push = { .ask = ask };
        _cleanup_close_ int lock_fd = -EBADF;
        int r;

        r = push_open(&push, ret_error);
        if (r != 0)
                return r;
        r = oci_layout_lock(ask->settings->folder, ask->channel, ask->track, &layout, &lock_fd);
        if (r == 0)
                r = make_stage(layout, &stage);
        if (r == 0)
                r = for_each_blob(&push, stage_blob, stage, ret_error);
        if (r == 0)
                r = take_over(&push, layout, stage);
        if (stage && tree_remove(AT_FDCWD, stage) < 0 && r == 0)
                r = -EIO;
        return r >= 0 || r == -ENOMEM ? r
                                      : error_set(ret_error, ASK_UNAVAILABLE,
                                                  "the registry cannot be written to: %s", strerror(-r));
}
