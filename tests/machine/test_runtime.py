#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another OCI runtime in crun's place: runc, as SECURITY.md says how."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

TRACK = "runtime"
DROP_IN = pathlib.Path("/etc/systemd/system/pipeline-sandbox.service.d/runc.conf")
EXAMPLE = pathlib.Path("/pipeline/examples/runtimes/runc.conf")


def restart():
    suite.run("systemctl", "daemon-reload")
    suite.run("systemctl", "restart", "pipeline-sandbox.service")


def setUpModule():
    global config
    config = sandbox.CONFIG.read_text()
    setting = next(line.strip("# ") for line in EXAMPLE.read_text().splitlines() if "Runtime=" in line)
    DROP_IN.parent.mkdir(exist_ok=True)
    shutil.copy(EXAMPLE, DROP_IN)
    sandbox.CONFIG.write_text(f"{config}\n{setting}\n")
    restart()
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"))


def tearDownModule():
    suite.run("systemctl", "stop", f"pipeline-worker@{TRACK}-1.service")
    shutil.rmtree(DROP_IN.parent)
    sandbox.CONFIG.write_text(config)
    restart()


class Runc(unittest.TestCase):
    def ask(self, case, **more):
        client = suite.Client(suite.UNIX)
        self.addCleanup(client.close)
        return client.ask(**suite.job(TRACK, case, **more))

    def test_a_job(self):
        reply = self.ask("hello")
        self.assertEqual(reply["status"]["status_code"], 200, reply)

    def test_a_job_that_does_not_end(self):
        reply = self.ask("loop", execution_timeout=2)
        self.assertEqual(reply["status"]["status_code"], 401, reply)

    def test_it_is_runc(self):
        """What it leaves of a container that is up: crun has another file."""
        self.ask("hello")
        self.assertTrue(list(pathlib.Path("/run/pipeline-sandbox").rglob("state.json")))


if __name__ == "__main__":
    unittest.main()
