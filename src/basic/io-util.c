/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads and writes, small files, and a growing byte buffer. */

#include "io-util.h"

#include "fd-util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK_SIZE 4096U

void buffer_done(Buffer *buffer)
{
        free(buffer->data);
        *buffer = (Buffer){};
}

int buffer_append(Buffer *buffer, const void *data, size_t size, size_t size_max)
{
        if (size > size_max || buffer->size > size_max - size)
                return -ENOBUFS;
        if (buffer->allocated - buffer->size < size) {
                size_t wanted = MIN(MAX(buffer->allocated * 2, buffer->size + size), size_max);
                uint8_t *grown = realloc(buffer->data, wanted);

                if (!grown)
                        return -ENOMEM;
                buffer->data = grown;
                buffer->allocated = wanted;
        }
        if (size > 0)
                memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
        return 0;
}

void buffer_consume(Buffer *buffer, size_t size)
{
        assert(size <= buffer->size);
        buffer->size -= size;
        if (buffer->size > 0)
                memmove(buffer->data, buffer->data + size, buffer->size);
}

int write_all(int fd, const void *data, size_t size)
{
        for (const uint8_t *p = data; size > 0;) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

ssize_t read_full(int fd, void *data, size_t size)
{
        size_t done = 0;

        while (done < size) {
                ssize_t n = read(fd, (uint8_t *) data + done, size - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t) n;
        }
        return (ssize_t) done;
}

static int read_to_buffer(int fd, size_t size_max, Buffer *buffer)
{
        uint8_t chunk[READ_CHUNK_SIZE];

        for (;;) {
                ssize_t n = read_full(fd, chunk, sizeof(chunk));
                int r;

                if (n < 0)
                        return (int) n;
                r = buffer_append(buffer, chunk, (size_t) n, size_max);
                if (r < 0)
                        return r == -ENOBUFS ? -EFBIG : r;
                if ((size_t) n < sizeof(chunk))
                        return buffer_append(buffer, "", 1, SIZE_MAX);
        }
}

int read_file_at(int dir_fd, const char *path, size_t size_max, char **ret_data, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_(buffer_done) Buffer buffer = {};
        int r;

        if (fd < 0)
                return -errno;
        r = read_to_buffer(fd, size_max, &buffer);
        if (r < 0)
                return r;
        if (ret_size)
                *ret_size = buffer.size - 1;
        *ret_data = (char *) TAKE_PTR(buffer.data);
        return 0;
}

static int sync_folder_of(const char *path)
{
        _cleanup_free_ char *folder = strdup(path);
        _cleanup_close_ int fd = -EBADF;
        char *slash;

        if (!folder)
                return -ENOMEM;
        slash = strrchr(folder, '/');
        if (slash == folder)
                slash++; /* the root folder keeps its slash */
        if (slash)
                *slash = '\0';
        fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return -errno;
        return 0;
}

int write_file_atomic(const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&temporary, "%s.new-XXXXXX", path) < 0)
                return -ENOMEM;
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, size);
        if (r >= 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
                r = -errno;
        if (r < 0) {
                (void) unlink(temporary);
                return r;
        }
        return sync_folder_of(path);
}
