#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What sandboxd must never be, do or leave behind, with the installed packages: its rights, its door, its sandboxes."""

import hashlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

TRACK = "sandboxd"
INSTALLED = {}


def setUpModule():
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"))
    INSTALLED["image"] = suite.ask(**suite.job(TRACK, "hello"))["context"]["digest"]


def tearDownModule():
    sandbox.configure()
    suite.run("systemctl", "stop", f"pipeline-worker@{TRACK}-1.service")


class Case(suite.Case):
    def start(self, *arguments, **more):
        """A job that runs: its order and its scope."""
        order = self.keep(sandbox.run_order(INSTALLED["image"], *arguments, **more))
        started = order.until(sandbox.STARTED)
        self.assertIn("scope", started, started)
        return order, started["scope"]

    def finish(self, *arguments, **more):
        with sandbox.run_order(INSTALLED["image"], *arguments, **more) as order:
            return order.until(sandbox.ANSWER)

    def assert_runs(self):
        answer = self.finish("hello")
        self.assertEqual((answer["code"], answer.get("cause")), (0, "exited"), answer)

    def restart(self, **settings):
        sandbox.configure(**settings)
        suite.wait_until(lambda: self.finish("hello")["code"] == 0)

    def configure(self, **settings):
        self.addCleanup(self.restart)
        self.restart(**settings)

    def assert_no_scopes(self):
        suite.wait_until(lambda: not suite.scopes(), tell=suite.scopes)


class Rights(Case):
    def assert_harmless(self, pid):
        self.assertFalse(sandbox.rights_on_the_host(pid), f"{pid} {sandbox.status(pid)} {sandbox.cgroup(pid)}")
        return sandbox.name(pid)

    def test_nobody_is_root_or_has_a_capability_of_the_host(self):
        _, scope = self.start("pause")
        self.assert_runs()
        suite.wait_until(lambda: len(suite.scopes()) > 1)  # a parked one beside it
        seen = {self.assert_harmless(pid) for pid in sandbox.of_the_suite()}
        for name in ("pipeline-sandbo", "pipeline-router", "pipeline-worker", "crun", ".pipeline-init", "run.sh", "systemd"):
            self.assertTrue(any(s and name.startswith(s[:14]) for s in seen), f"{name} not among {seen}")
        self.assertGreaterEqual(len(sandbox.in_scope(scope)), 3)

    def test_nothing_of_the_service_is_outside_of_its_user_namespace(self):
        """The one that wrote the id map is gone; what sandboxd executes to install and to run is inside."""
        seen = set()
        links = [(f"/other/{i}", "/tmp") for i in range(20000)]  # it takes a while to unpack them
        other = suite.image_of_program(suite.GUESTS / "guest.c", links=links)
        push = subprocess.Popen(["sh", "-c", f"pipelinectl push test_runners {TRACK} v2 {other} && "
                                 f"pipelinectl deploy --wait test_runners {TRACK} v2"], stdout=subprocess.DEVNULL)
        while push.poll() is None:
            for pid in sandbox.of_the_suite():
                group = sandbox.cgroup(pid)
                if group.endswith("/" + sandbox.SERVICE) or "/pipeline.slice/" in group:
                    namespace = sandbox.user_namespace(pid)
                    seen.add(self.assert_harmless(pid))
                    if namespace:
                        self.assertNotEqual(namespace, sandbox.user_namespace(1), sandbox.status(pid))
        self.assertEqual(push.returncode, 0)
        self.assertIn("umoci", seen)

    def test_a_service_of_the_user_manager_has_nothing_to_give(self):
        program = """
import os, json
found = {"links": sorted(os.listdir("/sys/class/net")), "written": []}
found.update(l.split(":\\t", 1) for l in open("/proc/self/status").read().splitlines() if ":\\t" in l)
for line in open("/proc/self/mounts"):
    place = line.split()[1]
    try:
        path = place + "/test-written"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
        found["written"].append(place)
    except OSError:
        pass
for place in ("/", "/etc", "/var/lib", "/var/lib/pipeline", "/var/lib/pipeline/input", "/home", "/root", "/srv", "/usr",
              "/boot", "/var/lib/pipeline-sandbox", "/run/pipeline-sandbox", "/run/lock", "/var/spool"):
    if os.access(place, os.W_OK):
        found["written"].append(place)
try:
    os.listdir("/run/pipeline")
    found["sockets"] = True
except OSError:
    found["sockets"] = False
import socket
try:
    socket.socket(socket.AF_INET)
    found["inet"] = True
except OSError:
    found["inet"] = False
print(json.dumps(found))
"""
        found = json.loads(sandbox.as_sandbox("systemd-run", "--user", "--wait", "--pipe", "--quiet", "python3", "-c", program))
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(found[name], 16), 0, name)
        self.assertEqual(found["NoNewPrivs"].strip(), "1")
        self.assertNotIn("0", found["Uid"].split())
        self.assertIs(found["inet"], False)
        self.assertIs(found["sockets"], False)
        # Its own run folder, which its manager lives in, and temporary folders that are the manager's alone.
        self.assertLessEqual(set(found["written"]), {f"/run/user/{sandbox.uid()}", "/run/user", "/tmp", "/var/tmp"}, found)
        self.assertFalse(any(pathlib.Path(place, "test-written").exists() for place in ("/tmp", "/var/tmp")))


