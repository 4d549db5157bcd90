/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is on a connection, and what they may do. A principal is found once, when somebody connects (by ZAP);
 * each of their messages names it. */

#include "basic/hashmap.h"
#include "proto/request.h"

#include <sys/types.h>

typedef struct Principal {
        char *name; /* "uid:1000", "loopback" */
        Role roles;
} Principal;

typedef struct Principals {
        Hashmap *by_name;
        Role loopback_roles;
        bool is_by_hand; /* started by hand: its own user may do all */
} Principals;

int principals_init(Principals *principals) _warn_unused_;
void principals_done(Principals *principals);

/* NULL where nobody of that name has connected. */
const Principal *principals_get(const Principals *principals, const char *name);

/* Pure: the roles of a local user. `groups` are the names of the groups they are in, NULL-ended. */
Role roles_of_user(const char *user, uid_t uid, char *const *groups);

/* Who a ZAP request speaks of: `domain` of the listener, `address` as libzmq writes it (unix sockets:
 * "localhost:UID:GID:PID"). 0 and the principal, which is new or has its roles found anew; -EPERM where
 * nobody may come in; -ENOMEM. */
int principals_find(Principals *principals, const char *domain, const char *address,
                    const Principal **ret) _warn_unused_;

#define DOMAIN_UNIX     "unix"
#define DOMAIN_LOOPBACK "loopback"
