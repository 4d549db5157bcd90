/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hosts that are well, and each way in which one is not: a small tree of files is all that is looked at. */

#include "ctl/host.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "sys/fs/cgroup/user.slice/user-996.slice/user@996.service/"

static char root[] = "/tmp/test-host-XXXXXX";

static const struct {
        const char *path, *text;
} good[] = {
        { "etc/passwd", "root:x:0:0::/root:/bin/sh\npipeline-sandbox:x:996:996::/:/bin/false\n" },
        { "etc/subuid", "you:100000:65536\npipeline-sandbox:200000:69632\n" },
        { "etc/subgid", "pipeline-sandbox:200000:69632\n" },
        { "etc/systemd/system/user@996.service.d/pipeline.conf", "" },
        { "usr/lib/pipeline/sandbox-manager.conf", "" },
        { "var/lib/systemd/linger/pipeline-sandbox", "" },
        { "run/user/996/bus", "" },
        { "sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n" },
        { MANAGER "cgroup.controllers", "cpu memory pids\n" },
        { "sys/devices/system/cpu/smt/active", "0\n" },
        { "proc/swaps", "Filename\tType\n" },
        { "proc/sys/user/max_user_namespaces", "10000\n" },
        { "proc/sys/user/max_net_namespaces", "10000\n" },
        { "proc/version",
          "Linux version 6.1.0-40 (gcc-12 (Debian 12.2.0-14)) #1 SMP Debian 6.1.153-1 (2025-09-20)\n" },
};

static void put(const char *path, const char *text)
{
        _cleanup_free_ char *full = string_format("%s/%s", root, path);
        _cleanup_close_ int fd = -EBADF;

        assert_non_null(full);
        for (char *slash = strchr(full + sizeof(root), '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void) mkdir(full, 0700);
                *slash = '/';
        }
        fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_host(void **state)
{
        (void) strcpy(root + sizeof(root) - 7, "XXXXXX");
        assert_non_null(mkdtemp(root));
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                put(good[i].path, good[i].text);
        return 0;
}

static int remove_host(void **state)
{
        return tree_remove(AT_FDCWD, root);
}

/* How one check stands; -1 where it was not made. */
static int verdict_of(const char *check)
{
        HostFinding *findings;
        int verdict = -1;
        size_t n;

        assert_int_equal(host_check(root, &findings, &n), 0);
        for (size_t i = 0; i < n; i++) {
                assert_non_null(findings[i].text);
                assert_true((findings[i].verdict == HOST_OK) == (findings[i].mend == NULL));
                if (streq(findings[i].check, check))
                        verdict = (int) findings[i].verdict;
        }
        host_findings_free(findings, n);
        return verdict;
}

static void a_good_host_is_well(void **state)
{
        HostFinding *findings;
        size_t n;

        assert_int_equal(host_check(root, &findings, &n), 0);
        assert_true(n > 10);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(findings[i].verdict, HOST_OK);
        host_findings_free(findings, n);
}

/* A file with another content, or gone, and what is then said of which check. */
static void each_fault_is_found(void **state)
{
        static const struct {
                const char *path, *text; /* NULL: gone */
                const char *check;
                HostVerdict verdict;
        } faults[] = {
                { "sys/fs/cgroup/cgroup.controllers", NULL, "cgroups", HOST_BAD },
                { MANAGER "cgroup.controllers", "cpu pids\n", "controllers", HOST_BAD },
                { MANAGER "cgroup.controllers", "cpuset memory pids\n", "controllers", HOST_BAD },
                { MANAGER "cgroup.controllers", NULL, "controllers", HOST_BAD },
                { "proc/sys/user/max_user_namespaces", "0\n", "user-namespaces", HOST_BAD },
                { "proc/sys/kernel/unprivileged_userns_clone", "0\n", "user-namespaces", HOST_BAD },
                { "proc/sys/user/max_net_namespaces", "8\n", "namespaces", HOST_DOUBTFUL },
                { "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "apparmor", HOST_BAD },
                { "etc/subuid", "you:100000:65536\n", "subordinate-ids", HOST_BAD },
                { "etc/subuid", "pipeline-sandbox:200000:65536\n", "subordinate-ids", HOST_DOUBTFUL },
                { "etc/subuid", "you:265536:65536\npipeline-sandbox:200000:69632\n", "subordinate-ids",
                  HOST_BAD },
                { "etc/subgid", NULL, "subordinate-ids", HOST_BAD },
                { "var/lib/systemd/linger/pipeline-sandbox", NULL, "linger", HOST_BAD },
                { "etc/systemd/system/user@996.service.d/pipeline.conf", NULL, "drop-in", HOST_BAD },
                { "proc/swaps", "Filename\tType\n/dev/sda2\tpartition\n", "swap", HOST_BAD },
                { "sys/devices/system/cpu/smt/active", "1\n", "smt", HOST_DOUBTFUL },
                { "proc/version", "Linux version 5.10.0-8 #1 SMP Debian 5.10.46-4 (2021-08-03)\n", "kernel",
                  HOST_BAD },
                { "proc/version", "Linux version 6.1.0-9 #1 SMP Debian 6.1.27-1 (2023-05-08)\n", "kernel",
                  HOST_BAD },
        };

        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                _cleanup_free_ char *path = string_format("%s/%s", root, faults[i].path);

                assert_int_equal(verdict_of(faults[i].check), HOST_OK);
                if (faults[i].text)
                        put(faults[i].path, faults[i].text);
                else
                        assert_int_equal(unlink(path), 0);
                assert_int_equal(verdict_of(faults[i].check), faults[i].verdict);
                assert_int_equal(remove_host(state), 0);
                assert_int_equal(make_host(state), 0);
        }
}

static void without_the_user_it_says_so_alone(void **state)
{
        put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        assert_int_equal(verdict_of("user"), HOST_BAD);
        assert_int_equal(verdict_of("controllers"), -1);
}

static void versions_are_judged(void **state)
{
        static const struct {
                const char *component, *version;
                HostVerdict verdict;
        } rows[] = {
                { "crun", "1.8.1", HOST_OK },
                { "crun", "1.4.3", HOST_BAD },
                { "runc", "1.1.5", HOST_BAD },
                { "runc", "1.2.7", HOST_DOUBTFUL },
                { "runc", "1.3.3", HOST_OK },
                { "kernel", "5.15.24", HOST_BAD },
                { "kernel", "5.15.25-generic", HOST_OK },
                { "kernel", "6.4.0", HOST_BAD },
                { "kernel", "6.12.1", HOST_OK },
                { "libseccomp", "2.5.4", HOST_OK },
                { "libseccomp", "2.6.0", HOST_DOUBTFUL },
                { "libseccomp", "2.5.3", HOST_BAD },
                { "systemd", "252", HOST_OK },
                { "systemd", "247", HOST_BAD },
                { "kernel", "unknown", HOST_DOUBTFUL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                HostFinding f = {};

                assert_int_equal(host_version_judge(rows[i].component, rows[i].version, &f), 0);
                assert_int_equal(f.verdict, rows[i].verdict);
                free(f.text);
                free(f.mend);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_good_host_is_well, make_host, remove_host),
                cmocka_unit_test_setup_teardown(each_fault_is_found, make_host, remove_host),
                cmocka_unit_test_setup_teardown(without_the_user_it_says_so_alone, make_host, remove_host),
                cmocka_unit_test(versions_are_judged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
