/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel gives, and to whom: control groups, namespaces, shared cores. */

#include "host-checks.h"

#include "basic/string-util.h"

#include <inttypes.h>
#include <stdio.h>

/* Each sandbox has one of every kind, and some are parked. */
#define NAMESPACES_MIN 512U

int host_check_cgroups(const Host *host, HostFinding *f)
{
        if (host_exists(host, "sys/fs/cgroup/cgroup.controllers"))
                return host_well(f, strdup("version 2 alone"));
        return host_finding(f, HOST_BAD, strdup("version 2 is not mounted at /sys/fs/cgroup by itself"),
                            strdup("boot with systemd.unified_cgroup_hierarchy=1"));
}

int host_check_user_namespaces(const Host *host, HostFinding *f)
{
        uint64_t allowed = 1, n = 0;

        if (host_read_number(host, "proc/sys/kernel/unprivileged_userns_clone", &allowed) && allowed == 0)
                return host_finding(
                        f, HOST_BAD, strdup("users may not make them"),
                        strdup("sysctl kernel.unprivileged_userns_clone=1, also in /etc/sysctl.d"));
        if (!host_read_number(host, "proc/sys/user/max_user_namespaces", &n) || n == 0)
                return host_finding(f, HOST_BAD, strdup("the kernel has none"),
                                    strdup("sysctl user.max_user_namespaces=10000, also in /etc/sysctl.d"));
        return host_well(f, string_format("at most %" PRIu64, n));
}

int host_check_namespaces(const Host *host, HostFinding *f)
{
        static const char *const kinds[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                char path[64];
                uint64_t n;

                (void) snprintf(path, sizeof(path), "proc/sys/user/max_%s_namespaces", kinds[i]);
                if (host_read_number(host, path, &n) && n < NAMESPACES_MIN)
                        return host_finding(
                                f, HOST_DOUBTFUL, string_format("only %" PRIu64 " of kind %s", n, kinds[i]),
                                string_format("sysctl user.max_%s_namespaces=10000: each sandbox needs one",
                                              kinds[i]));
        }
        return host_well(f, string_format("at least %u of each kind", NAMESPACES_MIN));
}

int host_check_apparmor(const Host *host, HostFinding *f)
{
        uint64_t restricted = 0;

        if (host_read_number(host, "proc/sys/kernel/apparmor_restrict_unprivileged_userns", &restricted) &&
            restricted != 0)
                return host_finding(
                        f, HOST_BAD, strdup("user namespaces of programs without a profile have no rights"),
                        strdup("a profile with `userns,` for /usr/lib/pipeline/pipeline-sandboxd and the "
                               "OCI runtime, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"));
        return host_well(f, strdup("user namespaces are not restricted"));
}

int host_check_smt(const Host *host, HostFinding *f)
{
        uint64_t is_active = 0;

        if (!host_read_number(host, "sys/devices/system/cpu/smt/active", &is_active) || is_active == 0)
                return host_well(f, strdup("no two guests share a core at the same time"));
        return host_finding(
                f, HOST_DOUBTFUL, strdup("two guests may share a core at the same time, and its caches"),
                strdup("boot with nosmt, where guests must not learn about each other by timing"));
}