class Door(Case):
    def test_other_users_are_refused(self):
        for user in ("nobody", "pipeline-router"):
            with self.assertRaises(PermissionError, msg=user):
                sandbox.Order({"order": "status"}, user=user)

    def test_the_end_of_a_connection_is_the_end_of_its_job(self):
        order, scope = self.start("pause")
        self.assertTrue(sandbox.in_scope(scope))
        order.socket.close()
        suite.wait_until(lambda: not sandbox.in_scope(scope), 5)
        suite.wait_until(lambda: scope not in suite.scopes(), 5)

    def test_another_connections_job_can_be_neither_seen_nor_named(self):
        order, scope = self.start("slow")
        answer = json.dumps(sandbox.ask(order="status")) + json.dumps(sandbox.ask(order="images"))
        self.assertNotIn("0" * 32, answer)
        self.assertNotIn(scope, answer)
        for body in ({"order": "cancel", "job": "0" * 32}, {"order": "kill", "scope": scope}, {"order": "jobs"}):
            self.assertEqual(sandbox.ask(**body)["code"], 400, body)
        with sandbox.run_order(INSTALLED["image"], "hello") as same:  # the same job's id
            self.assertEqual(same.until(sandbox.ANSWER)["cause"], "exited")
        self.assertEqual(order.until(sandbox.ANSWER)["cause"], "exited")

    def test_plans_that_say_more_than_a_plan_may(self):
        image, limits = INSTALLED["image"], sandbox.LIMITS
        for more in ({"mounts": [{"source": "/etc", "destination": "/mnt"}]}, {"rootfs": "/"}, {"seccomp": {}},
                     {"profile": "none-such"}, {"profile": "../../../etc/passwd"}, {"image": "/"}, {"folder": "tmp"},
                     {"image": "sha256:../" + "a" * 61}, {"arguments": []}, {"arguments": [""]}, {"environment": "PATH=/"},
                     {"limits": {**limits, "memory_bytes": 1 << 50}}, {"limits": {**limits, "wall_usec": 86400 * 10**6}},
                     {"limits": {**limits, "processes": 10**6}}, {"limits": {**limits, "open_files": 10**6}},
                     {"limits": {**limits, "cpu_percent": 0}}, {"limits": {**limits, "swap_bytes": 1}},
                     {"limits": {**limits, "inodes": 0}}, {"limits": None}):
            answer = sandbox.ask(order="run", plan={**sandbox.plan(image, "hello"), **more})
            self.assertEqual(answer["code"], 400, (more, answer))
        self.assertEqual(sandbox.ask(order="run", plan=sandbox.plan("sha256:" + "0" * 64, "hello"))["code"], 511)
        self.assert_runs()


