/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two files of the store share. */

#include "rootless/child.h"
#include "store.h"

/* Folders of the store. */
#define STORE_IMAGES   "images"   /* sha256-HEX: whole images */
#define STORE_INCOMING "incoming" /* an install each, half made */
#define STORE_REMOVED  "removed"  /* whatever is here is being removed */

/* Of an image. */
#define STORE_RECORD "image.json"

struct Store {
        char *folder; /* absolute */
        int folder_fd, lock_fd;
        Identity identity;
        sd_event *event;
        Child *sweeper;    /* removes what lies in STORE_REMOVED; */
        bool sweeps_again; /* more came meanwhile */
        size_t n_installs; /* that run */
};

/* The name of an image's folder, relative to the store's: a new string, NULL without memory. The digest is
 * one. */
char *store_image_path(const char *digest);

/* Moves something of the store (a path relative to it) to where it is removed in the background. That it is
 * not there is no error. */
int store_discard(Store *store, const char *path);
/* Removes what lies in STORE_REMOVED, in the background. */
int store_sweep(Store *store);
