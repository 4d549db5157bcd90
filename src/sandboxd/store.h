/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The image store: one folder an image, named by the digest of its manifest, made whole or not at all. */

#include "rootless/identity.h"

#include "basic/time-util.h"

#include <systemd/sd-event.h>

typedef struct Store Store;

/* Opens (and makes where missing) the folder, locks it, and begins to remove what an earlier process left
 * half made or half removed. The caller has entered the identity (identity_enter()); it is copied, the event
 * loop is referenced. -EBUSY where another process has the folder. */
int store_open(const char *folder, const Identity *identity, sd_event *event, Store **ret) _warn_unused_;
/* Every StoreInstall of it was freed before. */
Store *store_free(Store *store);
DEFINE_CLEANUP(Store *, store_free)

/* Conditions; also the status codes of docs/PROTOCOL.md that they are answered with. */
enum {
        STORE_BAD_DIGEST = 400,
        STORE_BAD_PROBE = 400,
        STORE_FULL = 503,    /* too many installs at once */
        STORE_MISSING = 511, /* the image is not there */
        STORE_BAD_IMAGE = 512,
};

/* The absolute path of an image's root file system, as a new string. STORE_BAD_DIGEST, STORE_MISSING. */
int store_find(const Store *store, const char *digest, char **ret_rootfs) _warn_unused_;
/* The digests of all images. */
int store_images(const Store *store, char ***ret) _warn_unused_;
/* When it was used last, on the real-time clock; that it was used now. STORE_BAD_DIGEST, STORE_MISSING. */
int store_used(const Store *store, const char *digest, usec_t *ret_usec) _warn_unused_;
int store_touch(const Store *store, const char *digest) _warn_unused_;
/* Room that the store's file system has. */
int store_free_size(const Store *store, uint64_t *ret) _warn_unused_;
/* Takes an image away: it is gone when this returns, its files follow. That nothing runs in it is the
 * caller's to see. STORE_BAD_DIGEST, STORE_MISSING. */
int store_remove(Store *store, const char *digest) _warn_unused_;

/* What the answer to `install` holds besides `code`, as JSON text of an object: `config`, `size`, and
 * `probed`, where each path (absolute, inside the image, links followed inside it) is `executable`, `file`,
 * `folder` or null, as the guest sees it; it fits into one frame. STORE_BAD_DIGEST, STORE_MISSING,
 * STORE_BAD_PROBE where they are too many, too long or not absolute. */
int store_describe(const Store *store, const char *digest, char *const *probe,
                   char **ret_json) _warn_unused_;

/* An install under way. Everything that reads the image's bytes runs in a child of its own, as root of a
 * user namespace that holds the images' ids only, and that sees no other image. */
typedef struct StoreInstall StoreInstall;

/* Called once, from the event loop: code 0, or 500 or 512 with an error that says what is wrong with which
 * part of the image. `error` is borrowed. The handler may free the install. */
typedef void (*StoreInstallHandler)(StoreInstall *install, int code, const char *error, void *userdata);

/* STORE_BAD_DIGEST. (That the image is there already is for the caller to ask first; installing it again
 * does no harm.) */
int store_install_new(Store *store, const char *digest, StoreInstall **ret) _warn_unused_;
/* Ends the child and takes away what it made, unless it is done. NULL is allowed. */
StoreInstall *store_install_free(StoreInstall *install);
DEFINE_CLEANUP(StoreInstall *, store_install_free)
/* A blob, as it came in a BLOB frame: `digest` is its payload (not ended by NUL). The descriptor is taken
 * over, whatever is returned. STORE_BAD_DIGEST, STORE_BAD_IMAGE where they are too many or it is no regular
 * file. */
int store_install_add_blob(StoreInstall *install, const char *digest, size_t digest_size,
                           int fd) _warn_unused_;
/* Starts the work. STORE_FULL. */
int store_install_start(StoreInstall *install, StoreInstallHandler handler, void *userdata) _warn_unused_;
