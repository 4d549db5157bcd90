#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Soak, inside the machine: many no-op jobs. What each process and the host hold is counted when all is warm and at the
end: it must not have grown. Prints the figures; each is one test.

usage: main.py [NUMBER OF JOBS]
"""

import collections
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import peer
import sandbox
import suite

N_JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
N_WARM = max(N_JOBS // 10, 200)
N_UNDER_WAY = 8
TRACK = "soak"
UNITS = {"router": "pipeline-router.service", "worker": f"pipeline-worker@{TRACK}-1.service",
         "sandboxd": "pipeline-sandbox.service"}
# How much a figure may grow. Memory: an allocator's slack, and pages that were never touched before.
SLACK = {"descriptors": 2, "threads": 0, "children": 2, "kilobytes": 4096, "scopes": 2, "mounts": 2, "files": 4,
         "cgroups": 4, "processes": 4}


def jobs(client, count):
    """So many, some at once; what they were answered."""
    codes, sent, done = collections.Counter(), 0, 0
    while done < count:
        while sent < count and sent - done < N_UNDER_WAY:
            client.send(f"r{sent}", **suite.job(TRACK, "hello"))
            sent += 1
        if not client.socket.poll(60000):
            raise TimeoutError("no answer within a minute")
        codes[suite.code(json.loads(client.socket.recv_multipart()[1]))] += 1
        done += 1
    return codes


def count(folder):
    """How many there are in a folder, or 0 where it is gone by now."""
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0


def files_below(*folders):
    return sum(len(names) + len(folders_) for folder in folders for _, folders_, names in os.walk(folder))


def children_of(pid):
    n = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            n += int(stat.read_text().rpartition(")")[2].split()[1]) == pid
        except (FileNotFoundError, ProcessLookupError):
            pass
    return n


def process(pid):
    # What is not shared with a file, and what was swapped out.
    kilobytes = sandbox.kilobytes(pid, "RssAnon", "VmSwap")
    return {"descriptors": count(f"/proc/{pid}/fd"), "threads": int(sandbox.status(pid)["Threads"]), "kilobytes": kilobytes,
            "children": children_of(pid), "mounts": len(pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())}


def measure():
    """{(who, what): figure}"""
    time.sleep(3)  # what is ending has ended
    figures = {}
    for name, unit in UNITS.items():
        for what, value in process(suite.main_pid(unit)).items():
            figures[name, what] = value
    uid = sandbox.uid()
    for what, value in process(suite.main_pid(f"user@{uid}.service")).items():
        figures["user manager", what] = value
    cgroup = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "/sys/fs/cgroup/unified"
    figures["host", "scopes"] = len(suite.scopes())
    figures["host", "mounts"] = len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines())
    figures["host", "cgroups"] = sum(len(folders) for _, folders, _ in os.walk(cgroup))
    figures["host", "processes"] = len(sandbox.processes())
    figures["state", "files"] = files_below("/var/lib/pipeline-router", "/var/lib/pipeline-worker", "/var/lib/pipeline",
                                            "/var/lib/pipeline-sandbox/incoming", "/var/lib/pipeline-sandbox/removed")
    figures["run", "files"] = files_below("/run/pipeline", "/run/pipeline-sandbox", f"/run/user/{uid}")
    figures["tmp", "files"] = files_below("/tmp", "/var/tmp", "/dev/shm")
    return figures


def restarts():
    return {name: (suite.main_pid(unit), suite.unit_property(unit, "NRestarts"))
            for name, unit in UNITS.items()}


def main():
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"), settings="SLOTS=4\n")
    client = peer.Client()
    codes = jobs(client, N_WARM)
    before, who = measure(), restarts()
    began = time.monotonic()
    codes += jobs(client, N_JOBS - N_WARM)
    seconds = time.monotonic() - began
    after = measure()
    n_passed = n_failed = 0

    def judge(fine, line):
        nonlocal n_passed, n_failed
        n_passed, n_failed = n_passed + fine, n_failed + (not fine)
        print(f"{'ok  ' if fine else 'FAIL'} {line}", flush=True)

    print(f"{'':26}{f'after {N_WARM}':>14}{f'after {N_JOBS}':>14}")
    for key, value in before.items():
        judge(after[key] <= value + SLACK[key[1]], f"{' '.join(key):<21}{value:14}{after[key]:14}")
    judge(codes == {200: N_JOBS}, f"answers: {dict(codes)}, {(N_JOBS - N_WARM) / seconds:.0f} a second")
    judge(restarts() == who, f"the same processes: {restarts()}")
    print(f"{n_passed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
