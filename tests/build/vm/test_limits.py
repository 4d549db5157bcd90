#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of builds that only a kernel with cgroup v2 whole can hold, and layers as differences."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "lib"))
import suite
from builds import DOCKERFILE, Case, Repository, runner, set_up, tear_down
from suite import code


def setUpModule():
    set_up()


def tearDownModule():
    tear_down()


class Limits(Case):
    def limit(self, track, run):
        Repository(track).commit(runner("x", DOCKERFILE + run))
        reply = self.build(track, "main")
        self.assertEqual(code(reply), 403, reply)
        self.assert_nothing_is_left()
        return reply["context"]["error_detail"]

    def test_memory(self):
        detail = self.limit("memory", "RUN tail /dev/zero\n")
        self.assertEqual((detail["limit"], detail["value"]), ("memory", 512 << 20))

    def test_processes(self):
        detail = self.limit("forks", "RUN for i in $(seq 200); do sleep 20 & done; wait\n")
        self.assertEqual((detail["limit"], detail["value"]), ("processes", 64))

    def test_layers_are_differences(self):
        Repository("layers").commit(runner("layers"))
        self.assertEqual(code(self.build("layers", "main")), 200)
        self.assertTrue(pathlib.Path("/var/lib/pipeline-build/cache/test_runners.layers/storage/overlay").is_dir())

    def test_the_user_manager_has_nothing_to_give(self):
        uid = suite.run("id", "-u", "pipeline-build").strip()
        shown = suite.run("runuser", "-u", "pipeline-build", "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid}",
                          "systemd-run", "--user", "--pipe", "--wait", "--quiet", "--collect", "sh", "-c",
                          "ls /sys/class/net; grep CapEff /proc/self/status; touch /var/tmp/x /etc/x 2>&1; exit 0")
        self.assertEqual(shown.split()[:3], ["lo", "CapEff:", "0000000000000000"], shown)
        self.assertIn("/etc/x", shown)


if __name__ == "__main__":
    unittest.main()
