/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of a build. Whoever builds a commit holds its lock: a second request for it waits, and then
 * finds it built. */

#include "build-work.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

char *build_path(const Work *work, const char *name)
{
        return string_format("%s/%s", work->folder, name);
}

/* Beside the builder's own folder, so that all builders of a host share it. */
static int open_lock(const Work *work, int *ret)
{
        const char *last = strrchr(work->worker->folder, '/');
        _cleanup_free_ char *folder =
                string_format("%.*s/locks", (int) (last - work->worker->folder), work->worker->folder);
        _cleanup_free_ char *path =
                string_format("%s/%s.%s.%s", folder ?: "", channel_to_string(work->job->target),
                              work->job->track, work->commit);
        _cleanup_close_ int fd = -EBADF;

        if (!folder || !path)
                return -ENOMEM;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int lock_commit(Work *work, int *ret)
{
        _cleanup_close_ int fd = -EBADF;
        int r = open_lock(work, &fd);

        if (r < 0)
                return r;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                r = build_say(work, "wait", "this commit is being built already; waiting for it");
                while (r == 0 && flock(fd, LOCK_EX) < 0)
                        if (errno != EINTR)
                                return -errno;
        }
        if (r == 0)
                *ret = TAKE_FD(fd);
        return r;
}

static int build_new(Work *work)
{
        static int (*const steps[])(Work * work) = { build_fetch_bases, build_make_image, build_try,
                                                     build_publish };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
                r = steps[i](work);
        return r == 0 ? build_succeed(work, "built") : r;
}

int build_run(Work *work)
{
        _cleanup_close_ int lock = -EBADF;
        bool is_there = false, is_known;
        int r = build_resolve(work);

        is_known = work->commit[0] != '\0';
        if (r == 0 && is_known)
                r = build_find_published(work, &is_there);
        if (r == 0 && !is_there)
                r = build_fetch(work);
        /* A short name becomes a commit only when it was fetched. */
        if (r == 0 && !is_there)
                r = lock_commit(work, &lock);
        if (r == 0 && !is_there)
                r = build_find_published(work, &is_there);
        if (r != 0)
                return r;
        return is_there ? build_succeed(work, "ignored") : build_new(work);
}
