/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix socket: the peer's uid, as the kernel tells it, decides. The package's workers and builders are
 * workers and nothing else, whatever groups they are in; root and the members of the group `pipeline` may do
 * all; who else got through the socket's mode may ask and submit. Loopback: everybody there is one
 * principal. Any other address: the key, which libzmq has seen used before it asks. */

#include "principal.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#define ADMIN_GROUP    "pipeline"
#define N_GROUPS_MAX   256
#define NSS_BUFFER_MAX 16384U

#define NAME_SHOWN_MAX 100U

#define PRINCIPAL_KEY_PREFIX "key:"
#define PRINCIPAL_NAME_SIZE  80U

int principals_init(Principals *principals)
{
        principals->by_id = hashmap_new();
        return principals->by_id ? 0 : -ENOMEM;
}

static void principal_free(Principal *principal)
{
        free(principal->name);
        strv_free(principal->workers);
        free(principal);
}

void principals_done(Principals *principals)
{
        if (principals->by_id)
                HASHMAP_FOREACH(Principal, principal, principals->by_id)
                        principal_free(principal);
        principals->by_id = hashmap_free(principals->by_id);
}

const Principal *principals_get(const Principals *principals, const char *id)
{
        return hashmap_get_str(principals->by_id, id);
}

static bool pattern_fits(const char *pattern, const char *name)
{
        size_t n = strlen(pattern);

        if (n > 0 && pattern[n - 1] == '*')
                return strncmp(pattern, name, n - 1) == 0;
        return streq(pattern, name);
}

bool principal_may_be_worker(const Principal *principal, const char *name)
{
        if (!principal->has_key)
                return true;
        if (!principal->workers)
                return streq(principal->name + strlen(PRINCIPAL_KEY_PREFIX), name);
        for (char **pattern = principal->workers; *pattern; pattern++)
                if (pattern_fits(*pattern, name))
                        return true;
        return false;
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

int principal_user_of_address(const char *address, uid_t *ret_uid, gid_t *ret_gid)
{
        _cleanup_free_ char *copy = strdup(string_after(address, "localhost:") ?: "");
        char *rest = copy, *uid_text = strsep(&rest, ":"), *gid_text = strsep(&rest, ":");
        uint64_t uid, gid;

        if (!copy)
                return -ENOMEM;
        if (!gid_text || !rest || parse_uint64(uid_text, 0, UINT32_MAX - 1, &uid) < 0 ||
            parse_uint64(gid_text, 0, UINT32_MAX - 1, &gid) < 0)
                return -EPERM;
        *ret_uid = (uid_t) uid;
        *ret_gid = (gid_t) gid;
        return 0;
}

static Principal *principal_new(const char *name)
{
        Principal *principal = calloc(1, sizeof(Principal));

        if (!principal)
                return NULL;
        principal->name = strdup(name);
        if (principal->name)
                return principal;
        free(principal);
        return NULL;
}

/* The principal of that id, with these roles from now on. */
static int principals_put(Principals *principals, const char *id, const char *name, Role roles,
                          Principal **ret)
{
        Principal *principal = hashmap_get_str(principals->by_id, id);

        if (!principal) {
                principal = principal_new(name);
                if (!principal)
                        return -ENOMEM;
                if (hashmap_put_str(principals->by_id, id, principal) < 0) {
                        principal_free(principal);
                        return -ENOMEM;
                }
        }
        principal->roles = roles;
        *ret = principal;
        return 0;
}

static int find_user(Principals *principals, const Caller *caller, char *ret_id, Principal **ret)
{
        _cleanup_(strv_freep) char **groups = NULL;
        _cleanup_free_ char *user = NULL;
        uid_t uid;
        gid_t gid;
        Role roles;
        int r = principal_user_of_address(caller->address, &uid, &gid);

        if (r < 0)
                return r;
        r = read_user(uid, gid, &user, &groups);
        if (r < 0)
                return r;
        roles = roles_of_user(user, uid, groups);
        if (principals->is_by_hand && uid == geteuid())
                roles = ROLE_ALL;
        (void) snprintf(ret_id, PRINCIPAL_ID_SIZE, "uid:%u", uid);
        return principals_put(principals, ret_id, ret_id, roles, ret);
}

static int find_loopback(Principals *principals, const Caller *caller, char *ret_id, Principal **ret)
{
        (void) snprintf(ret_id, PRINCIPAL_ID_SIZE, "loopback");
        return principals_put(principals, ret_id, ret_id, principals->loopback_roles, ret);
}

/* Those that are known were put there when the folder was read. */
static int find_key(Principals *principals, const Caller *caller, char *ret_id, Principal **ret)
{
        char text[KEY_TEXT_SIZE];

        if (!caller->key || !zmq_z85_encode(text, caller->key, KEY_SIZE))
                return -EPERM;
        (void) snprintf(ret_id, PRINCIPAL_ID_SIZE, PRINCIPAL_KEY_PREFIX "%s", text);
        *ret = hashmap_get_str(principals->by_id, ret_id);
        return *ret && (*ret)->roles != 0 ? 0 : -EPERM;
}

int principals_find(Principals *principals, const Caller *caller, char ret_id[PRINCIPAL_ID_SIZE],
                    const Principal **ret)
{
        static const struct {
                const char *domain, *mechanism;
                int (*find)(Principals *principals, const Caller *caller, char *ret_id, Principal **ret);
        } domains[] = {
                { DOMAIN_UNIX, "NULL", find_user },
                { DOMAIN_LOOPBACK, "NULL", find_loopback },
                { DOMAIN_KEYS, "CURVE", find_key },
        };

        for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
                Principal *principal = NULL;
                int r;

                if (!streq(caller->domain, domains[i].domain))
                        continue;
                if (!streq(caller->mechanism, domains[i].mechanism))
                        return -EPERM;
                r = domains[i].find(principals, caller, ret_id, &principal);
                if (r == 0)
                        *ret = principal;
                return r;
        }
        return -EPERM;
}

