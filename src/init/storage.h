/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one writable file system of a container: made with its limits, filled with the input before the guest
 * starts, measured, and read from when the guest is dead. */

#include "basic/fd-util.h"
#include "proto/frame.h"

#define STORAGE_INPUT_FOLDER "/mnt/exercism-iteration"

typedef struct Storage {
        int folder_fd; /* STORAGE_INPUT_FOLDER, for input and results */
        int file_fd;   /* the input file being written, or negative */
        uint32_t guest_id;
} Storage;

#define STORAGE_INIT                                   \
        (Storage)                                      \
        {                                              \
                .folder_fd = -EBADF, .file_fd = -EBADF \
        }

/* Mounts it over /tmp, /dev/shm and STORAGE_INPUT_FOLDER. `ret_what` says what failed. */
int storage_mount(Storage *storage, const InitSetup *setup, const char **ret_what) _warn_unused_;

/* Makes a new file for the guest, and the folders it lies in; the one before is closed. The path was
 * checked. */
int storage_begin_file(Storage *storage, const char *path, bool executable) _warn_unused_;
int storage_append(Storage *storage, const void *data, size_t size) _warn_unused_;
void storage_end_file(Storage *storage);

typedef struct StorageUse {
        uint64_t size, inodes;
        bool is_over; /* more was asked for than the limits allow */
} StorageUse;
int storage_measure(const Storage *storage, StorageUse *ret) _warn_unused_;

/* Opens a result for reading; nothing of the guest may run any more. With RESULT_OK there is a descriptor of
 * a regular file of `ret_size` bytes, at most `size_max`. Cannot fail otherwise than by state. */
ResultState storage_open_result(const Storage *storage, const char *name, uint64_t size_max, int *ret_fd,
                                uint64_t *ret_size) _warn_unused_;
