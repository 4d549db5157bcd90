# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests in the machine and in the virtual machine share: clients, workers, images, units."""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import unittest

import zmq

TCP = "tcp://127.0.0.1:5555"
UNIX = "ipc:///run/pipeline/router.sock"
ROUTER_FILE = pathlib.Path("/var/lib/pipeline-router/router.yml")
INPUT = pathlib.Path("/var/lib/pipeline/input")
ITERATION = "/mnt/exercism-iteration/"
GUESTS = pathlib.Path(__file__).resolve().parent.parent / "guests"


def parse_int(text):
    """Numbers of so many digits that reading one takes minutes stay text."""
    return int(text) if len(text) < 1000 else text


class Client:
    """A REQ client: one request, one reply."""

    def __init__(self, endpoint=UNIX):
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def send(self, **members):
        self.socket.send_json(members)
        return self

    def receive(self, seconds=120):
        if not self.socket.poll(int(seconds * 1000)):
            raise TimeoutError(f"no reply within {seconds} s")
        return json.loads(self.socket.recv(), parse_int=parse_int)

    def ask(self, **members):
        return self.send(**members).receive()

    def close(self):
        self.socket.close()


def ask(endpoint=UNIX, **members):
    """The reply to one request, by a client of its own."""
    with contextlib.closing(Client(endpoint)) as client:
        return client.ask(**members)


def code(reply):
    return reply["status"]["status_code"]


class Case(unittest.TestCase):
    def keep(self, thing):
        """It is closed when the test has ended."""
        self.addCleanup(thing.close)
        return thing

    def client(self, endpoint=UNIX):
        return self.keep(Client(endpoint))


def wait_until(true, seconds=15, tell=str):
    """Until true() is so; who waits in vain is told by tell() what was there instead."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {tell()}")
        time.sleep(0.1)


def wait_for_port(port, address="127.0.0.1"):
    """Until somebody listens there."""
    def is_open():
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address, port), 5).close()
            return True
        return False
    wait_until(is_open, tell=lambda: f"nobody listens at {address} port {port}")


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options).stdout


def ctl(*arguments, **options):
    """pipelinectl, where it may fail: the completed process."""
    return subprocess.run(["pipelinectl", *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def write_input(name, files):
    """A folder of inputs that the workers may read; returns its URI."""
    folder = INPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return f"file://{folder}/"


@functools.cache
def empty_input():
    """Made once: another job may be reading it."""
    return write_input("empty", {"solution": "nothing\n"})


def job(track, exercise, version="v1", uri=None, action="test_solution", **more):
    return {"action": action, "id": more.pop("id", "test"), "track_slug": track, "exercise_slug": exercise,
            "s3_uri": uri or empty_input(), "container_version": version, **more}


def image_of_program(source, program="/opt/test-runner/bin/run.sh", links=()):
    """A root file system with one static program, compiled from C, and busybox; the path of its tar. `links`: further
    (path, target) symbolic links."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="image-"))
    target = folder / "rootfs" / program.lstrip("/")
    target.parent.mkdir(parents=True)
    run("gcc", "-std=gnu17", "-O1", "-Wall", "-static", "-o", target, source, "-lpthread")
    busybox = folder / "rootfs/bin/busybox"
    busybox.parent.mkdir()
    shutil.copy("/bin/busybox", busybox)
    (folder / "rootfs/bin/sh").symlink_to("busybox")
    for path, link in links:
        place = folder / "rootfs" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(link)
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(folder / "rootfs", arcname=".", filter=owned_by_root)
    return folder / "image.tar"


def busybox_image():
    """A root file system with busybox under all its names; the path of its tar."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="image-"))
    (folder / "rootfs/bin").mkdir(parents=True)
    (folder / "rootfs/etc").mkdir()
    shutil.copy("/bin/busybox", folder / "rootfs/bin/busybox")
    for name in run("/bin/busybox", "--list").split():
        if name != "busybox":
            (folder / "rootfs/bin" / name).symlink_to("busybox")
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(folder / "rootfs", arcname=".", filter=owned_by_root)
    return folder / "image.tar"


def owned_by_root(member):
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def install(track, image, version="v1", channel="test_runners", worker=None, settings="", wait=True):
    """Pushes an image, starts a worker for its track, deploys it."""
    worker = worker or f"{track}-1"
    conf = pathlib.Path(f"/etc/pipeline/worker/{worker}.conf")
    if settings:
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text(settings)
    run("pipelinectl", "push", channel, track, version, image)
    run("systemctl", "start", f"pipeline-worker@{worker}.service")
    return run("pipelinectl", "deploy", *(["--wait"] if wait else []), channel, track, version)


def set_limits(channel="test_runners", times=None, **settings):
    """Settings of all tracks of a channel, in the router's file while nothing is deployed yet."""
    text = ROUTER_FILE.read_text()
    assert "\nworkers: {}\n" in text, text
    said = {"workers": {channel: {"settings": settings}}, **({"times": times} if times else {})}
    ROUTER_FILE.write_text(text.replace("\nworkers: {}\n",
                                        "\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in said.items())))
    run("systemctl", "reload", "pipeline-router.service")


def is_launcher(scope):
    return scope.endswith("-launcher.scope")


def scopes(user="pipeline-sandbox"):
    """The scopes of jobs (and of parked sandboxes), or of builds, that are there now; not that of the launcher."""
    uid = run("id", "-u", user).strip()
    out = run("runuser", "-u", user, "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "systemctl", "--user",
              "list-units", "--type=scope", "--no-legend", "--plain", "pipeline-*.scope")
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    return [name for name in names if not is_launcher(name)]


def workers():
    """Those that the router knows."""
    return json.loads(run("pipelinectl", "workers", "--json"))["workers_info"]


def journal(*options, **more):
    """The messages that these options of journalctl choose."""
    return run("journalctl", "--quiet", "--no-pager", "--output=cat", *options, **more)


def unit_property(unit, name):
    return run("systemctl", "show", "-P", name, unit).strip()


def status_of(unit):
    """What the unit says of itself."""
    return unit_property(unit, "StatusText")


def main_pid(unit):
    return int(unit_property(unit, "MainPID"))


def has_ended(pid):
    return not os.path.exists(f"/proc/{pid}")