/* Keys */

static void log_bad_key(const KeyEntry *entry, const char *error)
{
        _cleanup_free_ char *name = string_escape(entry->name, strlen(entry->name), NAME_SHOWN_MAX);

        log_struct(LOG_ERR, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_KEY_BAD }), "The key %s is of no use: %s",
                   name ?: "", error);
}

/* 0, -ENOMEM, or KEY_BAD (logged). */
static int roles_of_key(const KeyEntry *entry, Role *ret)
{
        const char *error = entry->error;
        Role roles = 0;

        if (!error && !slug_is_valid(entry->name))
                error = "this is no name: letters, digits, '-' and '_', at most 64 of them";
        for (char **text = entry->file.roles; !error && text && *text; text++) {
                Role role = role_from_string(*text);

                if (role == 0)
                        error = "its roles must be of worker, submit, deploy, admin";
                roles |= role;
        }
        if (!error && roles == 0)
                error = "it has no role";
        if (error) {
                log_bad_key(entry, error);
                return KEY_BAD;
        }
        *ret = roles;
        return 0;
}

static int put_key(Principals *principals, const KeyEntry *entry)
{
        char id[PRINCIPAL_ID_SIZE], name[PRINCIPAL_NAME_SIZE];
        Principal *principal;
        Role roles;
        int r = roles_of_key(entry, &roles);

        if (r != 0)
                return r == KEY_BAD ? 0 : r;
        (void) snprintf(id, sizeof(id), PRINCIPAL_KEY_PREFIX "%s", entry->file.public);
        (void) snprintf(name, sizeof(name), PRINCIPAL_KEY_PREFIX "%s", entry->name);
        r = principals_put(principals, id, name, roles, &principal);
        if (r < 0)
                return r;
        principal->has_key = true;
        if (!streq(principal->name, name)) { /* the same key under another name */
                free(principal->name);
                principal->name = strdup(name);
        }
        for (char **worker = entry->file.workers; r == 0 && worker && *worker; worker++)
                r = strv_extend(&principal->workers, *worker);
        return principal->name ? r : -ENOMEM;
}

int principals_set_keys(Principals *principals, const KeyFolder *folder)
{
        int r = 0;

        HASHMAP_FOREACH(Principal, principal, principals->by_id)
                if (principal->has_key) {
                        principal->roles = 0;
                        strv_free(principal->workers);
                        principal->workers = NULL;
                }
        principals->n_keys = 0;
        for (size_t i = 0; r == 0 && i < folder->n_entries; i++)
                r = put_key(principals, &folder->entries[i]);
        HASHMAP_FOREACH(Principal, principal, principals->by_id)
                principals->n_keys += principal->has_key && principal->roles != 0;
        return r;
}
