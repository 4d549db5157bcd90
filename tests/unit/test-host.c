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

#define MANAGER       "sys/fs/cgroup/user.slice/user-996.slice/user@996.service/"
#define BUILD_MANAGER "sys/fs/cgroup/user.slice/user-995.slice/user@995.service/"

static char root[] = "/tmp/test-host-XXXXXX";

static const struct {
        const char *path, *text;
} good[] = {
        { "etc/passwd", "root:x:0:0::/root:/bin/sh\npipeline-sandbox:x:996:996::/:/bin/false\n"
                        "pipeline-builder:x:994:994::/:/bin/false\n" },
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

/* What is there beside it where builds are installed. */
static const struct {
        const char *path, *text;
} good_builds[] = {
        { "usr/lib/pipeline/pipeline-buildd", "" },
        { "etc/passwd",
          "pipeline-sandbox:x:996:996::/:/bin/false\npipeline-build:x:995:995::/:/bin/false\n" },
        { "etc/subuid", "pipeline-sandbox:200000:69632\npipeline-build:300000:69632\n" },
        { "etc/subgid", "pipeline-sandbox:200000:69632\npipeline-build:300000:69632\n" },
        { "etc/systemd/system/user@995.service.d/pipeline.conf", "" },
        { "usr/lib/pipeline/build-manager.conf", "" },
        { "var/lib/systemd/linger/pipeline-build", "" },
        { "run/user/995/bus", "" },
        { BUILD_MANAGER "cgroup.controllers", "cpu memory pids\n" },
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

static int make_builder(void **state)
{
        int r = make_host(state);

        for (size_t i = 0; i < ARRAY_SIZE(good_builds); i++)
                put(good_builds[i].path, good_builds[i].text);
        return r;
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

static void without_builds_their_user_is_not_looked_at(void **state)
{
        assert_int_equal(verdict_of("build-user"), -1);
        assert_int_equal(verdict_of("build-linger"), -1);
}

/* A file with another content, or gone, and what is then said of which check. */
typedef struct Fault {
        const char *path, *text; /* NULL: gone */
        const char *check;
        HostVerdict verdict;
} Fault;

static void assert_found(const Fault *fault)
{
        _cleanup_free_ char *path = string_format("%s/%s", root, fault->path);

        assert_int_equal(verdict_of(fault->check), HOST_OK);
        if (fault->text)
                put(fault->path, fault->text);
        else
                assert_int_equal(tree_remove(AT_FDCWD, path), 0);
        assert_int_equal(verdict_of(fault->check), fault->verdict);
}

static void each_fault_is_found(void **state)
{
        static const Fault faults[] = {
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
                assert_found(&faults[i]);
                assert_int_equal(remove_host(state), 0);
                assert_int_equal(make_host(state), 0);
        }
}

static void each_fault_of_builds_is_found(void **state)
{
        static const Fault faults[] = {
                { "etc/passwd", "pipeline-sandbox:x:996:996::/:/bin/false\n", "build-user", HOST_BAD },
                { BUILD_MANAGER "cgroup.controllers", "cpu pids\n", "build-controllers", HOST_BAD },
                { "etc/subuid", "pipeline-sandbox:200000:69632\n", "build-subordinate-ids", HOST_BAD },
                { "etc/subgid", "pipeline-sandbox:200000:69632\npipeline-build:200000:69632\n",
                  "build-subordinate-ids", HOST_BAD },
                { "etc/subgid", "pipeline-sandbox:200000:69632\npipeline-build:200000:69632\n",
                  "subordinate-ids", HOST_BAD },
                { "var/lib/systemd/linger/pipeline-build", NULL, "build-linger", HOST_BAD },
                { "run/user/995", NULL, "build-user-manager", HOST_BAD },
                { "etc/systemd/system/user@995.service.d/pipeline.conf", NULL, "build-drop-in", HOST_BAD },
                { "usr/lib/pipeline/build-manager.conf", NULL, "build-drop-in", HOST_BAD },
        };

        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                assert_found(&faults[i]);
                assert_int_equal(remove_host(state), 0);
                assert_int_equal(make_builder(state), 0);
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
                { "runc", "1.1.5+ds1-1", HOST_BAD },
                { "runc", "1.1.5+ds1-1+deb12u1", HOST_DOUBTFUL },
                { "runc", "1.1.15+ds1-2+b4", HOST_DOUBTFUL },
                { "runc", "1.2.7", HOST_DOUBTFUL },
                { "runc", "1.2.8", HOST_OK },
                { "runc", "1.3.0", HOST_DOUBTFUL },
                { "runc", "1.3.3", HOST_OK },
                { "runc", "1.4.0-rc.2", HOST_DOUBTFUL },
                { "runc", "1.4.0-rc.3+dev", HOST_OK },
                { "runc", "1.4.0", HOST_OK },
                { "crun", "1.26", HOST_OK },
                { "kernel", "5.15.24", HOST_BAD },
                { "kernel", "5.15.25-generic", HOST_OK },
                { "kernel", "6.4.0", HOST_BAD },
                { "kernel", "5.15.25-rc1", HOST_BAD },
                { "kernel", "6.12.1", HOST_OK },
                { "libseccomp", "2.5.4", HOST_DOUBTFUL },
                { "libseccomp", "2.6.0", HOST_DOUBTFUL },
                { "libseccomp", "2.6.1", HOST_OK },
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

static void versions_are_found_in_what_programs_say(void **state)
{
        static const struct {
                const char *said, *version;
        } rows[] = {
                { "crun version 1.8.1\ncommit: 18b4f5a\nspec: 1.0.0\n", "1.8.1" },
                { "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n",
                  "1.1.5+ds1-1+deb12u1" },
                { "runc version 1.3.3\ncommit: v1.3.3-0-gd842d771\nspec: 1.2.1\n", "1.3.3" },
                { "systemd 252 (252.39-1~deb12u1)\n+PAM\n", "252" },
                { "no version\n", NULL },
                { "", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *found = host_version_find(rows[i].said);

                if (rows[i].version)
                        assert_string_equal(found, rows[i].version);
                else
                        assert_null(found);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_good_host_is_well, make_host, remove_host),
                cmocka_unit_test_setup_teardown(each_fault_is_found, make_host, remove_host),
                cmocka_unit_test_setup_teardown(a_good_host_is_well, make_builder, remove_host),
                cmocka_unit_test_setup_teardown(each_fault_of_builds_is_found, make_builder, remove_host),
                cmocka_unit_test_setup_teardown(without_builds_their_user_is_not_looked_at, make_host,
                                                remove_host),
                cmocka_unit_test_setup_teardown(without_the_user_it_says_so_alone, make_host, remove_host),
                cmocka_unit_test(versions_are_judged),
                cmocka_unit_test(versions_are_found_in_what_programs_say),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
