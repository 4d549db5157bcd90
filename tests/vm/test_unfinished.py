#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message that never ends: libzmq keeps it without bound, so the kernel draws the line. The router comes back, and
no job is lost."""

import json
import pathlib
import socket
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite

TRACK = "unfinished"
ROUTER = "pipeline-router.service"
GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
PIECE = b"\x03" + struct.pack(">Q", 1 << 20) + b"x" * (1 << 20)  # a frame, and more to come


def flood():
    """Frames of one message until the router is gone."""
    with socket.create_connection(("127.0.0.1", 5555)) as peer:
        peer.sendall(GREETING + b"\x04" + bytes([len(READY)]) + READY)
        heard = b""
        while b"READY" not in heard:
            heard += peer.recv(4096)
        try:
            for _ in range(4096):
                peer.sendall(PIECE)
        except OSError:
            return True
    return False


class Unfinished(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"))
        suite.run("systemctl", "set-property", "--runtime", ROUTER, "MemoryMax=96M")

    @classmethod
    def tearDownClass(cls):
        suite.run("systemctl", "revert", ROUTER)

    @staticmethod
    def running():
        jobs = json.loads(suite.run("pipelinectl", "jobs", "--json"))["jobs_info"]
        return [job["job"] for job in jobs if job["state"] == "running"]

    def test_the_router_comes_back_and_the_job_is_answered(self):
        job = suite.job(TRACK, "loop", resend=True, execution_timeout=12)
        asked = suite.Client(suite.UNIX).send(**job)
        suite.wait_until(self.running, 30)
        pid = suite.main_pid(ROUTER)
        self.assertTrue(flood())
        suite.wait_until(lambda: suite.main_pid(ROUTER) not in (0, pid), 60)
        self.assertIn("oom-kill", suite.journal(f"--unit={ROUTER}"))
        asked.close()
        reply = suite.ask(**job)
        self.assertEqual(suite.code(reply), 401, reply)
        self.assertEqual(reply["context"]["error_detail"]["limit"], "wall_time")


if __name__ == "__main__":
    unittest.main()
