#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benches: our figure beside that of what a user would pick instead, in one run.

Runs as root inside the machine with the packages installed. Prints one figure a line, NAME OURS THEIRS RATIO;
times in milliseconds (a ratio below 1 is faster), rates a second (a ratio above 1 is faster).

Theirs is `crun run` of the same image with the same command: one loop for the times, two loops for the rate (the
machine has two cores). Ours is a whole job, from client to client: router, worker, sandbox, result.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

LOAD = sys.argv[1]  # the program bench-load
IMAGE = sys.argv[2]  # the tiny image: the tar of a root file system
N_TIMED = 200
# Between two timed jobs, on both sides: the time in which the pool has the next sandbox ready. Without it one client
# alone keeps the pool empty, and what is measured is a rate.
PAUSE_MSEC = 100
N_RATED = 1500
N_CLIENTS = 16
SLOTS = 4
TRACK = "bench"


def load(pause, *arguments):
    """(p50 in milliseconds, p99, rate)"""
    out = subprocess.run([LOAD, *map(str, (pause, *arguments))], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(out[0]) / 1000, float(out[1]) / 1000, float(out[2])


def jobs(clients, count, pause=0):
    return load(pause, "jobs", suite.UNIX, json.dumps(suite.job(TRACK, "noop")), clients, count)


class Theirs:
    """A bundle of the same root file system and command, as `crun spec` makes it, with a tmpfs for the results."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        rootfs = self.folder / "rootfs"
        rootfs.mkdir()
        suite.run("tar", "-C", rootfs, "-xf", IMAGE)
        (rootfs / "mnt/exercism-iteration").mkdir(parents=True, exist_ok=True)
        suite.run("crun", "spec", "--bundle", self.folder)
        spec = json.loads((self.folder / "config.json").read_text())
        where = suite.ITERATION
        spec["process"].update(terminal=False, cwd="/",
                               args=["/opt/test-runner/bin/run.sh", "noop", where, where])
        # No device rules: to load them crun raises RLIMIT_MEMLOCK, which a machine on some hosts may not.
        del spec["linux"]["resources"]
        spec["mounts"].append({"destination": where, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]})
        (self.folder / "config.json").write_text(json.dumps(spec))

    def commands(self, loops, count, pause=0):
        return load(pause, "commands", loops, count, "crun", "--root", self.folder / "state", "run", "--bundle", self.folder,
                    f"theirs-{time.monotonic_ns()}-@")


def set_parked(number):
    sandbox.configure(Parked=number)
    suite.run("systemctl", "restart", f"pipeline-worker@{TRACK}-1.service")
    settle()


def settle():
    """Warms up: the pool fills itself by what was used."""
    jobs(SLOTS, 50)
    time.sleep(1)


def report(name, ours, theirs):
    print(f"{name:<16}{ours:10.2f}{theirs:10.2f}{ours / theirs:10.2f}", flush=True)


def main():
    suite.install(TRACK, IMAGE, settings=f"SLOTS={SLOTS}\n")
    before = sandbox.CONFIG.read_text()
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        theirs = Theirs(folder)
        settle()
        their_p50, their_p99, _ = theirs.commands(1, N_TIMED, PAUSE_MSEC)
        our_p50, our_p99, _ = jobs(1, N_TIMED, PAUSE_MSEC)
        report("noop-p50", our_p50, their_p50)
        report("noop-p99", our_p99, their_p99)
        _, _, their_rate = theirs.commands(2, N_RATED)
        _, _, our_rate = jobs(N_CLIENTS, N_RATED)
        report("noop-rate", our_rate, their_rate)
        set_parked(0)
        report("noop-cold-p50", jobs(1, N_TIMED, PAUSE_MSEC)[0], theirs.commands(1, N_TIMED, PAUSE_MSEC)[0])
    finally:
        sandbox.CONFIG.write_text(before)
        suite.run("systemctl", "restart", sandbox.SERVICE)
        shutil.rmtree(folder)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
