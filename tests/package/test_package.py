# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages: what installing them made, what an upgrade keeps, that a purge leaves nothing.

The cases share one machine and run in the order of their names; the last one takes the packages away.
"""

import glob
import grp
import os
import pwd
import subprocess
import unittest

USERS = ["pipeline-router", "pipeline-worker", "pipeline-sandbox"]
DEBS = sorted(glob.glob("/packages/*.deb"))
APT = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"]
WORKER = "pipeline-worker@any-1.service"


def run(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL).stdout


def unit_property(unit, name):
    return run("systemctl", "show", "-P", name, unit).strip()


def subordinate_ranges(path):
    with open(path, encoding="utf-8") as lines:
        return [(name, int(first), int(n)) for name, first, n in (line.strip().split(":") for line in lines)]


def manager():
    return f"user@{pwd.getpwnam('pipeline-sandbox').pw_uid}.service"


class Packages(unittest.TestCase):
    def test_1_users_and_folders_are_there(self):
        for user in USERS:
            self.assertNotEqual(pwd.getpwnam(user).pw_uid, 0)
        self.assertIn("pipeline-worker", grp.getgrnam("pipeline").gr_mem)
        self.assertNotIn("pipeline-sandbox", grp.getgrnam("pipeline").gr_mem)
        registry = os.stat("/var/lib/pipeline/registry")
        self.assertEqual(registry.st_mode & 0o7777, 0o2775)
        self.assertEqual(registry.st_gid, grp.getgrnam("pipeline").gr_gid)

    def test_1_the_sandbox_user_has_ids_of_its_own(self):
        for path in ("/etc/subuid", "/etc/subgid"):
            ranges = subordinate_ranges(path)
            mine = [r for r in ranges if r[0] == "pipeline-sandbox"]
            self.assertEqual(len(mine), 1)
            _, first, n = mine[0]
            self.assertGreaterEqual(n, 65536 + 1024)
            for name, other, m in ranges:
                if name != "pipeline-sandbox":
                    self.assertTrue(other + m <= first or first + n <= other, f"{path}: overlaps {name}")

    def test_1_services_run(self):
        for unit in ("pipeline-router.socket", "pipeline-router.service", "pipeline-sandbox.socket", manager()):
            self.assertEqual(unit_property(unit, "ActiveState"), "active", unit)
        self.assertEqual(run("systemctl", "list-units", "--failed", "--no-legend", "--plain"), "")

    def test_1_the_manager_has_the_drop_in(self):
        self.assertEqual(unit_property(manager(), "NoNewPrivileges"), "yes")
        self.assertEqual(unit_property(manager(), "PrivateNetwork"), "yes")

    def test_2_an_upgrade_restarts_services_and_keeps_sockets(self):
        run("systemctl", "start", WORKER)
        services = ["pipeline-router.service", "pipeline-sandbox.service", WORKER]
        run("systemctl", "start", *services)
        before = {unit: unit_property(unit, "InvocationID") for unit in services}
        sockets = {unit: unit_property(unit, "InvocationID") for unit in ("pipeline-router.socket", "pipeline-sandbox.socket")}
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
        run("systemctl", "enable", WORKER)
        uid = pwd.getpwnam("pipeline-sandbox").pw_uid
        run(*APT, "purge", "pipeline", "pipeline-*", "pipelinectl")
        for user in USERS:
            self.assertRaises(KeyError, pwd.getpwnam, user)
        for group in [*USERS, "pipeline"]:
            self.assertRaises(KeyError, grp.getgrnam, group)
        for path in ("/etc/subuid", "/etc/subgid"):
            self.assertNotIn("pipeline-sandbox", [name for name, _, _ in subordinate_ranges(path)])
        self.assertEqual(run("find", "/", "-xdev", "(", "-name", "*pipeline*", "-o", "-path", f"*user@{uid}.service.d*",
                             ")", "-not", "-path", "/pipeline"), "")
        self.assertEqual(run("find", "/run", "-name", "*pipeline*", "-not", "-path", "/run/systemd/units/*",
                             "-not", "-path", "/run/systemd/transient/*", "-not", "-name", "pipeline.mount*"), "")
        self.assertNotIn(f"user@{uid}", run("systemctl", "list-units", "--no-legend", "--plain", "user@*"))


if __name__ == "__main__":
    unittest.main()
