/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which checks there are, of the host and of each user that runs what is not trusted, and making them. */

#include "host-checks.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BUILD_PROGRAM HOST_PROGRAMS "pipeline-buildd"

const char *host_verdict_name(HostVerdict verdict)
{
        static const char *const names[_HOST_VERDICT_MAX] = {
                [HOST_OK] = "ok", [HOST_DOUBTFUL] = "doubtful", [HOST_BAD] = "bad"
        };

        return names[verdict];
}

/* The tables */

typedef struct HostCheck {
        const char *name;
        int (*check)(const Host *host, HostFinding *f);
        bool needs_user;
} HostCheck;

static const HostCheck checks[] = {
        { "cgroups", host_check_cgroups },
        { "user", host_check_user },
        { "controllers", host_check_controllers, true },
        { "user-namespaces", host_check_user_namespaces },
        { "namespaces", host_check_namespaces },
        { "apparmor", host_check_apparmor },
        { "subordinate-ids", host_check_subordinate_ids },
        { "linger", host_check_linger },
        { "user-manager", host_check_manager, true },
        { "drop-in", host_check_drop_in, true },
        { "swap", host_check_swap, true },
        { "smt", host_check_smt },
        { "kernel", host_check_kernel },
        { "systemd", host_check_systemd },
        { "crun", host_check_crun },
        { "runc", host_check_runc },
        { "libseccomp", host_check_libseccomp },
};

/* Of the user of builds, where they are installed. */
static const HostCheck build_checks[] = {
        { "build-user", host_check_user },
        { "build-controllers", host_check_controllers, true },
        { "build-subordinate-ids", host_check_subordinate_ids },
        { "build-linger", host_check_linger },
        { "build-user-manager", host_check_manager, true },
        { "build-drop-in", host_check_drop_in, true },
};

static HostUser find_user(const Host *host, const char *name, const char *drop_in)
{
        _cleanup_free_ char *text = host_read_text(host, "etc/passwd");
        HostUser user = { .name = name, .drop_in = drop_in };
        char *rest = text;

        for (char *line; text && (line = strsep(&rest, "\n"));) {
                const char *behind = string_after(line, name);
                unsigned uid;

                if (!behind || sscanf(behind, ":%*[^:]:%u:", &uid) != 1)
                        continue;
                user.uid = uid;
                user.exists = true;
        }
        return user;
}

void host_findings_free(HostFinding *findings, size_t n)
{
        for (size_t i = 0; findings && i < n; i++) {
                free(findings[i].text);
                free(findings[i].mend);
        }
        free(findings);
}

/* Appends to `findings`, which has room. */
static int run_checks(const Host *host, const HostCheck *list, size_t n, HostFinding *findings,
                      size_t *n_findings)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (list[i].needs_user && !host->user->exists)
                        continue;
                findings[*n_findings].check = list[i].name;
                r = list[i].check(host, &findings[(*n_findings)++]);
        }
        return r;
}

int host_check(const char *root, HostFinding **ret, size_t *ret_n)
{
        _cleanup_close_ int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        Host host = { .root_fd = root_fd, .is_this = streq(root, "/") };
        HostUser sandbox, build;
        HostFinding *findings;
        size_t n = 0;
        int r;

        if (root_fd < 0)
                return -errno;
        findings = calloc(ARRAY_SIZE(checks) + ARRAY_SIZE(build_checks), sizeof(*findings));
        if (!findings)
                return -ENOMEM;
        sandbox = find_user(&host, "pipeline-sandbox", "sandbox-manager.conf");
        build = find_user(&host, "pipeline-build", "build-manager.conf");
        host.user = &sandbox;
        r = run_checks(&host, checks, ARRAY_SIZE(checks), findings, &n);
        host.user = &build;
        if (r >= 0 && host_exists(&host, BUILD_PROGRAM))
                r = run_checks(&host, build_checks, ARRAY_SIZE(build_checks), findings, &n);
        if (r < 0) {
                host_findings_free(findings, n);
                return r;
        }
        *ret = findings;
        *ret_n = n;
        return 0;
}
