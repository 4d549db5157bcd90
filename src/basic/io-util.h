/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whole reads and writes, small files, and a growing byte buffer. */

#include "macro.h"

#include <sys/types.h>

/* Bytes of somebody else's. */
typedef struct Bytes {
        const void *data;
        size_t size;
} Bytes;

/* Bytes that grow up to a limit its owner names. Zero-initialised is empty. */
typedef struct Buffer {
        uint8_t *data; /* owned */
        size_t size, allocated;
} Buffer;

void buffer_done(Buffer *buffer);
/* Appends. -ENOBUFS where the buffer would come to more than `size_max` bytes, -ENOMEM. */
int buffer_append(Buffer *buffer, const void *data, size_t size, size_t size_max) _warn_unused_;
/* Drops the first `size` bytes. */
void buffer_consume(Buffer *buffer, size_t size);

/* Writes all of it to a blocking descriptor. */
int write_all(int fd, const void *data, size_t size) _warn_unused_;
/* Reads until the end or `size` bytes; returns how many came. */
ssize_t read_full(int fd, void *data, size_t size) _warn_unused_;
/* Reads a whole file below `dir_fd` (or AT_FDCWD) of at most `size_max` bytes into a new string (NUL added).
 * -EFBIG where it is larger. `ret_size` may be NULL. */
int read_file_at(int dir_fd, const char *path, size_t size_max, char **ret_data,
                 size_t *ret_size) _warn_unused_;
/* Replaces a file so that a reader, or a crash at any moment, sees the old or the new content: temporary
 * file beside it, fsync, rename, fsync of the folder. */
int write_file_atomic(const char *path, const void *data, size_t size, mode_t mode) _warn_unused_;
