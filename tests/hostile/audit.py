# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be as it was after every case. A Snapshot is taken of a quiet system; each audit waits a moment for what is
still being taken down, and then says what differs."""

import os
import pathlib
import re
import time

import sandbox
import suite

DAEMONS = {"router": "pipeline-router.service", "sandboxd": "pipeline-sandbox.service"}
FOLDERS = ["/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp", "/run/lock", "/run/pipeline", "/var/lib/pipeline-sandbox",
           "/var/lib/pipeline-sandbox/incoming", "/var/lib/pipeline-sandbox/removed", "/var/lib/pipeline-sandbox/images",
           "/var/lib/pipeline-worker", "/var/lib/pipeline-router", "/var/lib/pipeline", "/run/netns", "/var/lib/systemd/coredump",
           "/"]
OWN_FILES = ("image-", "systemd-private")  # of the suite, in /tmp
MEMORY_SLACK = 16 << 20  # what a daemon may have more than in the beginning, over the whole suite
PARKED_PROCESSES = {"crun", ".pipeline-init", "runc"}
SLICE_SLACK = 48 << 20  # what is charged to no job, but to the slice of all
SETTLE_SECONDS = 15
IMAGE_IDS = 65536  # of the sandboxes' range, before those of guests


def listing(folder):
    try:
        return sorted(n for n in os.listdir(folder) if not (str(folder).endswith("/tmp") and n.startswith(OWN_FILES)))
    except FileNotFoundError:
        return None


def files(top):
    """Names, kinds, modes, owners, sizes and times of all below a folder."""
    found = []
    for path in sorted(pathlib.Path(top).rglob("*")):
        try:
            s = path.lstat()
        except FileNotFoundError:
            continue
        found.append((str(path), s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns))
    return found


def image_files():
    """The time of an image's own folder is that of its last use."""
    top = sandbox.STORE / "images"
    return [f[:-1] if pathlib.Path(f[0]).parent == top else f for f in files(top)]


def first_sandbox_id():
    for line in pathlib.Path("/etc/subuid").read_text().splitlines():
        name, start, _ = line.split(":")
        if name == sandbox.USER:
            return int(start)
    raise LookupError(sandbox.USER)


def host_processes():
    """Those that are not of sandboxes, by name and control group; kernel threads are not counted."""
    found, guests = {}, []
    for pid in sandbox.processes():
        fields, group = sandbox.status(pid), sandbox.cgroup(pid)
        if not fields or "VmSize" not in fields:
            continue
        name = sandbox.name(pid)
        if "/pipeline.slice/" in group and not suite.is_launcher(group):
            if name not in PARKED_PROCESSES:
                guests.append(f"{pid} {name}")
        elif int(fields["Uid"].split()[0]) >= first_sandbox_id():
            guests.append(f"{pid} {name} in {group}")
        elif group.startswith(("/system.slice/pipeline-", "/user.slice")) or "slice" in group:
            found[(name, group)] = found.get((name, group), 0) + 1
    return found, guests


def launcher():
    """The process that starts every runtime."""
    return next((pid for pid in sandbox.processes() if suite.is_launcher(sandbox.cgroup(pid))), 0)


def namespaces():
    return len({os.readlink(f"/proc/{pid}/ns/net") for pid in sandbox.processes() if os.path.exists(f"/proc/{pid}/ns/net")})


def user_slice():
    return pathlib.Path(f"/sys/fs/cgroup/user.slice/user-{sandbox.uid()}.slice")


def groups():
    """All control groups of the service's user, those of scopes by their kind: their names are of one job."""
    found = {}
    for path in user_slice().rglob("*"):
        if path.is_dir():
            kind = re.sub(r"pipeline-.*\.scope", "pipeline-*.scope", str(path.relative_to(user_slice())))
            found[kind] = found.get(kind, 0) + 1
    return found


def slice_memory():
    """Of all jobs together, also what outlived its job; 0 where the kernel does not count."""
    path = user_slice() / "memory.current"
    return int(path.read_text()) if path.exists() else 0