def tree_hash(top):
    """Of names, kinds, owners, modes, times and contents."""
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*")):
        s = path.lstat()
        digest.update(repr((str(path), s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns, s.st_ctime_ns, s.st_nlink)).encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Sandboxes(Case):
    def test_an_image_is_the_same_after_a_hundred_jobs(self):
        root = sandbox.STORE / "images" / INSTALLED["image"].replace(":", "-") / "rootfs"
        self.assertTrue((root / "opt/test-runner/bin/run.sh").exists())
        before = tree_hash(root)
        for i in range(100):
            self.finish(("hello", "paths", "residue", "link")[i % 4])
        self.assertEqual(tree_hash(root), before)

    def test_guests_at_the_same_time_have_ids_of_their_own(self):
        scopes = [self.start("pause")[1] for _ in range(5)]
        ids = [sorted({sandbox.status(pid)["Uid"].split()[0] for pid in sandbox.in_scope(scope)
                       if sandbox.status(pid)["Name"].strip() == "run.sh"}) for scope in scopes]
        self.assertEqual([len(i) for i in ids], [1] * 5, ids)
        self.assertEqual(len({i[0] for i in ids}), 5, ids)
        self.assertNotIn(str(sandbox.uid()), {i[0] for i in ids})

    def test_all_of_a_job_is_in_its_scope(self):
        _, scope = self.start("pause")
        names = [sandbox.name(pid) for pid in sandbox.in_scope(scope)]
        for name in ("crun", ".pipeline-init", "run.sh"):
            self.assertIn(name, names)
        everywhere = [pid for pid in sandbox.processes() if (sandbox.status(pid) or {}).get("Name", "").strip() == "run.sh"]
        self.assertTrue(everywhere)
        for pid in everywhere:
            self.assertRegex(sandbox.cgroup(pid), r"/pipeline-[0-9a-f]{8}-[0-9a-f]{16}\.scope$|^$")

    def test_what_is_mounted_in_one_is_what_is_said(self):
        """Of the host there are the image, pipeline-init and harmless devices, none to be written."""
        def read(text):
            """Device, root, place, options of each mount."""
            return [line.split()[2:6] for line in text.splitlines()]
        with sandbox.run_order(INSTALLED["image"], arguments=["/bin/busybox", "cat", "/proc/self/mountinfo"]) as order:
            mounts = read(order.output().decode())
        service = suite.main_pid(sandbox.SERVICE)
        of_host = {device for device, *_ in read(pathlib.Path(f"/proc/{service}/mountinfo").read_text())}
        shared = {place: root for device, root, place, _ in mounts if device in of_host}
        masked = {place for place, root in shared.items() if place.startswith("/proc/") and root == "/null"}
        devices = {f"/dev/{name}": f"/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")}
        image = str(sandbox.STORE / "images" / INSTALLED["image"].replace(":", "-") / "rootfs")
        self.assertEqual({place: root for place, root in shared.items() if place not in masked},
                         {"/": image, "/.pipeline-init": "/usr/lib/pipeline/pipeline-init", **devices})
        written = {place for _, _, place, options in mounts if options.split(",")[0] == "rw"}
        self.assertEqual(written, {"/proc", "/dev", "/dev/pts", "/dev/shm", "/tmp", suite.ITERATION.rstrip("/")})
        self.assertFalse(written & set(shared))

    def test_at_last_the_scope_ends_by_itself(self):
        self.configure(ParkedAge="20s", MaxWallTime="30s")
        _, scope = self.start("pause")
        seconds = re.fullmatch(r"(?:(\d+)min )?(\d+)s", sandbox.as_sandbox(
            "systemctl", "--user", "show", "-P", "RuntimeMaxUSec", scope).strip())
        self.assertTrue(seconds, "there is no end")
        self.assertIn(int(seconds[1] or 0) * 60 + int(seconds[2]), range(50, 300))

    def test_whatever_is_in_the_scope_is_killed_with_it(self):
        """Also what is in no namespace of the container's."""
        order, scope = self.start("pause")
        stranger = subprocess.Popen(["sleep", "600"])
        self.addCleanup(stranger.kill)
        group = sandbox.cgroup(sandbox.in_scope(scope)[0])
        (pathlib.Path("/sys/fs/cgroup") / group.lstrip("/") / "cgroup.procs").write_text(str(stranger.pid))
        order.socket.close()
        self.assertEqual(stranger.wait(20), -signal.SIGKILL)

    def test_without_a_user_manager_no_job_is_run(self):
        manager = f"user@{sandbox.uid()}.service"
        suite.run("systemctl", "stop", manager)
        self.addCleanup(lambda: suite.wait_until(lambda: self.finish("hello")["code"] == 0))
        self.addCleanup(suite.run, "systemctl", "start", manager)
        suite.wait_until(lambda: self.finish("hello")["code"] == 503)
        self.assertEqual([pid for pid in sandbox.processes()
                          if (sandbox.status(pid) or {}).get("Name", "").strip() == "run.sh"], [])

    def test_kill_of_sandboxd_is_the_end_of_its_guests(self):
        _, scope = self.start("pause")
        guests = sandbox.in_scope(scope)
        os.kill(suite.main_pid(sandbox.SERVICE), signal.SIGKILL)
        suite.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in guests))
        suite.wait_until(lambda: scope not in suite.scopes())
        suite.wait_until(lambda: self.finish("hello")["code"] == 0)

    def test_a_launcher_that_is_killed_is_started_anew(self):
        order, scope = self.start("slow")
        daemon = suite.main_pid(sandbox.SERVICE)
        launchers = [pid for pid in sandbox.processes() if suite.is_launcher(sandbox.cgroup(pid))]
        self.assertEqual(len(launchers), 1)
        os.kill(launchers[0], signal.SIGKILL)
        self.assertEqual(order.until(sandbox.ANSWER)["cause"], "exited")  # what runs does not notice
        suite.wait_until(lambda: not sandbox.in_scope(scope))
        for _ in range(4):  # more than are parked
            suite.wait_until(lambda: self.finish("hello")["code"] == 0)
        self.assertEqual(suite.main_pid(sandbox.SERVICE), daemon)

    def test_what_an_earlier_one_left_is_cleared(self):
        prefix = suite.scopes()[0].rsplit("-", 1)[0] if suite.scopes() else self.start("slow")[1].rsplit("-", 1)[0]
        suite.run("systemctl", "stop", sandbox.SERVICE)
        self.addCleanup(suite.run, "systemctl", "start", sandbox.SERVICE)
        left = subprocess.Popen(["runuser", "-u", sandbox.USER, "--", "env", f"XDG_RUNTIME_DIR=/run/user/{sandbox.uid()}",
                                 "systemd-run", "--user", "--scope", "--quiet", f"--unit={prefix}-dead", "sleep", "600"])
        suite.wait_until(lambda: f"{prefix}-dead.scope" in suite.scopes())
        folder = sandbox.RUNTIME / "deadbeefdeadbeef/crun/deadbeefdeadbeef"
        folder.mkdir(parents=True)
        (folder / "status").write_text("{}")
        suite.run("chown", "-R", f"{sandbox.USER}:", sandbox.RUNTIME)
        suite.run("systemctl", "start", sandbox.SERVICE)
        suite.wait_until(lambda: self.finish("hello")["code"] == 0)
        self.assertNotIn(f"{prefix}-dead.scope", suite.scopes())
        self.assertNotEqual(left.wait(5), 0)
        self.assertFalse((sandbox.RUNTIME / "deadbeefdeadbeef").exists())


