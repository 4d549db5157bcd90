/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File descriptors: closing, flags, passing them over a unix socket. */

#include "fd-util.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define N_FDS_RECEIVED_MAX 4 /* room for what a peer should not send, so that it is seen and closed */

int safe_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -EBADF;
}

static int fd_set_flag(int fd, int get, int set, int flag, bool on)
{
        int flags = fcntl(fd, get);

        if (flags < 0)
                return -errno;
        if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
                return -errno;
        return 0;
}

int fd_set_nonblock(int fd, bool nonblock)
{
        return fd_set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblock);
}

int fd_set_cloexec(int fd, bool cloexec)
{
        return fd_set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, cloexec);
}

static int compare_fds(const void *a, const void *b)
{
        return *(const int *) a - *(const int *) b;
}

int fd_close_others(int *fds, size_t n)
{
        unsigned first = STDERR_FILENO + 1;

        qsort(fds, n, sizeof(int), compare_fds);
        for (size_t i = 0; i < n; i++) {
                unsigned fd = (unsigned) fds[i];

                if (fd > first && close_range(first, fd - 1, 0) < 0)
                        return -errno;
                first = MAX(first, fd + 1);
        }
        return close_range(first, UINT_MAX, 0) < 0 ? -errno : 0;
}

int fd_connect_unix(const char *path, int type)
{
        union {
                struct sockaddr any;
                struct sockaddr_un un;
        } address = { .un.sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        if (strlen(path) >= sizeof(address.un.sun_path))
                return -ENAMETOOLONG;
        (void) strcpy(address.un.sun_path, path);
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, &address.any, sizeof(address.un)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

ssize_t fd_send(int socket, const void *data, size_t size, int fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control.room);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        do
                n = sendmsg(socket, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/* The first descriptor of the message; any further one is closed. */
static int take_descriptor(struct msghdr *message)
{
        int found = -EBADF;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (found < 0)
                                found = fd;
                        else
                                safe_close(fd);
                }
        }
        return found;
}

ssize_t fd_receive(int socket, void *data, size_t size, int *ret_fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int) * N_FDS_RECEIVED_MAX)];
        } control = {};
        struct iovec iov = { .iov_base = data, .iov_len = size };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control.room),
        };
        ssize_t n;

        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        *ret_fd = take_descriptor(&message);
        return n;
}