def guest_keys():
    """Lines of users that only guests are. (Some runtimes give the root of each container a keyring.)"""
    try:
        text = pathlib.Path("/proc/key-users").read_text()
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if int(line.split(":")[0]) >= first_sandbox_id() + IMAGE_IDS]


def shared_memory():
    return {kind: pathlib.Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:] for kind in ("shm", "sem", "msg")}


def anonymous_memory(pid):
    return sandbox.kilobytes(pid, "RssAnon") << 10


class Audit:
    def __init__(self, workers):
        self.units = {**DAEMONS, **{name: f"pipeline-worker@{name}.service" for name in workers},
                      "user manager": f"user@{sandbox.uid()}.service"}
        self.image_files = image_files()
        self.slice_memory = slice_memory()
        self.programs = {path: pathlib.Path(path).read_bytes() for path in
                         ("/usr/lib/pipeline/pipeline-init", "/usr/lib/pipeline/pipeline-sandboxd", "/usr/bin/crun")}
        self.memory = {name: anonymous_memory(pid) for name, pid in self.pids().items()}
        self.base = self.settled()

    def pids(self):
        return {**{name: suite.main_pid(unit) for name, unit in self.units.items()}, "launcher": launcher()}

    def settled(self):
        """The state once it does not change any more."""
        before = None
        for _ in range(SETTLE_SECONDS * 2):
            now = self.state()
            if now == before:
                return now
            before = now
            time.sleep(0.5)
        return before

    def state(self):
        """Everything that has to come back to what it was."""
        processes, guests = host_processes()
        pids = self.pids()
        scopes = suite.scopes()
        return {
            "daemons": pids,
            "processes": processes,
            "guests": guests,
            "scopes": len(scopes),
            "groups": groups(),
            "runtime folders": len(listing(sandbox.RUNTIME)),
            "mounts": len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()),
            "mounts of sandboxd": len(pathlib.Path(f"/proc/{pids['sandboxd']}/mountinfo").read_text().splitlines()),
            "network namespaces": namespaces(),
            "files": {folder: listing(folder) for folder in FOLDERS},
            "descriptors": {name: len(listing(f"/proc/{pid}/fd") or []) for name, pid in pids.items()},
            "keys": guest_keys(),
            "System V": shared_memory(),
        }

    def differences(self):
        now = self.state()
        if set(now["keys"]) < set(self.base["keys"]):  # the kernel collects keys when it likes
            self.base["keys"] = now["keys"]
        found = [f"{key}: {now[key]} instead of {self.base[key]}" for key in now if now[key] != self.base[key]]
        for key in ("processes", "groups", "files", "descriptors"):
            if now[key] != self.base[key]:
                found.append(f"{key}, what differs: {differing(self.base[key], now[key])}")
        return found

    def run(self):
        """[] where all is as it was; else texts."""
        end = time.monotonic() + SETTLE_SECONDS
        while (found := self.differences()) and time.monotonic() < end:
            time.sleep(0.2)
        for name, pid in self.pids().items():
            more = anonymous_memory(pid) - self.memory[name]
            if more > MEMORY_SLACK:
                found.append(f"{name} has {more >> 20} MiB more than in the beginning")
        if slice_memory() - self.slice_memory > SLICE_SLACK:
            found.append(f"{(slice_memory() - self.slice_memory) >> 20} MiB more than in the beginning are charged to no job")
        changed = set(image_files()) ^ set(self.image_files)
        if changed:
            found.append(f"the files of the images changed: {sorted(changed)[:4]}")
        for path, content in self.programs.items():
            if pathlib.Path(path).read_bytes() != content:
                found.append(f"{path} changed")
        return found

    def accept_daemons(self):
        """After a case that ended one on purpose: another has its place, and all else must be as it was."""
        now = self.settled()
        self.base.update({key: now[key] for key in ("daemons", "descriptors", "mounts of sandboxd")})
        self.memory = {name: anonymous_memory(pid) for name, pid in self.pids().items()}


def differing(before, after):
    return {str(key): (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}


def journal_has(text):
    return text in suite.journal("--output=short", "--since=-10min", errors="replace")
