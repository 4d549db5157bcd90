/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the checks of a host look with: files below one folder, so that a test can show them any host; what
 * cannot be read by this user is as if it were not there. */

#include "host.h"

#include <sys/types.h>

/* Programs and files of the packages, below the root. */
#define HOST_PROGRAMS "usr/lib/pipeline/"

/* Who runs what is not trusted. Each is named as its package, and has a user manager that makes scopes. */
typedef struct HostUser {
        const char *name;
        const char *drop_in; /* what confines its manager, in HOST_PROGRAMS */
        uid_t uid;
        bool exists;
} HostUser;

typedef struct Host {
        int root_fd;
        bool is_this;         /* its programs can be asked */
        const HostUser *user; /* the one that is looked at */
} Host;

/* Paths are relative to the root. A text is a new string without its last newline, or NULL. */
bool host_exists(const Host *host, const char *path);
char *host_read_text(const Host *host, const char *path);
/* A file of one number; false where it is not there. */
bool host_read_number(const Host *host, const char *path, uint64_t *ret);

/* How a check ends. Both texts are taken over; NULL is "no memory", but for `mend` of what is well. */
int host_finding(HostFinding *f, HostVerdict verdict, char *text, char *mend) _warn_unused_;
int host_well(HostFinding *f, char *text) _warn_unused_;
