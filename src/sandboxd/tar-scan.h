/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A look at the headers of a tar as it passes by: what no image may hold is refused by name, before anything
 * unpacks it. It is not what keeps the host safe; that is the namespace in which the unpacking happens. */

#include "basic/io-util.h"

#define TAR_BLOCK_SIZE 512U

/* What can be wrong; `ret_error` is a new string then (NULL without memory). */
enum {
        TAR_BAD = 1,
};

/* Who unpacks a tar remembers each name in it. */
typedef struct TarUse {
        uint64_t entries;
        uint64_t name_bytes; /* of names, and of whatever else is said of entries beside their headers */
} TarUse;

/* Zero-initialised is the start. */
typedef struct TarScan {
        uint8_t block[TAR_BLOCK_SIZE]; /* the header that is coming in */
        size_t block_size;
        Buffer extended;        /* the records of a pax header that is coming in */
        uint64_t extended_left; /* bytes of it that are to come, */
        uint64_t skip;          /* and of what does not matter: contents, padding */
        uint64_t size_override; /* from a pax header, for the next entry */
        bool has_override, is_ended;
        TarUse use;
} TarScan;

void tar_scan_done(TarScan *scan);
/* The next bytes. TAR_BAD, where it uses more than `limits` too. */
int tar_scan_feed(TarScan *scan, const uint8_t *data, size_t size, const TarUse *limits,
                  char **ret_error) _warn_unused_;
/* After the last byte. TAR_BAD where the tar ends in the middle of an entry. */
int tar_scan_finish(const TarScan *scan, char **ret_error) _warn_unused_;
