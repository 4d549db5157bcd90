/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The layers that builds leave for later ones: a folder a track, so that no build sees, or spoils, what
 * another track will be made of. Beside each folder a file NAME.size says how large it is; its time is that
 * of the last use. All of this blocks: call it from a child. */

#include "rootless/identity.h"

typedef struct CacheBounds {
        uint64_t all_bytes, folder_bytes;
} CacheBounds;

/* The folder of a track, made where missing, owned by root of a confined namespace. */
int cache_prepare(int cache_fd, const char *name, const Identity *identity) _warn_unused_;

/* More than any bound: there is more than is gone through, folders that lie too deep. */
#define CACHE_ENDLESS UINT64_MAX

/* The disk that a folder takes, as far as it can be seen, or CACHE_ENDLESS. */
int cache_measure(int cache_fd, const char *name, uint64_t *ret_bytes) _warn_unused_;

/* Removes what a build works with. */
int cache_clear_work(int cache_fd, const char *name) _warn_unused_;
/* Whether there is any of that: a build that is over left it, and it could not be removed. */
bool cache_has_work(int cache_fd, const char *name);

/* After a build: what it worked with goes, and so does the folder where it is too large, and other folders,
 * the least recently used first, until all are within their bound. */
int cache_settle(int cache_fd, const char *name, const CacheBounds *bounds) _warn_unused_;
