#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another OCI runtime in crun's place, as SECURITY.md says how: runc, which tools/test binds into the machine."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

TRACK = "runtime"
RUNC = "/opt/runc"
DROP_IN = pathlib.Path(f"/etc/systemd/system/{sandbox.SERVICE}.d/runc.conf")
EXAMPLE = pathlib.Path(__file__).resolve().parent.parent.parent / "examples/runtimes/runc.conf"


def restart():
    suite.run("systemctl", "daemon-reload")
    suite.run("systemctl", "restart", sandbox.SERVICE)


def setUpModule():
    global config
    config = sandbox.CONFIG.read_text()
    DROP_IN.parent.mkdir()
    shutil.copy(EXAMPLE, DROP_IN)
    sandbox.CONFIG.write_text(f"{config}\nRuntime={RUNC}\n")
    restart()
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"))


def tearDownModule():
    suite.run("systemctl", "stop", f"pipeline-worker@{TRACK}-1.service")
    shutil.rmtree(DROP_IN.parent)
    sandbox.CONFIG.write_text(config)
    restart()


class Runc(unittest.TestCase):
    def test_a_job(self):
        reply = suite.ask(**suite.job(TRACK, "hello"))
        self.assertEqual(suite.code(reply), 200, reply)

    def test_a_job_that_does_not_end(self):
        reply = suite.ask(**suite.job(TRACK, "loop", execution_timeout=2))
        self.assertEqual(suite.code(reply), 401, reply)

    def test_it_is_runc(self):
        """What it leaves of a container that is up: crun has another file."""
        suite.wait_until(lambda: list(sandbox.RUNTIME.rglob("state.json")))  # that of the one that is parked


if __name__ == "__main__":
    unittest.main()
