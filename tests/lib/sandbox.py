# SPDX-License-Identifier: LGPL-2.1-or-later
"""Part 3 of docs/PROTOCOL.md, spoken as a worker would: orders to sandboxd. And what the host sees of it: processes,
control groups, scopes."""

import json
import os
import pathlib
import pwd
import socket
import struct

import suite

# Both may be those of a service that was started by hand.
SOCKET = os.environ.get("PIPELINE_SANDBOX", "/run/pipeline/sandbox.sock")
STORE = pathlib.Path(os.environ.get("PIPELINE_STORE", "/var/lib/pipeline-sandbox"))
RUNTIME = pathlib.Path("/run/pipeline-sandbox")
CONFIG = pathlib.Path("/etc/pipeline/sandbox.conf")
SERVICE = "pipeline-sandbox.service"
USER = "pipeline-sandbox"
ORDER, BLOB, FILE, DATA, INPUT_END, STARTED, STDOUT, ANSWER = 1, 2, 3, 4, 5, 14, 15, 20
LIMITS = {"wall_usec": 20_000_000, "memory_bytes": 64 << 20, "processes": 32, "cpu_percent": 100, "output_bytes": 65536,
          "result_bytes": 65536, "written_bytes": 8 << 20, "inodes": 1024, "open_files": 256}


class User:
    """What is done within is done as this user."""

    def __init__(self, name):
        self.who = pwd.getpwnam(name)

    def __enter__(self):
        self.groups = os.getgroups()
        os.setgroups([])
        os.setegid(self.who.pw_gid)
        os.seteuid(self.who.pw_uid)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(self.groups)


class Order:
    """One connection, one order."""

    def __init__(self, body, user="pipeline-worker"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        with User(user):
            self.socket.connect(SOCKET)
        self.buffer = b""
        self.send(ORDER, json.dumps(body).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, kind, payload=b"", fd=None):
        message = struct.pack("<IHH", len(payload), kind, 0) + payload
        if fd is None:
            self.socket.sendall(message)
        else:
            socket.send_fds(self.socket, [message], [fd])

    def receive(self):
        """The next frame: kind, payload."""
        while True:
            if len(self.buffer) >= 8:
                size, kind, _ = struct.unpack_from("<IHH", self.buffer)
                if len(self.buffer) >= 8 + size:
                    payload, self.buffer = self.buffer[8:8 + size], self.buffer[8 + size:]
                    return kind, payload
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("sandboxd closed the connection")
            self.buffer += more

    def until(self, wanted):
        """The JSON of the next frame of this kind, or of the answer if that comes first."""
        while True:
            kind, payload = self.receive()
            if kind in (wanted, ANSWER):
                return json.loads(payload)

    def output(self):
        """What the guest writes, until the answer comes."""
        written = b""
        while (frame := self.receive())[0] != ANSWER:
            written += frame[1] if frame[0] == STDOUT else b""
        return written

    def answer(self):
        """The JSON of the next frame, which is the answer."""
        kind, payload = self.receive()
        assert kind == ANSWER, kind
        return json.loads(payload)


def ask(**body):
    with Order(body) as order:
        return order.answer()


def plan(image, *arguments, limits=None, **more):
    return {"job": "0" * 32, "image": image, "profile": "default",
            "arguments": ["/opt/test-runner/bin/run.sh", *arguments, suite.ITERATION, suite.ITERATION],
            "environment": [], "folder": "/", "limits": {**LIMITS, **(limits or {})}, "results": ["results.json"], **more}


def run_order(image, *arguments, **more):
    """A job under way: its input is empty."""
    order = Order({"order": "run", "plan": plan(image, *arguments, **more)})
    try:
        order.send(INPUT_END)
    except BrokenPipeError:
        pass  # it was refused already; the answer can still be read
    return order


def configure(**settings):
    """Restarts sandboxd with these settings and no others of ours."""
    kept = [line for line in CONFIG.read_text().splitlines() if line.startswith(("#", "UnenforcedLimits", "Runtime"))]
    CONFIG.write_text("\n".join(kept + [f"{key}={value}" for key, value in settings.items()]) + "\n")
    suite.run("systemctl", "restart", SERVICE)


# Processes


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def status(pid):
    """The fields of /proc/PID/status; None where it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def kilobytes(pid, *fields):
    """The sum of these of /proc/PID/status, 0 where it is gone."""
    said = status(pid) or {}
    return sum(int(said.get(field, "0 kB").split()[0]) for field in fields)


def name(pid):
    """What a process is called; crun, which is executed from memory, by its first argument."""
    try:
        first = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        first = b""
    return "crun" if first.endswith(b"/crun") else (status(pid) or {}).get("Name", "").strip()


def cgroup(pid):
    """The path of its control group, "" where it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((line[3:] for line in text.splitlines() if line.startswith("0::")), "")


def user_namespace(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/user")
    except (FileNotFoundError, ProcessLookupError):
        return None


def of_the_suite():
    """Every process of the suite's units, and of the managers in which its guests and builds are."""
    slices = [f"user-{pwd.getpwnam(user).pw_uid}.slice" for user in (USER, "pipeline-build")]
    return [pid for pid in processes() if any(part in cgroup(pid) for part in ("/pipeline", *slices))]


def rights_on_the_host(pid):
    """What a process may do there beyond what an unprivileged user may: root's ids, capabilities. None where it is gone."""
    fields, namespace = status(pid), user_namespace(pid)
    if not fields or not namespace or "VmSize" not in fields:
        return None
    rights = [f"{ids} of root" for ids in ("Uid", "Gid") if "0" in fields[ids].split()]
    if namespace == user_namespace(1):
        # What is inheritable is nobody's: no file that could be executed has a capability.
        rights += [name for name in ("CapPrm", "CapEff", "CapAmb") if int(fields[name], 16)]
    return rights


def in_scope(scope):
    """Also of groups below it, which some runtimes make."""
    return [pid for pid in processes() if f"/{scope}/" in cgroup(pid) + "/"]


def uid():
    return pwd.getpwnam(USER).pw_uid


def as_sandbox(*command, **options):
    """A command of the user's own, that talks to its user manager."""
    return suite.run("runuser", "-u", USER, "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid()}", *command, **options)
