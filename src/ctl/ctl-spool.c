/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers run as a user of their own and see neither homes nor /tmp. Members of the group `pipeline`
 * may write to the inputs' folder, whose set-group-id bit makes what lies there readable to workers;
 * so a copy is all that is needed. It holds regular files and folders alone: a link would mean
 * something else there. */

#include "ctl-spool.h"

#include "ctl-ask.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/percent.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX       32U
#define COPY_CHUNK_SIZE (64U * 1024U)

/* Conditions of a copy: what could not be copied was said. */
enum {
        SPOOL_SAID = 1,
};

void spool_done(Spool *spool)
{
        if (spool->copy)
                (void) !tree_remove(AT_FDCWD, spool->copy);
        free(spool->copy);
        free(spool->uri);
        *spool = (Spool){};
}

/* file:// and the path, with a slash at its end. */
static char *uri_of(const char *path)
{
        _cleanup_free_ char *encoded = percent_encode(path, "/");

        return encoded ? string_format("file://%s/", encoded) : NULL;
}

static int copy_bytes(int from, int to)
{
        _cleanup_free_ char *chunk = malloc(COPY_CHUNK_SIZE);
        ssize_t n;

        if (!chunk)
                return -ENOMEM;
        while ((n = read_full(from, chunk, COPY_CHUNK_SIZE)) > 0) {
                int r = write_all(to, chunk, (size_t) n);

                if (r < 0)
                        return r;
        }
        return (int) n;
}

static int copy_folder(const CtlVerb *verb, int from_fd, int to_fd, unsigned depth);

static int copy_entry(const CtlVerb *verb, int from_fd, int to_fd, const char *name, unsigned depth)
{
        _cleanup_close_ int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        _cleanup_close_ int to = -EBADF;
        struct stat st;

        if (from < 0 && errno != ELOOP)
                return ctl_fail(verb, SPOOL_SAID, "%s cannot be read: %m", name);
        if (from >= 0 && fstat(from, &st) < 0)
                return -errno;
        if (from < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
                return ctl_fail(verb, SPOOL_SAID, "%s is neither a file nor a folder", name);
        if (S_ISDIR(st.st_mode)) {
                if (mkdirat(to_fd, name, 0750) < 0)
                        return -errno;
                to = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                return to < 0 ? -errno : copy_folder(verb, from, to, depth + 1);
        }
        to = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                    st.st_mode & S_IXUSR ? 0750 : 0640);
        return to < 0 ? -errno : copy_bytes(from, to);
}

static int copy_folder(const CtlVerb *verb, int from_fd, int to_fd, unsigned depth)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(from_fd, ".", &folder);

        if (r == 0 && depth > DEPTH_MAX)
                r = ctl_fail(verb, SPOOL_SAID, "the folders lie too deep");
        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = copy_entry(verb, from_fd, to_fd, entry->d_name, depth);
        return r;
}

static int say_no_spool(const CtlVerb *verb, int error)
{
        if (error == EACCES)
                return ctl_fail(verb, CTL_NOT_ALLOWED,
                                "you may not write to " CTL_INPUT_FOLDER
                                "; `sudo adduser $USER pipeline` lets you "
                                "(then log in again)");
        return ctl_fail(verb, CTL_FAILED, CTL_INPUT_FOLDER " cannot be used: %s", strerror(error));
}

static int make_copy(Spool *spool, const CtlVerb *verb, int from_fd)
{
        _cleanup_free_ char *place = strdup(CTL_INPUT_FOLDER "/ctl-XXXXXX");
        _cleanup_close_ int to_fd = -EBADF;
        int r;

        if (!place)
                return -ENOMEM;
        if (!mkdtemp(place))
                return say_no_spool(verb, errno);
        spool->copy = TAKE_PTR(place);
        if (chmod(spool->copy, 02750) < 0)
                return -errno;
        to_fd = open(spool->copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (to_fd < 0)
                return -errno;
        r = copy_folder(verb, from_fd, to_fd, 0);
        return r == SPOOL_SAID ? CTL_FAILED : r;
}

int spool_init(Spool *spool, const CtlVerb *verb, const char *folder)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        mode_t mask;
        int r = 0;

        if (strstr(folder, "://")) {
                spool->uri = strdup(folder);
                return spool->uri ? 0 : -ENOMEM;
        }
        path = realpath(folder, NULL);
        fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
        if (fd < 0)
                return ctl_fail(verb, CTL_FAILED, "%s cannot be read: %m", folder);
        if (!string_after(path, CTL_INPUT_FOLDER "/")) {
                mask = umask(0027);
                r = make_copy(spool, verb, fd);
                (void) umask(mask);
        }
        if (r != 0)
                return r;
        spool->uri = uri_of(spool->copy ?: path);
        return spool->uri ? 0 : -ENOMEM;
}