class Deadlines(Case):
    """Three seconds are all that the guest has; whoever else is late, it is not the guest."""

    LIMITS = {"wall_usec": 3_000_000, "output_bytes": 2 << 20}
    LATE = 9  # seconds: well beyond what sandboxd allows pipeline-init
    ENOUGH = "head -c 960k /dev/zero"  # more than is held for a worker that does not read, less than all hold together

    @staticmethod
    def inits():
        return [pid for pid in sandbox.processes()
                if sandbox.name(pid) == ".pipeline-init" and "/pipeline" in sandbox.cgroup(pid)]

    def signal_inits(self, number):
        for pid in self.inits():
            os.kill(pid, number)

    def assert_made_it(self, order):
        answer = order.until(sandbox.ANSWER)
        self.assertEqual((answer.get("cause"), answer.get("status")), ("exited", 0), answer)
        self.assertLess(answer["usage"]["wall_usec"], self.LIMITS["wall_usec"])

    def assert_failed(self, order):
        answer = order.until(sandbox.ANSWER)
        self.assertEqual((answer["code"], answer.get("cause")), (500, None), answer)

    def test_a_worker_that_reads_late(self):
        order, _ = self.start(arguments=["/bin/sh", "-c", self.ENOUGH], limits=self.LIMITS)
        time.sleep(self.LATE)
        self.assert_made_it(order)

    def test_a_sandboxd_that_hears_late(self):
        order, _ = self.start(arguments=["/bin/sh", "-c", "sleep 0.2"], limits=self.LIMITS)
        service = suite.main_pid(sandbox.SERVICE)
        os.kill(service, signal.SIGSTOP)
        try:
            time.sleep(self.LATE)
        finally:
            os.kill(service, signal.SIGCONT)
        self.assert_made_it(order)

    def test_an_init_that_starts_the_guest_late(self):
        order = sandbox.Order({"order": "run", "plan": sandbox.plan(INSTALLED["image"], "hello", limits=self.LIMITS)})
        self.addCleanup(order.socket.close)
        suite.wait_until(lambda: sandbox.ask(order="status")["running"] == 1)
        suite.wait_until(lambda: len(suite.scopes()) == len(self.inits()))
        self.signal_inits(signal.SIGSTOP)
        try:
            order.send(sandbox.INPUT_END)
            time.sleep(self.LATE)
            self.assertEqual(select.select([order.socket], [], [], 0)[0], [], "it was not late")
        finally:
            self.signal_inits(signal.SIGCONT)
        self.assert_made_it(order)

    def test_a_worker_that_does_not_read(self):
        """What the guest left is kept for some time; then it is not said of the guest that it was late."""
        order, scope = self.start(arguments=["/bin/sh", "-c", self.ENOUGH], limits=self.LIMITS)
        suite.wait_until(lambda: not sandbox.in_scope(scope), 90)
        self.assert_failed(order)

    def test_an_init_that_is_killed(self):
        order, scope = self.start("pause")
        for pid in sandbox.in_scope(scope):
            if pid in self.inits():
                os.kill(pid, signal.SIGKILL)
        self.assert_failed(order)
        suite.wait_until(lambda: not sandbox.in_scope(scope))

    def test_an_init_that_does_not_end_the_guest(self):
        order, scope = self.start("pause", limits=self.LIMITS)
        self.signal_inits(signal.SIGSTOP)
        try:
            answer = order.until(sandbox.ANSWER)
        finally:
            self.signal_inits(signal.SIGCONT)
        self.assertEqual((answer.get("cause"), answer["limit"]["name"]), ("wall_time", "wall_time"), answer)
        self.assertGreaterEqual(answer["limit"]["used"], answer["limit"]["value"])
        suite.wait_until(lambda: not sandbox.in_scope(scope))


