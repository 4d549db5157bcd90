/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is on a connection, and what they may do. A principal is found once, when somebody connects (by ZAP);
 * each of their messages names it, and its roles are those of that moment: whose key was taken away may do
 * nothing from then on, whatever was open. */

#include "basic/hashmap.h"
#include "proto/request.h"
#include "shared/key-file.h"

#include <sys/types.h>

#define PRINCIPAL_ID_SIZE 64U
#define KEY_SIZE          32U

typedef struct Principal {
        char *name; /* "uid:1000", "loopback", "key:NAME" */
        Role roles;
        bool has_key;
        char **workers; /* of a key: the workers it may be; see KeyFile */
} Principal;

typedef struct Principals {
        Hashmap *by_id; /* User-Id of ZAP: the name, but for keys, whose id is the key itself */
        size_t n_keys;  /* that are known */
        Role loopback_roles;
        bool is_by_hand; /* started by hand: its own user may do all */
} Principals;

int principals_init(Principals *principals) _warn_unused_;
void principals_done(Principals *principals);

/* NULL where nobody of that id has connected. */
const Principal *principals_get(const Principals *principals, const char *id);

/* Whether it may say hello under this name: a key is bound to its own name, or to the names its file lists;
 * users and loopback are not bound. */
bool principal_may_be_worker(const Principal *principal, const char *name);

/* Pure: the roles of a local user. `groups` are the names of the groups they are in, NULL-ended. */
Role roles_of_user(const char *user, uid_t uid, char *const *groups);

/* Pure: who is behind "localhost:UID:GID:PID". 0, -EPERM where the address is not of that form, -ENOMEM. */
int principal_user_of_address(const char *address, uid_t *ret_uid, gid_t *ret_gid) _warn_unused_;

/* The keys that are known from now on. Entries with an error, or with a role nobody knows, are none, and are
 * logged. 0 or -ENOMEM. */
int principals_set_keys(Principals *principals, const KeyFolder *folder) _warn_unused_;

/* Who is at the door, as ZAP tells it. */
typedef struct Caller {
        const char *domain;  /* of the listener */
        const char *address; /* as libzmq writes it; unix sockets: "localhost:UID:GID:PID" */
        const char *mechanism;
        const uint8_t *key; /* CURVE: KEY_SIZE bytes, else NULL */
} Caller;

/* 0, the principal, which is new or has its roles found anew, and its id, which lies in `ret_id`; -EPERM
 * where nobody may come in; -ENOMEM. */
int principals_find(Principals *principals, const Caller *caller, char ret_id[PRINCIPAL_ID_SIZE],
                    const Principal **ret) _warn_unused_;

#define DOMAIN_UNIX     "unix"
#define DOMAIN_LOOPBACK "loopback"
#define DOMAIN_KEYS     "keys" /* any other address */
