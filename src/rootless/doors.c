/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Started by systemd, a service gets its sockets; by hand it makes one. */

#include "doors.h"

#include "basic/fd-util.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 256

static int listen_at(const char *path, int *ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        mode_t mask;
        int r;

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void) strcpy(address.sun_path, path);
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0 ? -errno
                                                                                                   : 0;
        (void) umask(mask);
        if (r >= 0)
                *ret = TAKE_FD(fd);
        return r;
}

int doors_find(const char *path, size_t n_max, int *doors, size_t *ret_n)
{
        int n = sd_listen_fds(true), r;

        if (n < 0)
                return n;
        if (n > (int) n_max)
                return -E2BIG;
        for (int i = 0; i < n; i++) {
                r = sd_is_socket_unix(SD_LISTEN_FDS_START + i, SOCK_STREAM, 1, NULL, 0);
                if (r <= 0)
                        return r < 0 ? r : -ENOTSOCK;
                doors[i] = SD_LISTEN_FDS_START + i;
        }
        if (n == 0) {
                if (!path)
                        return -EDESTADDRREQ;
                r = listen_at(path, &doors[0]);
                if (r < 0)
                        return r;
                n = 1;
        }
        *ret_n = (size_t) n;
        return 0;
}