class Pool(Case):
    def test_none_are_parked_where_none_may_be(self):
        self.configure(Parked=0)
        self.assert_runs()
        self.assert_no_scopes()
        self.assertEqual(sandbox.ask(order="status")["parked"], 0)

    def test_the_bound_holds(self):
        self.configure(Parked=2)
        orders = [self.start("slow")[0] for _ in range(5)]
        for order in orders:
            self.assertEqual(order.until(sandbox.ANSWER)["cause"], "exited")
        suite.wait_until(lambda: len(suite.scopes()) <= 2, tell=suite.scopes)
        time.sleep(0.3)
        self.assertLessEqual(len(suite.scopes()), 2)
        self.assertLessEqual(sandbox.ask(order="status")["parked"], 2)

    def test_so_does_that_of_memory(self):
        self.configure(ParkedMemory="40M")
        for order in [self.start("slow")[0] for _ in range(3)]:
            order.until(sandbox.ANSWER)
        suite.wait_until(lambda: len(suite.scopes()) <= 1, tell=suite.scopes)

    def test_one_that_waited_too_long_retires(self):
        self.configure(ParkedAge="1s")
        self.assert_runs()
        self.assert_no_scopes()
        self.assert_runs()

    def test_more_than_may_run_are_refused(self):
        self.configure(Running=1)
        self.start("pause")
        self.assertEqual(self.finish("hello")["code"], 503)


class CheckHost(unittest.TestCase):
    def test_the_host_is_looked_at(self):
        """All is well in the machine, but the controllers, which are where limits are enforced alone."""
        done = suite.ctl("check-host", "--json")
        bad = [f["check"] for f in json.loads(done.stdout)["host"] if f["verdict"] == "bad"]
        enforced = sandbox.ask(order="status")["limits_enforced"]
        controllers = ["controllers", "build-controllers"]  # of the users of both packages
        self.assertEqual((done.returncode, bad), (0, []) if enforced else (1, controllers), done.stdout)

    def test_what_is_not_well_is_said_with_what_to_do(self):
        for user, check in (("pipeline-sandbox", "linger"), ("pipeline-build", "build-linger")):
            linger = pathlib.Path(f"/var/lib/systemd/linger/{user}")
            linger.unlink()
            self.addCleanup(linger.touch)
            done = suite.ctl("check-host")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"\n{check}: loginctl enable-linger {user}\n", done.stdout)


class ByHand(Case):
    def test_without_a_user_manager_it_says_so_and_ends(self):
        suite.run("useradd", "--system", "--home-dir", "/nonexistent", "--add-subids-for-system", "byhand")
        self.addCleanup(suite.run, "userdel", "byhand")
        folder = tempfile.mkdtemp(prefix="by-hand-")
        suite.run("chown", "byhand", folder)
        done = subprocess.run(["runuser", "-u", "byhand", "--", "/usr/lib/pipeline/pipeline-sandboxd",
                               f"--socket={folder}/s", f"--folder={folder}"], capture_output=True, text=True, timeout=30,
                              check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no systemd user manager", done.stderr)


if __name__ == "__main__":
    unittest.main()
