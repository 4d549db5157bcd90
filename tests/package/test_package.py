# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages: what installing them made, what an upgrade keeps, that a purge leaves nothing.

The cases share one machine and run in the order of their names; the last one takes the packages away.
"""

import glob
import grp
import itertools
import os
import pwd
import subprocess
import unittest

USERS = ["pipeline-router", "pipeline-worker", "pipeline-sandbox", "pipeline-builder", "pipeline-build"]
ROOTLESS = ["pipeline-sandbox", "pipeline-build"]
DEBS = sorted(glob.glob("/packages/*.deb"))
APT = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"]
WORKER = "pipeline-worker@any-1.service"
BUILDER = "pipeline-builder@any-1.service"


def run(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL).stdout


def unit_property(unit, name):
    return run("systemctl", "show", "-P", name, unit).strip()


def subordinate_ranges(path):
    with open(path, encoding="utf-8") as lines:
        return [(name, int(first), int(n)) for name, first, n in (line.strip().split(":") for line in lines)]


def manager(user):
    return f"user@{pwd.getpwnam(user).pw_uid}.service"


class Packages(unittest.TestCase):
    def test_1_users_and_folders_are_there(self):
        for user in USERS:
            self.assertNotEqual(pwd.getpwnam(user).pw_uid, 0)
        self.assertIn("pipeline-worker", grp.getgrnam("pipeline").gr_mem)
        self.assertNotIn("pipeline-sandbox", grp.getgrnam("pipeline").gr_mem)
        registry = os.stat("/var/lib/pipeline/registry")
        self.assertEqual(registry.st_mode & 0o7777, 0o2775)
        self.assertEqual(registry.st_gid, grp.getgrnam("pipeline").gr_gid)

    def test_1_who_runs_what_others_wrote_has_ids_of_its_own(self):
        for path, user in itertools.product(("/etc/subuid", "/etc/subgid"), ROOTLESS):
            ranges = subordinate_ranges(path)
            mine = [r for r in ranges if r[0] == user]
            self.assertEqual(len(mine), 1)
            _, first, n = mine[0]
            self.assertGreaterEqual(n, 65536 + 1024)
            for name, other, m in ranges:
                if name != user:
                    self.assertTrue(other + m <= first or first + n <= other, f"{path}: overlaps {name}")

    def test_1_who_may_what_follows_from_groups(self):
        self.assertIn("pipeline-builder", grp.getgrnam("pipeline").gr_mem)
        self.assertIn("pipeline-builder", grp.getgrnam("pipeline-worker").gr_mem)
        self.assertEqual(grp.getgrnam("pipeline-builder").gr_mem, [])
        self.assertNotIn("pipeline-build", grp.getgrnam("pipeline").gr_mem)

    def test_1_services_run(self):
        for unit in ("pipeline-router.socket", "pipeline-router.service", "pipeline-sandbox.socket",
                     "pipeline-build.socket", *map(manager, ROOTLESS)):
            self.assertEqual(unit_property(unit, "ActiveState"), "active", unit)
        self.assertEqual(run("systemctl", "list-units", "--failed", "--no-legend", "--plain"), "")

    def test_1_the_manager_has_the_drop_in(self):
        for unit in map(manager, ROOTLESS):
            self.assertEqual(unit_property(unit, "NoNewPrivileges"), "yes")
            self.assertEqual(unit_property(unit, "PrivateNetwork"), "yes")

    def test_1_units_are_hardened(self):
        for unit, most in ((BUILDER, 1.5), ("pipeline-build.service", 3.0)):
            score = float(run("systemd-analyze", "security", "--no-pager", unit).rsplit(":", 1)[1].split()[0])
            self.assertLessEqual(score, most, unit)

    def test_2_an_upgrade_restarts_services_and_keeps_sockets(self):
        run("systemctl", "start", WORKER, BUILDER)
        services = ["pipeline-router.service", "pipeline-sandbox.service", "pipeline-build.service", WORKER, BUILDER]
        run("systemctl", "start", *services)
        before = {unit: unit_property(unit, "InvocationID") for unit in services}
        sockets = {unit: unit_property(unit, "InvocationID") for unit in ("pipeline-router.socket", "pipeline-sandbox.socket", "pipeline-build.socket")}
        ranges = subordinate_ranges("/etc/subuid")
        run(*APT, "install", "--reinstall", *DEBS)
        run("systemctl", "start", *services)
        for unit in services:
            self.assertEqual(unit_property(unit, "ActiveState"), "active", unit)
            self.assertNotEqual(unit_property(unit, "InvocationID"), before[unit], unit)
        for unit, invocation in sockets.items():
            self.assertEqual(unit_property(unit, "InvocationID"), invocation, unit)
        self.assertEqual(subordinate_ranges("/etc/subuid"), ranges)

    def test_9_purge_leaves_nothing_behind(self):
        run("systemctl", "enable", WORKER, BUILDER)
        uids = [pwd.getpwnam(user).pw_uid for user in ROOTLESS]
        run(*APT, "purge", "pipeline", "pipeline-*", "pipelinectl")
        for user in USERS:
            self.assertRaises(KeyError, pwd.getpwnam, user)
        for group in [*USERS, "pipeline"]:
            self.assertRaises(KeyError, grp.getgrnam, group)
        for path in ("/etc/subuid", "/etc/subgid"):
            self.assertEqual([name for name, _, _ in subordinate_ranges(path) if name in ROOTLESS], [])
        dropins = [word for uid in uids for word in ("-o", "-path", f"*user@{uid}.service.d*")]
        self.assertEqual(run("find", "/", "-xdev", "(", "-name", "*pipeline*", *dropins, ")", "-not", "-path", "/pipeline"),
                         "")
        self.assertEqual(run("find", "/run", "-name", "*pipeline*", "-not", "-path", "/run/systemd/units/*",
                             "-not", "-path", "/run/systemd/transient/*", "-not", "-name", "pipeline.mount*"), "")
        for uid in uids:
            self.assertNotIn(f"user@{uid}", run("systemctl", "list-units", "--no-legend", "--plain", "user@*"))


if __name__ == "__main__":
    unittest.main()
