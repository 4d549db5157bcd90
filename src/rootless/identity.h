/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who the daemon is: the ids it may give away, and the user namespace that holds nothing but them. */

#include "basic/macro.h"

#include <sys/types.h>

/* Container ids 0 to 65535 are the image's owners, the same in all sandboxes. */
#define IDENTITY_IMAGE_IDS 65536U
/* The one id of a container that belongs to its guest, and on the host to this sandbox alone. */
#define IDENTITY_GUEST_ID 65536U

/* As many consecutive ids of a map: `container` on is `host` on. */
typedef struct IdExtent {
        uint32_t container, host, count;
} IdExtent;

#define IDENTITY_EXTENTS_MAX 2U

/* How one kind of ids (user or group) is shared out. */
typedef struct IdLayout {
        uint32_t start, count;                /* what /etc/subuid or /etc/subgid grants */
        IdExtent image[IDENTITY_EXTENTS_MAX]; /* the image's owners */
        size_t n_image;
        uint32_t first_guest, n_guests; /* host ids for guests */
} IdLayout;

typedef struct Identity {
        IdLayout uids, gids;
} Identity;

enum {
        IDENTITY_TOO_FEW = 1,  /* the range is too small for any guest */
        IDENTITY_NO_RANGE = 2, /* the user is granted none */
};

/* Pure: shares out a granted range. Where it is large enough, all ids of images are mapped; a range of
 * 65536, which is what adduser grants, is split: ids 0 to 60000 and 65533 to 65534 are mapped, guests have
 * the rest. IDENTITY_TOO_FEW. */
int id_layout_init(uint32_t start, uint32_t count, IdLayout *ret) _warn_unused_;
/* Pure: finds the largest range of a user in the text of /etc/subuid or /etc/subgid. IDENTITY_NO_RANGE. */
int id_range_find(char *text, const char *name, uid_t uid, uint32_t *ret_start,
                  uint32_t *ret_count) _warn_unused_;

/* Reads the ranges of the daemon's own user. IDENTITY_TOO_FEW, IDENTITY_NO_RANGE: `ret_error` is a new
 * string that says what to add where. */
int identity_read(Identity *ret, char **ret_error) _warn_unused_;

/* How many sandboxes can be there at once. */
static inline uint32_t identity_n_guests(const Identity *identity)
{
        return MIN(identity->uids.n_guests, identity->gids.n_guests);
}

/* Enters a new user namespace that maps only the process' own ids and its ranges, each to itself. From then
 * on nothing of this process or its children has a capability outside. The process must have one thread. */
int identity_enter(const Identity *identity) _warn_unused_;

/* Writes the maps of a child's new user namespace: the images' ids, and with `guest` >= 0 the id of that
 * guest beside them. */
int identity_write_maps(const Identity *identity, pid_t child, int64_t guest) _warn_unused_;

/* Writes the maps of a process' user namespace right below one that has the images' ids: the same ones, each
 * to itself. The caller must be root of that upper one. */
int identity_write_nested_maps(const Identity *identity, pid_t process) _warn_unused_;
