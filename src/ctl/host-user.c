/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a service's user has: ids of its own, and a user manager that runs, may set limits, and has nothing
 * to give. */

#include "host-checks.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

/* 65536 of images, and some guests. */
#define SUBORDINATE_IDS_MIN (UINT64_C(65536) + 16)

int host_check_user(const Host *host, HostFinding *f)
{
        const HostUser *user = host->user;

        if (user->exists)
                return host_well(f, string_format("the user %s is %u", user->name, user->uid));
        return host_finding(f, HOST_BAD, string_format("there is no user %s", user->name),
                            string_format("install the package %s, or run systemd-sysusers", user->name));
}

/* Its user manager */

static char *manager_file(const Host *host, const char *name)
{
        return string_format("sys/fs/cgroup/user.slice/user-%u.slice/user@%u.service/%s", host->user->uid,
                             host->user->uid, name);
}

static bool has_word(const char *text, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = text; (p = strstr(p, word)); p += n)
                if ((p == text || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' ' || p[n] == '\n'))
                        return true;
        return false;
}

int host_check_controllers(const Host *host, HostFinding *f)
{
        static const char *const wanted[] = { "memory", "pids", "cpu" };
        _cleanup_free_ char *path = manager_file(host, "cgroup.controllers"), *text = NULL;

        if (!path)
                return -ENOMEM;
        text = host_read_text(host, path);
        if (!text)
                return host_finding(f, HOST_BAD,
                                    strdup("the user manager has no control group: it does not run"),
                                    string_format("systemctl start user@%u.service", host->user->uid));
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (!has_word(text, wanted[i]))
                        return host_finding(f, HOST_BAD,
                                            string_format("the user manager is not given %s", wanted[i]),
                                            strdup("a drop-in for user@.service with [Service] Delegate=cpu "
                                                   "memory pids; in a container the machine around it "
                                                   "must delegate them"));
        return host_well(f, string_format("the user manager has %s", text));
}

int host_check_linger(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *path = string_format("var/lib/systemd/linger/%s", host->user->name);

        if (!path)
                return -ENOMEM;
        if (host_exists(host, path))
                return host_well(f, strdup("the user manager starts at boot"));
        return host_finding(f, HOST_BAD, strdup("the user manager is not started at boot"),
                            string_format("loginctl enable-linger %s", host->user->name));
}

int host_check_manager(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *path = string_format("run/user/%u", host->user->uid);

        if (!path)
                return -ENOMEM;
        if (host_exists(host, path))
                return host_well(f, strdup("it runs"));
        return host_finding(f, HOST_BAD, strdup("it does not run"),
                            string_format("systemctl start user@%u.service", host->user->uid));
}

int host_check_drop_in(const Host *host, HostFinding *f)
{
        const HostUser *user = host->user;
        _cleanup_free_ char *path = string_format("etc/systemd/system/user@%u.service.d/pipeline.conf",
                                                  user->uid),
                            *target = string_format(HOST_PROGRAMS "%s", user->drop_in);

        if (!path || !target)
                return -ENOMEM;
        /* The link of the package leads to an absolute path. */
        if (faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && host_exists(host, target))
                return host_well(f, strdup("the user manager has nothing to give"));
        return host_finding(
                f, HOST_BAD, strdup("the user manager is not confined"),
                string_format("mkdir -p /etc/systemd/system/user@%u.service.d && ln -sf /%s /%s && "
                              "systemctl daemon-reload && systemctl restart user@%u.service",
                              user->uid, target, path, user->uid));
}

int host_check_swap(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *swaps = host_read_text(host, "proc/swaps"),
                            *path = manager_file(host, "memory.swap.max");
        const char *first = swaps ? strchr(swaps, '\n') : NULL;

        if (!path)
                return -ENOMEM;
        if (!first || first[1] == '\0')
                return host_well(f, strdup("there is none"));
        if (host_exists(host, path))
                return host_well(f, strdup("there is, and guests get none of it"));
        return host_finding(f, HOST_BAD, strdup("there is, and the kernel does not account for it"),
                            strdup("boot with swapaccount=1, or swapoff -a"));
}

/* Its subordinate ids */

static bool split_range(char *line, char **ret_name, uint64_t *ret_first, uint64_t *ret_n)
{
        char *rest = line, *first;

        *ret_name = strsep(&rest, ":");
        first = strsep(&rest, ":");
        return first && rest && parse_uint64(first, 0, UINT32_MAX, ret_first) >= 0 &&
               parse_uint64(rest, 0, UINT32_MAX, ret_n) >= 0;
}

/* The largest range of the user's own in a file of NAME:FIRST:NUMBER. */
static void find_own_range(const char *text, const char *user, uint64_t *ret_first, uint64_t *ret_n)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *name;
        uint64_t first, n;

        *ret_n = 0;
        for (char *line; copy && (line = strsep(&rest, "\n"));)
                if (split_range(line, &name, &first, &n) && streq(name, user) && n > *ret_n) {
                        *ret_first = first;
                        *ret_n = n;
                }
}

/* Whom else some of these ids are given to; a new string or NULL. */
static char *find_overlap(const char *text, const char *user, uint64_t own_first, uint64_t own_n)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *name;
        uint64_t first, n;

        for (char *line; copy && (line = strsep(&rest, "\n"));)
                if (split_range(line, &name, &first, &n) && !streq(name, user) &&
                    first < own_first + own_n && own_first < first + n)
                        return strdup(name);
        return NULL;
}

static int check_id_file(const Host *host, const char *path, HostFinding *f)
{
        _cleanup_free_ char *text = host_read_text(host, path), *other = NULL;
        const char *user = host->user->name;
        uint64_t first = 0, n = 0;

        find_own_range(text ?: "", user, &first, &n);
        if (n < SUBORDINATE_IDS_MIN)
                return host_finding(
                        f, n == 0 ? HOST_BAD : HOST_DOUBTFUL,
                        string_format("/%s gives %s %" PRIu64 " ids", path, user, n),
                        string_format("a line such as %s:200000:69632 in /%s, of ids that nobody else has",
                                      user, path));
        other = find_overlap(text, user, first, n);
        if (other)
                return host_finding(f, HOST_BAD,
                                    string_format("/%s gives some of them to %s too", path, other),
                                    string_format("give %s a range of its own in /%s", user, path));
        return host_well(f, string_format("%" PRIu64 " from %" PRIu64 " on", n, first));
}

int host_check_subordinate_ids(const Host *host, HostFinding *f)
{
        int r = check_id_file(host, "etc/subuid", f);

        if (r < 0 || f->verdict != HOST_OK)
                return r;
        free(f->text);
        return check_id_file(host, "etc/subgid", f);
}
