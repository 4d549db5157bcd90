/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* File descriptors: closing, flags, unix sockets, passing them over a unix socket. */

#include "macro.h"

#include <errno.h>
#include <sys/types.h>

/* Closes what is open (a negative fd is allowed), keeps errno, returns -EBADF to assign. */
int safe_close(int fd);

static inline void closep(int *fd)
{
        safe_close(*fd);
}

#define _cleanup_close_ _cleanup_(closep)

int fd_set_nonblock(int fd, bool nonblock) _warn_unused_;
int fd_set_cloexec(int fd, bool cloexec) _warn_unused_;

/* Closes all but the standard ones and `fds`, which are sorted for it. For a child that was just forked. */
int fd_close_others(int *fds, size_t n) _warn_unused_;

/* A new connection to a unix socket of this type (SOCK_STREAM, and flags), or -errno. */
int fd_connect_unix(const char *path, int type) _warn_unused_;

/* Sends `size` bytes (at least one) in one message, with a descriptor where fd >= 0. Returns how many bytes
 * went (the descriptor goes with the first), or -errno (-EAGAIN on a full non-blocking socket). */
ssize_t fd_send(int socket, const void *data, size_t size, int fd) _warn_unused_;
/* Receives up to `size` bytes and at most one descriptor (close-on-exec; -EBADF where none came; any further
 * one is closed). Returns how many bytes came, 0 at the end, or -errno. */
ssize_t fd_receive(int socket, void *data, size_t size, int *ret_fd) _warn_unused_;
