/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix socket: the peer's uid, as the kernel tells it, decides. The package's workers and builders are
 * workers and nothing else, whatever groups they are in; root and the members of the group `pipeline` may do
 * all; who else got through the socket's mode may ask and submit. Loopback: everybody there is one
 * principal. */

#include "principal.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#define ADMIN_GROUP    "pipeline"
#define N_GROUPS_MAX   256
#define NSS_BUFFER_MAX 16384U

int principals_init(Principals *principals)
{
        principals->by_name = hashmap_new();
        return principals->by_name ? 0 : -ENOMEM;
}

void principals_done(Principals *principals)
{
        if (principals->by_name)
                HASHMAP_FOREACH(Principal, principal, principals->by_name) {
                        free(principal->name);
                        free(principal);
                }
        principals->by_name = hashmap_free(principals->by_name);
}

const Principal *principals_get(const Principals *principals, const char *name)
{
        return hashmap_get_str(principals->by_name, name);
}

Role roles_of_user(const char *user, uid_t uid, char *const *groups)
{
        if (uid == 0)
                return ROLE_ALL;
        if (streq(user, "pipeline-worker") || streq(user, "pipeline-builder"))
                return ROLE_WORKER;
        return strv_contains(groups, ADMIN_GROUP) ? ROLE_ALL : ROLE_SUBMIT;
}

static int add_group_name(gid_t gid, char ***groups)
{
        char buffer[NSS_BUFFER_MAX];
        struct group group, *found = NULL;

        if (getgrgid_r(gid, &group, buffer, sizeof(buffer), &found) != 0 || !found)
                return 0; /* a group without a name is none of ours */
        return strv_extend(groups, found->gr_name);
}

/* The user's name (empty where they have none) and groups, `gid` among them. */
static int read_user(uid_t uid, gid_t gid, char **ret_name, char ***ret_groups)
{
        _cleanup_(strv_freep) char **groups = NULL;
        gid_t gids[N_GROUPS_MAX];
        char buffer[NSS_BUFFER_MAX];
        struct passwd user, *found = NULL;
        int n = N_GROUPS_MAX, r = add_group_name(gid, &groups);

        (void) getpwuid_r(uid, &user, buffer, sizeof(buffer), &found);
        if (!found || getgrouplist(found->pw_name, found->pw_gid, gids, &n) < 0)
                n = 0;
        for (int i = 0; i < n && r == 0; i++)
                r = add_group_name(gids[i], &groups);
        *ret_name = strdup(found ? found->pw_name : "");
        if (r < 0 || !*ret_name)
                return -ENOMEM;
        *ret_groups = TAKE_PTR(groups);
        return 0;
}

static int user_from_address(const char *address, uid_t *ret_uid, gid_t *ret_gid)
{
        unsigned uid, gid;

        if (sscanf(address, "localhost:%u:%u:", &uid, &gid) != 2)
                return -EPERM;
        *ret_uid = uid;
        *ret_gid = gid;
        return 0;
}

/* The principal of that name, with these roles from now on. */
static int principals_put(Principals *principals, const char *name, Role roles, const Principal **ret)
{
        Principal *principal = hashmap_get_str(principals->by_name, name);
        int r = 0;

        if (!principal) {
                principal = calloc(1, sizeof(Principal));
                if (!principal)
                        return -ENOMEM;
                principal->name = strdup(name);
                r = principal->name ? hashmap_put_str(principals->by_name, name, principal) : -ENOMEM;
        }
        if (r < 0) {
                free(principal->name);
                free(principal);
                return r;
        }
        principal->roles = roles;
        *ret = principal;
        return 0;
}

static int find_user(Principals *principals, const char *address, const Principal **ret)
{
        _cleanup_(strv_freep) char **groups = NULL;
        _cleanup_free_ char *user = NULL;
        char name[32];
        uid_t uid;
        gid_t gid;
        Role roles;
        int r = user_from_address(address, &uid, &gid);

        if (r < 0)
                return r;
        r = read_user(uid, gid, &user, &groups);
        if (r < 0)
                return r;
        roles = roles_of_user(user, uid, groups);
        if (principals->is_by_hand && uid == geteuid())
                roles = ROLE_ALL;
        (void) snprintf(name, sizeof(name), "uid:%u", uid);
        return principals_put(principals, name, roles, ret);
}

int principals_find(Principals *principals, const char *domain, const char *address, const Principal **ret)
{
        if (streq(domain, DOMAIN_UNIX))
                return find_user(principals, address, ret);
        if (streq(domain, DOMAIN_LOOPBACK))
                return principals_put(principals, "loopback", principals->loopback_roles, ret);
        return -EPERM;
}
