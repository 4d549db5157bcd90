/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A commit is published under `git-COMMIT`, which says that it was built; then under the reference as people
 * wrote it, `build-COMMIT-TIME`, and `latest`. */

#include "build-work.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/oci-layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COPY_SIZE  (1U << 30)
#define STAGE_NAME ".build-"

static const char *channel_of(const Work *work)
{
        return channel_to_string(work->job->target);
}

/* Was it built before? */

static int take_published(Work *work, const OciLayout *layout, const char *digest)
{
        size_t n;
        const OciImage *images = oci_layout_images(layout, &n);
        int r = 0;

        work->digest = strdup(digest);
        if (!work->digest)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < n; i++)
                if (streq(images[i].digest, digest))
                        for (char **tag = images[i].tags; r == 0 && tag && *tag; tag++)
                                r = strv_extend(&work->tags, *tag);
        return r;
}

static int find_in_folder(Work *work, bool *ret_is_there)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_free_ char *error = NULL, *tag = string_format("git-%s", work->commit);
        const char *digest;
        int r = tag ? oci_layout_open(work->worker->registry.folder, channel_of(work), work->job->track,
                                      &layout, &error)
                    : -ENOMEM;

        *ret_is_there = false;
        if (r == OCI_LAYOUT_MISSING)
                return 0;
        if (r == OCI_LAYOUT_BAD)
                return build_end(work, STATUS_SETUP_FAILED, NULL, "the registry cannot be used: %s",
                                 error ?: "unknown");
        if (r < 0 || oci_layout_resolve(layout, tag, &digest) != 0)
                return MIN(r, 0);
        *ret_is_there = true;
        return take_published(work, layout, digest);
}

/* Another registry is asked by the program for that. */

static int find_elsewhere(Work *work, bool *ret_is_there)
{
        _cleanup_free_ char *tag = string_format("git-%s", work->commit);
        _cleanup_(asked_done) Asked asked = {};
        const RegistryQuestion question = {
                .verb = REGISTRY_RESOLVE,
                .channel = channel_of(work),
                .track = work->job->track,
                .version = tag,
        };
        int r = tag ? build_ask(&work->worker->registry, &question, &asked) : -ENOMEM;

        *ret_is_there = false;
        if (r < 0 || asked.code == STATUS_BAD_INPUT)
                return r;
        if (asked.code != 0 || !digest_is_valid(asked.digest ?: ""))
                return build_end(work, STATUS_SETUP_FAILED, NULL, "the registry does not answer: %s",
                                 asked.error);
        *ret_is_there = true;
        work->digest = TAKE_PTR(asked.digest);
        return strv_extend(&work->tags, tag);
}

static int publish_elsewhere(Work *work)
{
        _cleanup_(asked_done) Asked asked = {};
        const RegistryQuestion question = {
                .verb = REGISTRY_PUSH,
                .channel = channel_of(work),
                .track = work->job->track,
                .version = work->tags[0],
                .tags = work->tags + 1,
                .digest = work->digest,
                .folder = work->image,
        };
        int r = build_ask(&work->worker->registry, &question, &asked);

        if (r < 0 || asked.code == 0)
                return r;
        return build_end(work, STATUS_SETUP_FAILED, NULL, "the registry does not take the image: %s",
                         asked.error);
}

int build_find_published(Work *work, bool *ret_is_there)
{
        return work->worker->registry.folder ? find_in_folder(work, ret_is_there)
                                             : find_elsewhere(work, ret_is_there);
}

/* Tags */

/* The reference as a tag; NULL where it cannot be one, or says nothing new. */
static char *reference_tag(const Work *work)
{
        _cleanup_free_ char *tag = strdup(work->job->git_reference);

        for (char *c = tag; c && *c; c++)
                if (*c == '/')
                        *c = '-';
        if (!tag || !version_is_valid(tag) || string_after(work->commit, tag) || string_after(tag, "git-") ||
            string_after(tag, "build-") || streq(tag, "latest"))
                return NULL;
        return TAKE_PTR(tag);
}

static int make_tags(Work *work)
{
        _cleanup_free_ char *git = string_format("git-%s", work->commit), *reference = reference_tag(work);
        _cleanup_free_ char *build = string_format("build-%s-%" PRIi64, work->commit, (int64_t) time(NULL));
        int r = git && build ? strv_extend(&work->tags, git) : -ENOMEM;

        if (r == 0 && reference)
                r = strv_extend(&work->tags, reference);
        if (r == 0)
                r = strv_extend(&work->tags, build);
        return r == 0 ? strv_extend(&work->tags, "latest") : r;
}

/* The embedded registry: blobs are moved within its file system, so they are copied to it first. */

static int copy_file(int from_fd, int to_fd, const char *name)
{
        _cleanup_close_ int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -EBADF;
        ssize_t n;

        if (from < 0)
                return -errno;
        to = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0664);
        if (to < 0)
                return -errno;
        while ((n = sendfile(to, from, NULL, COPY_SIZE)) > 0)
                ;
        return n < 0 || fsync(to) < 0 ? -errno : 0;
}

/* The files of a folder of both. */
static int copy_files(const char *from, const char *to)
{
        _cleanup_close_ int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = to_fd < 0 ? -errno : folder_open(AT_FDCWD, from, &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = entry->d_type == DT_REG ? copy_file(dirfd(folder), to_fd, entry->d_name) : 0;
        return r;
}

static int copy_layout(const char *from, const char *to)
{
        static const char *const folders[] = { "", "/blobs", "/blobs/sha256" };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *source = string_format("%s%s", from, folders[i]);
                _cleanup_free_ char *target = string_format("%s%s", to, folders[i]);

                if (!source || !target)
                        return -ENOMEM;
                if (mkdir(target, 02775) < 0)
                        return -errno;
                r = copy_files(source, target);
        }
        return r;
}

static int add_tags(const Work *work, const char *layout, const char *stage)
{
        int r = copy_layout(work->image, stage);

        for (char **tag = work->tags; r == 0 && *tag; tag++)
                r = oci_layout_add(layout, stage, work->digest, *tag);
        return r;
}

static int publish_in_folder(Work *work)
{
        _cleanup_free_ char *layout = NULL, *stage = NULL;
        _cleanup_close_ int lock = -EBADF;
        int r;

        r = oci_layout_lock(work->worker->registry.folder, channel_of(work), work->job->track, &layout,
                            &lock);
        if (r < 0)
                return r;
        stage = string_format("%s/" STAGE_NAME "%s", layout, work->job->job);
        if (!stage)
                return -ENOMEM;
        r = add_tags(work, layout, stage);
        if (tree_remove(AT_FDCWD, stage) < 0 && r == 0)
                r = -EIO;
        return r;
}

int build_publish(Work *work)
{
        int r = build_say(work, "push", "pushing to the registry");

        if (r == 0)
                r = make_tags(work);
        if (r == 0)
                r = work->worker->registry.folder ? publish_in_folder(work) : publish_elsewhere(work);
        if (r < 0 && r != -ENOMEM)
                return build_end(work, STATUS_SETUP_FAILED, NULL, "the registry cannot be written: %s",
                                 strerror(-r));
        return r;
}
