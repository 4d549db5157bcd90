#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipeline-worker between a router and a sandbox service that this test plays itself.

By hand, as root: PIPELINE_WORKER=/path/to/pipeline-worker test_worker.py [NAME…]

Every case starts a worker of its own, as a user that is not root.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import queue
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import zmq

WORKER = os.environ.get("PIPELINE_WORKER", "/usr/bin/pipeline-worker")
USER = "nobody"
ORDER, BLOB, FILE, DATA, INPUT_END = 1, 2, 3, 4, 5
STARTED, STDOUT, STDERR, RESULT, ANSWER = 14, 15, 16, 17, 20
OK, MISSING, NOT_REGULAR, TOO_LARGE, UNREADABLE = range(5)
MIB = 1 << 20
TOKEN = "0123456789abcdef"
PATIENCE = 20  # seconds, for what is to come: a host may be busy
RESULTS = b'{"version": 2, "status": "pass", "n": 12345678901234567890, "a": 1, "a": 2, "x": 1.10}'
LIMITS = {"wall_usec": 2000000, "memory_bytes": 64 * MIB, "processes": 32, "cpu_percent": 100,
          "output_bytes": MIB, "result_bytes": 500 * 1024, "written_bytes": 8 * MIB, "inodes": 1000,
          "open_files": 256}
USAGE = {"wall_usec": 12000, "cpu_usec": 7000, "memory_peak_bytes": 5 * MIB, "written_bytes": 10,
         "written_inodes": 1, "stdout_bytes": 3, "stderr_bytes": 0}


def frame(kind, payload=b"", flags=0):
    return struct.pack("<IHH", len(payload), kind, flags) + payload


def result_frames(name, data, state=OK):
    out = frame(RESULT, bytes([state]) + struct.pack("<Q", len(data)) + name.encode())
    return out + b"".join(frame(DATA, data[i:i + 65536]) for i in range(0, len(data), 65536))


def exited(status=0, **more):
    return {"code": 0, "cause": "exited", "status": status, "limit": None, "usage": USAGE, "scope": "a.scope",
            "limits_enforced": True, **more}


class Connection:
    """One order, as sandboxd sees it."""

    def __init__(self, sock):
        self.socket, self.bytes, self.fds = sock, b"", []
        kind, _, payload = self.frame()
        assert kind == ORDER
        self.order = json.loads(payload)
        self.files, self.blobs, self.executables = {}, {}, set()

    def frame(self):
        """The next frame, or None at the end."""
        while len(self.bytes) < 8 or len(self.bytes) < 8 + struct.unpack_from("<I", self.bytes)[0]:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 18, 4)
            self.fds += fds
            if not data:
                return None
            self.bytes += data
        size, kind, flags = struct.unpack_from("<IHH", self.bytes)
        payload, self.bytes = self.bytes[8:8 + size], self.bytes[8 + size:]
        return kind, flags, payload

    def read_input(self):
        """All until INPUT_END; False where the worker went away before."""
        name = None
        while (got := self.frame()) is not None:
            kind, flags, payload = got
            if kind == FILE:
                name = payload[8:].decode()
                self.files[name] = b""
                if flags & 1:
                    self.executables.add(name)
            elif kind == DATA:
                self.files[name] += payload
            elif kind == BLOB:
                with os.fdopen(self.fds.pop(0), "rb") as file:
                    self.blobs[payload.decode()] = file.read()
            elif kind == INPUT_END:
                return True
        return False

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, **body):
        self.send(frame(ANSWER, json.dumps(body).encode()))

    def is_closed(self, timeout=PATIENCE):
        """Whether the worker closes it in time."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False


class Sandbox:
    """Plays sandboxd: installs what comes with blobs or is known already; what runs is a function of the test."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(64)
        self.images = {}                # digest: blobs
        self.config = {"entrypoint": None, "environment": ["A=b", "HOME=/root"], "folder": "/srv", "user": ""}
        self.paths = {"/opt/test-runner": "folder", "/opt/test-runner/bin/run.sh": "executable"}
        self.run = lambda c: (c.read_input(), c.send(frame(STARTED, b'{"scope": "a.scope"}')),
                              c.send(result_frames("results.json", RESULTS)), c.answer(**exited()))
        self.refuse = {}                # digest: answer
        self.installs, self.runs, self.held = [], queue.Queue(), []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(sock,), daemon=True).start()

    def take(self, sock):
        with sock, contextlib.suppress(ConnectionError, TypeError):  # it went before it said a word
            connection = Connection(sock)
            if connection.order["order"] == "install":
                self.install(connection)
            elif connection.order["order"] == "hold":
                self.held.append(connection.order["digests"])
                while sock.recv(4096):
                    pass
                self.held.remove(connection.order["digests"])
            elif connection.order["order"] == "status":
                connection.answer(code=0, parked=0, running=0, limits_enforced=True)
            else:
                self.runs.put(connection)
                self.run(connection)

    def install(self, c):
        digest = c.order["digest"]
        self.installs.append(digest)
        if c.order["present"] and (digest in self.refuse or digest not in self.images):
            return c.answer(code=511, error="the image is not here")
        if digest in self.refuse:
            c.read_input()
            return c.answer(**self.refuse[digest])
        if digest not in self.images:
            c.read_input()
            if digest not in c.blobs:
                return c.answer(code=512, error="the manifest did not come")
            self.images[digest] = c.blobs
        return c.answer(code=0, config=self.config, probed={p: self.paths.get(p) for p in c.order["probe"]})

    def close(self):
        self.socket.close()


class Router:
    """Plays the router: one worker at a time."""

    def __init__(self, address):
        self.address = address
        self.open()

    def open(self):
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(self.address)
        if self.address.startswith("ipc://"):
            os.chmod(self.address[6:], 0o666)
        self.worker = None

    def close(self):
        self.socket.close()

    def receive(self, kind, timeout=PATIENCE, match=lambda body: True, beat=True):
        """The body and parts of the next message of this kind; heartbeats are answered on the way, if at all."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if not self.socket.poll(left * 1000):
                break
            self.worker, magic, name, body, *parts = self.socket.recv_multipart()
            assert magic == b"PIPELINE1"
            if name == b"heartbeat" and beat:
                self.send("heartbeat")
            if name.decode() == kind and match(json.loads(body)):
                return json.loads(body), parts
        raise AssertionError(f"no {kind} in {timeout} s")

    def send(self, kind, **body):
        self.socket.send_multipart([self.worker, b"PIPELINE1", kind.encode(), json.dumps(body).encode()])

    def configure(self, versions, heartbeat_usec=100000, dead_usec=800000, serial=0, **settings):
        """versions: {track: {version: digest or None}}"""
        tracks = {track: {"versions": [{"version": v, "digest": d} for v, d in of.items()],
                          "settings": {"limits": LIMITS, "profile": "default", "entrypoint": None, "canary_is_off": True,
                               **settings}}
                  for track, of in versions.items()}
        self.send("configure", tracks=tracks, heartbeat_usec=heartbeat_usec, dead_usec=dead_usec,
                  serial=serial)

    def job(self, job=1, **more):
        body = {"job": f"{job:032x}", "token": TOKEN, "attempt": 1, "action": "test_solution",
                "channel": "test_runners", "track": "ruby", "exercise": "two-fer", "id": "client-1",
                "input": "", "version": "v1", "digest": None, "limits": LIMITS, "profile": "default",
                "entrypoint": None, "setup_usec": 2000000, "resend_key": None, **more}
        self.send("job", **body)
        return body

    def outcome(self, timeout=PATIENCE, ack=True):
        body, (response, context, detail) = self.receive("outcome", timeout)
        if ack:
            self.send("outcome-ack", job=body["job"], token=body["token"])
        return body, response, json.loads(context), json.loads(detail) if detail else None


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="test-worker-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.registry, self.inputs, self.state = (f"{self.folder}/{n}" for n in ("registry", "inputs", "state"))
        for path in (self.registry, self.inputs, self.state):
            os.mkdir(path)
        os.chown(self.state, pwd.getpwnam(USER).pw_uid, -1)
        self.sandbox = Sandbox(f"{self.folder}/sandbox.sock")
        self.addCleanup(self.sandbox.close)
        self.router = Router(f"ipc://{self.folder}/router.sock")
        self.addCleanup(lambda: self.router.close())
        self.workers = []
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()
            with worker.stderr:
                self.check_stderr(worker.stderr.read())

    def check_stderr(self, said):
        self.assertNotRegex(said, "Sanitizer|runtime error")

    def start(self, name="ruby-1", *, verb="listen", address=None, arguments=("--wait",), **environment):
        address = address or f"{self.router.address}/test_runners?topic=ruby"
        worker = subprocess.Popen(
            [WORKER, verb, name, address, self.state, "--registry", self.registry, "--input", self.inputs,
             "--sandbox", f"{self.folder}/sandbox.sock", *arguments],
            user=USER, group=pwd.getpwnam(USER).pw_gid, extra_groups=[], stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], **environment})
        self.workers.append(worker)
        return worker

    def push(self, version="v1", track="ruby", layers=1):
        """An image of nonsense in the registry; sandboxd alone would mind."""
        layout = pathlib.Path(f"{self.registry}/test_runners/{track}")
        (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

        def blob(data, kind):
            digest = hashlib.sha256(data).hexdigest()
            (layout / "blobs/sha256" / digest).write_bytes(data)
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

        config = blob(json.dumps({"v": version}).encode(), "config.v1+json")
        manifest = blob(json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
            "layers": [blob(f"layer {i} {version}".encode(), "layer.v1.tar") for i in range(layers)],
        }).encode(), "manifest.v1+json")
        index_path = layout / "index.json"
        index = json.loads(index_path.read_text()) if index_path.exists() else {"schemaVersion": 2, "manifests": []}
        index["manifests"].append({**manifest, "annotations": {"org.opencontainers.image.ref.name": version}})
        index_path.write_text(json.dumps(index))
        return manifest["digest"]

    def solution(self, files=None, name="s1"):
        for path, data in (files or {"two_fer.rb": b"puts 1\n"}).items():
            place = pathlib.Path(self.inputs, name, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return f"file://{self.inputs}/{name}/"

    def start_with(self, versions, **more):
        """A worker that was told these versions of ruby."""
        worker = self.start(**more)
        self.router.receive("hello")
        self.router.configure({"ruby": versions})
        return worker

    def until_held(self, versions, timeout=5):
        """Until the worker has these of ruby, and nothing else."""
        self.router.receive("configured", timeout=timeout, match=lambda b: b["held"] == {"ruby": versions})

    def holding(self, **more):
        """A worker that holds ruby v1."""
        digest = self.push()
        worker = self.start_with({"v1": digest}, **more)
        self.until_held({"v1": digest})
        return worker, digest

    def run_job(self, **more):
        job = self.router.job(**{"input": more.get("input") or self.solution(), **more})
        return (job, *self.router.outcome())


class Hello(Case):
    def test_says_who_it_is(self):
        self.start(address=f"{self.router.address}/test_runners?topic=ruby&topic=8th", arguments=("--slots", "3"))
        hello, _ = self.router.receive("hello")
        self.assertEqual(hello, {"version": 1, "name": "ruby-1", "channel": "test_runners",
                                 "topics": ["ruby", "8th"], "slots": 3, "held": {}, "jobs": [],
                                 "unacknowledged": []})

    def test_refused_tries_again(self):
        self.start()
        self.router.receive("hello")
        self.router.send("refused", error="another worker has this name")
        self.router.receive("hello")

    def test_a_refusal_is_one_line_of_the_log_and_one_setting_of_the_unit(self):
        notify = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notify.bind(f"{self.folder}/notify.sock")
        notify.settimeout(10)
        os.chmod(f"{self.folder}/notify.sock", 0o666)
        worker = self.start(NOTIFY_SOCKET=f"{self.folder}/notify.sock")
        self.router.receive("hello")
        self.router.send("refused", error="no\nWATCHDOG=trigger\nforged\x1b[2J")
        while b"refused" not in (said := notify.recv(65536)):
            pass
        shown = "no\\x0aWATCHDOG=trigger\\x0aforged\\x1b[2J"
        self.assertEqual(said.decode(), f"STATUS=refused by the router: {shown}")
        self.router.receive("hello")
        worker.kill()
        worker.wait()
        log = worker.stderr.read()
        self.assertIn(f"refuses this worker: {shown}\n", log)
        self.workers.remove(worker)
        worker.stderr.close()

    def test_waits_for_a_router_that_is_away(self):
        self.router.close()
        self.start()
        time.sleep(1.5)
        self.router.open()
        self.router.receive("hello")

    def test_a_silent_router_gets_a_new_hello(self):
        self.holding()
        began = time.monotonic()
        self.router.receive("hello", beat=False)
        self.assertGreaterEqual(time.monotonic() - began, 0.7)

    def test_a_restarted_router_gets_a_hello_at_once(self):
        """Not only when it is taken for dead."""
        _, digest = self.holding()
        self.router.configure({"ruby": {"v1": digest}}, dead_usec=10 * PATIENCE * 1000000, serial=2)
        self.router.receive("configured", match=lambda b: b.get("serial") == 2)
        self.router.close()
        self.router.open()
        hello, _ = self.router.receive("hello")
        self.assertIn("v1", hello["held"]["ruby"])

    def test_rubbish_is_dropped(self):
        worker, _ = self.holding()
        for frames in ([b""], [b"PIPELINE1"], [b"PIPELINE1", b"job", b"{"], [b"PIPELINE1", b"job", b"[]"],
                       [b"PIPELINE1", b"job", b"{}"], [b"PIPELINE1", b"what", b"{}"], [b"x"] * 12,
                       [b"PIPELINE1", b"configure", b'{"tracks": 1}'], [b"PIPELINE1", b"cancel", b'{"job": 7}'],
                       [b"PIPELINE1", b"job", b"\xff" * 100000]):
            self.router.socket.send_multipart([self.router.worker, *frames])
        self.assertEqual(self.run_job()[1]["status_code"], 200)
        self.assertIsNone(worker.poll())


class Install(Case):
    def test_every_blob_is_handed_over(self):
        digest = self.push(layers=3)
        self.start_with({"v1": digest})
        self.until_held({"v1": digest})
        blobs = self.sandbox.images[digest]
        self.assertEqual(len(blobs), 5)
        for name, data in blobs.items():
            self.assertEqual(name, "sha256:" + hashlib.sha256(data).hexdigest())

    def test_a_version_without_digest_is_looked_up(self):
        digest = self.push()
        self.start_with({"v1": None})
        self.until_held({"v1": digest})

    def test_what_the_sandbox_has_needs_no_registry(self):
        digest = "sha256:" + "ab" * 32
        self.sandbox.images[digest] = {}
        self.start_with({"v1": digest})
        self.until_held({"v1": digest})

    def test_one_bad_version_stops_no_other_and_is_tried_again(self):
        bad, good = self.push("bad"), self.push("good")
        self.sandbox.refuse[bad] = {"code": 512, "error": "layer 1 has a symlink at /proc"}
        self.start_with({"bad": bad, "gone": "sha256:" + "00" * 32, "good": good})
        body, _ = self.router.receive("configured", match=lambda b: "good" in b["held"].get("ruby", {})
                                      and b["installing"]["ruby"]["gone"]["state"] == "failed")
        failed = body["installing"]["ruby"]
        self.assertEqual(failed["bad"], {"state": "failed", "error": "layer 1 has a symlink at /proc"})
        self.assertIn("blob", failed["gone"]["error"])
        del self.sandbox.refuse[bad]
        self.router.receive("configured", match=lambda b: "bad" in b["held"]["ruby"])

    def test_the_images_own_folder_is_looked_into(self):
        self.sandbox.paths = {"/srv/bin/run.sh": "executable"}
        self.holding()
        self.run_job()
        plan = self.sandbox.runs.get(timeout=PATIENCE).order["plan"]
        self.assertEqual(plan["arguments"][0], "/srv/bin/run.sh")
        self.assertEqual(plan["folder"], "/srv")

    def test_an_image_with_nothing_to_run_fails(self):
        self.sandbox.paths = {}
        digest = self.push()
        self.start_with({"v1": digest})
        body, _ = self.router.receive("configured", match=lambda b: b["installing"].get("ruby", {}).get("v1", {})
                                      .get("state") == "failed")
        self.assertIn("bin/run.sh", body["installing"]["ruby"]["v1"]["error"])
        self.assertEqual(self.run_job()[1]["status_code"], 512)

    def test_what_is_wanted_is_held(self):
        _, digest = self.holding()
        self.assertEqual(self.sandbox.held, [[digest]])
        self.router.configure({})
        self.router.receive("configured", match=lambda b: not b["held"])
        for _ in range(100):
            if not self.sandbox.held:
                return
            time.sleep(0.02)
        self.fail(f"still held: {self.sandbox.held}")

    def test_what_is_no_longer_wanted_is_forgotten(self):
        _, digest = self.holding()
        self.router.configure({"ruby": {"v2": digest}})
        self.until_held({"v2": digest})
        _, outcome, _, _, _ = self.run_job()
        self.assertEqual(outcome["status_code"], 511)


class Run(Case):
    def test_a_result_is_placed_byte_for_byte(self):
        _, digest = self.holding()
        job, outcome, response, context, detail = self.run_job()
        self.assertEqual(outcome, {"job": job["job"], "token": TOKEN, "status_code": 200, "error": None,
                                   "resend_key": None, "cpu_usec": 7000})
        self.assertEqual(response, RESULTS)
        self.assertIsNone(detail)
        self.assertEqual(context["digest"], digest)
        self.assertEqual(context["worker"], "ruby-1")
        self.assertEqual(context["scope"], "a.scope")
        self.assertEqual(context["usage"]["wall_milliseconds"], 12)
        self.assertEqual(context["usage"]["memory_peak_bytes"], 5 * MIB)
        self.assertEqual(context["invocation"]["command"],
                         ["/opt/test-runner/bin/run.sh", "two-fer"] + 2 * ["/mnt/exercism-iteration/"])

    def test_the_plan_says_what_the_job_says(self):
        _, digest = self.holding()
        self.run_job(entrypoint=["/bin/x", "-v"])
        plan = self.sandbox.runs.get(timeout=PATIENCE).order["plan"]
        self.assertEqual(plan, {
            "job": f"{1:032x}", "image": digest, "profile": "default", "folder": "/opt/test-runner",
            "arguments": ["/bin/x", "-v", "two-fer"] + 2 * ["/mnt/exercism-iteration/"], "limits": LIMITS,
            "environment": ["A=b", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"],
            "results": ["results.json"]})

    def test_input_arrives_whole(self):
        self.holding()
        files = {"a.rb": b"x" * 300000, "lib/b c.rb": b"", "lib/deep/\xe9.txt".encode().decode(): b"z", "bin": b"#!"}
        uri = self.solution(files)
        os.chmod(f"{self.inputs}/s1/bin", 0o755)
        self.run_job(input=uri)
        connection = self.sandbox.runs.get(timeout=PATIENCE)
        self.assertEqual(connection.files, files)
        self.assertEqual(connection.executables, {"bin"})

    def test_bad_inputs_are_512_and_say_why(self):
        self.holding()
        uri = self.solution()
        os.symlink("/etc/passwd", f"{self.inputs}/s1/link")
        os.mkdir(f"{self.inputs}/empty")
        os.mkfifo(f"{self.solution(name='fifo')[7:]}/pipe")
        self.solution({"big": b"x" * (9 * MIB)}, "large")
        os.symlink("s1", f"{self.inputs}/other")
        for n, (bad, why) in enumerate([
                (uri, "link in the input is a symbolic link"), (f"file://{self.inputs}/empty/", "no files"),
                (f"file://{self.inputs}/fifo", "neither a file nor a folder"),
                (f"file://{self.inputs}/large", "larger than 8388608 bytes"),
                (f"file://{self.inputs}/none", "not there"), ("file:///etc/", "not below a folder"),
                (f"file://{self.inputs}/../registry", "not below a folder"),
                (f"file://{self.inputs}/other/", "not below a folder"),
                (f"file://{self.inputs}/s1/two_fer.rb", "not a folder"),
                (f"file://{self.inputs}%2f..%2fregistry", "not below a folder"),
                ("file://host/x", "looks like"), ("gs://bucket/key", "not known"), ("s3://bucket/key", "no credentials for S3"), ("", "not known"),
                (f"file://{self.inputs}/%00", "looks like")]):
            with self.subTest(uri=bad):
                self.router.job(job=100 + n, input=bad)
                outcome, response, _, _ = self.router.outcome()
                self.assertEqual((outcome["status_code"], response), (512, b""))
                self.assertIn(why, outcome["error"])

    def test_results_are_judged(self):
        self.holding()

        def run(*frames, **answer):
            def serve(c):
                c.read_input()
                c.send(frame(STARTED, b'{"scope": "a.scope"}') + b"".join(frames))
                c.answer(**(answer or exited()))
            return serve

        deep = b'{"a":' * 33 + b"1" + b"}" * 33
        for n, (serve, code, text) in enumerate([
                (run(result_frames("results.json", b"", MISSING)), 514, "missing"),
                (run(), 514, "missing"),
                (run(result_frames("results.json", b"[]")), 514, "no JSON object"),
                (run(result_frames("results.json", b'{"a": NaN}')), 514, "not JSON"),
                (run(result_frames("results.json", b'{"a": "\xff"}')), 514, "UTF-8"),
                (run(result_frames("results.json", deep)), 514, "deep"),
                (run(result_frames("results.json", b"", TOO_LARGE)), 514, "larger than 512000"),
                (run(result_frames("results.json", b"", NOT_REGULAR)), 514, "regular"),
                (run(result_frames("results.json", RESULTS), **exited(3)), 513, "exit status is 3"),
                (run(**exited(cause="signaled", signal=11)), 403, "signal 11"),
                (run(**exited(cause="wall_time", limit={"name": "wall_time", "value": 2000000, "used": 2000100})),
                 401, "2000 ms"),
                (run(**exited(cause="output", limit={"name": "output", "value": MIB, "used": MIB + 1})), 402, "stream"),
                (run(**exited(cause="memory", limit={"name": "memory", "value": 64 * MIB, "used": 64 * MIB})),
                 403, "memory"),
                (run(code=503, error="too many"), 503, "too many"),
                (run(result_frames("other.json", b"{}")), 510, "not asked for"),
                (run(frame(ANSWER, b"x")), 510, "answer"),
                (run(b"\xff" * 8), 510, "no frame"),
                (lambda c: c.read_input(), 510, "ended in the middle"),
                (run(result_frames("results.json", b'{"big": 1}' + b" " * 600000)), 510, "larger")]):
            with self.subTest(n=n, text=text):
                self.sandbox.run = serve
                _, outcome, response, _, detail = self.run_job(job=200 + n)
                self.assertEqual((outcome["status_code"], response), (code, b""), outcome["error"])
                self.assertIn(text, outcome["error"])
                if code == 513:
                    self.assertEqual(detail["result"]["status"], "pass")
                if code == 401:
                    self.assertEqual(detail, {"limit": "wall_time", "value": 2000, "used": 2000})

    def test_output_is_kept_escaped_and_bounded(self):
        self.holding()
        self.sandbox.run = lambda c: (c.read_input(), c.send(frame(STARTED, b"{}") + frame(STDOUT, b"a\xff\n")),
                                      [c.send(frame(STDERR, b"\x01" * 65536)) for _ in range(64)],
                                      c.send(result_frames("results.json", b"{}")), c.answer(**exited()))
        _, outcome, _, context, _ = self.run_job(limits={**LIMITS, "output_bytes": 4 * MIB})
        self.assertEqual(outcome["status_code"], 200)
        invocation = context["invocation"]
        self.assertEqual((invocation["stdout"], invocation["stdout_truncated"]), ("a\\xff\n", False))
        self.assertTrue(invocation["stderr_truncated"])
        self.assertGreater(len(invocation["stderr"]), 100000)

    def test_set_up_that_takes_too_long_is_512(self):
        self.holding()
        self.sandbox.run = lambda c: c.is_closed(30)
        began = time.monotonic()
        _, outcome, _, _, _ = self.run_job(setup_usec=500000)
        self.assertGreaterEqual(time.monotonic() - began, 0.5)
        self.assertEqual(outcome["status_code"], 512)
        self.assertIn("500 ms", outcome["error"])

    def test_cancelled_jobs_end_in_403_and_their_order_is_closed(self):
        self.holding()
        started, closed = queue.Queue(), queue.Queue()
        self.sandbox.run = lambda c: (c.read_input(), c.send(frame(STARTED, b"{}")), started.put(c),
                                      closed.put(c.is_closed()))
        job = self.router.job(input=self.solution())
        started.get(timeout=PATIENCE)
        self.router.send("cancel", job=job["job"], token="f" * 16, reason="stale")
        self.router.send("cancel", job=job["job"], token=TOKEN, reason="the client asked")
        outcome, _, _, _ = self.router.outcome()
        self.assertEqual(outcome["status_code"], 403)
        self.assertIn("the client asked", outcome["error"])
        self.assertTrue(closed.get(timeout=PATIENCE))

    def test_slots_run_at_the_same_time_and_no_more(self):
        self.holding(arguments=("--slots", "2"))
        gate = threading.Event()
        plain = self.sandbox.run
        self.sandbox.run = lambda c: (gate.wait(5), plain(c))
        uri = self.solution()
        for n in range(3):
            self.router.job(job=n + 1, input=uri)
        outcome, _, _, _ = self.router.outcome()
        self.assertEqual((outcome["job"], outcome["status_code"]), (f"{3:032x}", 510))
        gate.set()
        self.assertEqual({self.router.outcome()[0]["status_code"] for _ in range(2)}, {200})

    def test_no_sandbox_service_is_510_and_the_next_job_runs(self):
        self.holding()
        os.rename(f"{self.folder}/sandbox.sock", f"{self.folder}/away")
        _, outcome, _, _, _ = self.run_job()
        self.assertEqual(outcome["status_code"], 510)
        os.rename(f"{self.folder}/away", f"{self.folder}/sandbox.sock")
        self.assertEqual(self.run_job(job=2)[1]["status_code"], 200)


class Canary(Case):
    """The job that a worker gives itself, before it takes any."""

    WORD = frame(STDOUT, b"pipeline canary\n")

    def sing(self, c):
        """As sandboxd would have pipeline-init answer."""
        c.read_input()
        c.send(frame(STARTED, b'{"scope": "a.scope"}') + self.WORD)
        c.answer(**exited())

    def fail(self, c):
        c.read_input()
        c.answer(code=500, error="out of order")

    def begin(self, run, **settings):
        """A worker that holds ruby v1 and whose sandbox service runs its jobs so."""
        self.sandbox.run = run
        self.push()
        worker = self.start()
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": None}}, canary_is_off=False, **settings)
        return worker

    def slots(self, n):
        self.router.receive("heartbeat", match=lambda b: b["slots"] == n)

    def test_it_comes_before_jobs_and_lets_them_in(self):
        self.begin(self.sing)
        self.slots(0)
        self.slots(1)
        plan = self.sandbox.runs.get(timeout=PATIENCE).order["plan"]
        self.assertEqual(plan["arguments"][:2], ["/.pipeline-init", "canary"])
        self.assertEqual(plan["limits"], LIMITS)

    def test_while_it_fails_nothing_is_taken(self):
        self.begin(self.fail)
        self.slots(0)
        self.sandbox.runs.get(timeout=PATIENCE)
        time.sleep(0.3)
        self.router.job(input=self.solution())
        outcome, *_ = self.router.outcome()
        self.assertEqual(outcome["status_code"], 510, outcome)
        self.assertIn("canary", outcome["error"])
        self.sandbox.run = self.sing
        self.slots(1)

    def test_off_there_is_none(self):
        self.sandbox.run = self.fail
        self.push()
        self.start()
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": None}}, canary_is_off=True)
        self.router.receive("configured", match=lambda b: b["held"].get("ruby"))
        self.slots(1)
        with self.assertRaises(queue.Empty):
            self.fail(self.sandbox.runs.get(timeout=1).order["plan"]["arguments"])

    def test_turned_off_while_it_fails_jobs_are_taken(self):
        self.begin(self.fail)
        self.slots(0)
        self.sandbox.runs.get(timeout=PATIENCE)
        self.router.configure({"ruby": {"v1": None}}, canary_is_off=True)
        self.slots(1)

    def test_another_word_is_none(self):
        self.begin(lambda c: (c.read_input(), c.send(frame(STARTED, b'{"scope": "a.scope"}')), c.answer(**exited())))
        self.slots(0)
        self.sandbox.runs.get(timeout=PATIENCE)
        self.sandbox.runs.get(timeout=PATIENCE)  # it is tried again

    def test_one_of_the_tracks_own(self):
        uri = self.solution(name="known")
        good = self.sandbox.run
        self.begin(good, canary_exercise="known-good", canary_input=uri)
        self.slots(0)
        self.slots(1)
        run = self.sandbox.runs.get(timeout=PATIENCE)
        self.assertEqual(run.order["plan"]["arguments"][:2], ["/opt/test-runner/bin/run.sh", "known-good"])
        self.assertEqual(list(run.files), ["two_fer.rb"])

    def test_an_abnormal_end_is_followed_by_one(self):
        self.begin(self.sing)
        self.slots(1)
        self.sandbox.runs.get(timeout=PATIENCE)
        self.sandbox.run = self.fail
        self.router.job(input=self.solution())
        self.slots(0)
        outcome, *_ = self.router.outcome()
        self.assertEqual(outcome["status_code"], 500, outcome)
        self.sandbox.run = self.sing
        self.slots(1)

    def test_what_a_client_asked_for_is_not_abnormal(self):
        self.begin(self.sing)
        self.slots(1)
        self.sandbox.runs.get(timeout=PATIENCE)
        self.router.job(input="file:///etc/")
        self.assertEqual(self.router.outcome()[0]["status_code"], 512)
        with self.assertRaises(queue.Empty):
            self.fail(self.sandbox.runs.get(timeout=0.5).order["plan"]["arguments"])


class Flavours(Case):
    def worker(self, channel, **paths):
        self.sandbox.paths = paths
        digest = self.push()
        os.rename(f"{self.registry}/test_runners", f"{self.registry}/{channel}")
        self.start(address=f"{self.router.address}/{channel}?topic=ruby")
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": digest}})
        self.router.receive("configured", match=lambda b: "ruby" in b["held"])

    def answer(self, *results):
        self.sandbox.run = lambda c: (c.read_input(), c.send(frame(STARTED, b"{}")),
                                      [c.send(result_frames(*r)) for r in results], c.answer(**exited()))

    def test_an_analysis_is_a_text(self):
        self.worker("static_analyzers", **{"/opt/analyzer": "folder", "/opt/analyzer/bin/analyze.sh": "executable"})
        self.answer(("analysis.json", b'{"status": "approve"}\n'))
        _, _, response, context, _ = self.run_job(channel="static_analyzers", action="analyze_iteration")
        self.assertEqual(json.loads(response), '{"status": "approve"}\n')
        self.assertEqual(context["invocation"]["command"],
                         ["/opt/analyzer/bin/analyze.sh", "two-fer", "/mnt/exercism-iteration/"])

    def test_a_representation_is_a_text_with_its_mapping(self):
        self.worker("representers", **{"/opt/representer": "folder", "/opt/representer/bin/generate.sh": "executable"})
        self.answer(("representation.txt", b"(def \xc3\xa9)"), ("mapping.json", b'{"a": 1e2}'))
        _, _, response, context, _ = self.run_job(channel="representers", action="represent")
        self.assertEqual(json.loads(response), "(def \u00e9)")
        self.assertEqual(context["mapping"], {"a": 100.0})
        self.answer(("representation.txt", b"x"), ("mapping.json", b"", MISSING))
        _, outcome, _, context, _ = self.run_job(channel="representers", action="represent")
        self.assertEqual((outcome["status_code"], context["mapping"]), (200, None))
        self.answer(("representation.txt", b"x"), ("mapping.json", b"nonsense"))
        _, outcome, _, _, _ = self.run_job(channel="representers", action="represent")
        self.assertEqual(outcome["status_code"], 514)


class Kept(Case):
    def test_outcomes_are_said_again_until_acknowledged(self):
        self.holding()
        job = self.router.job(input=self.solution())
        self.router.outcome(ack=False)
        self.router.close()
        self.router.open()
        hello, _ = self.router.receive("hello")
        self.assertEqual(hello["unacknowledged"], [job["job"]])
        self.router.configure({"ruby": {}})
        outcome, response, _, _ = self.router.outcome()
        self.assertEqual((outcome["job"], response), (job["job"], RESULTS))

    def test_outcomes_outlive_a_killed_worker(self):
        worker, _ = self.holding()
        self.router.job(input=self.solution(), resend_key="ab" * 32)
        _, response, _, _ = self.router.outcome(ack=False)
        time.sleep(0.2)
        worker.kill()
        worker.wait()
        self.start()
        hello, _ = self.router.receive("hello", match=lambda b: b["unacknowledged"])
        self.router.configure({"ruby": {}})
        outcome, again, _, _ = self.router.outcome()
        self.assertEqual(outcome["resend_key"], "ab" * 32)
        self.assertEqual(response, again)
        time.sleep(0.2)
        self.assertEqual(os.listdir(f"{self.state}/outcomes"), [])

    def test_no_more_than_64_are_kept(self):
        self.holding()
        uri = self.solution()
        for n in range(70):
            self.router.job(job=n + 1, input=uri)
            self.router.outcome(ack=False)
        time.sleep(0.2)
        names = os.listdir(f"{self.state}/outcomes")
        self.assertEqual(len(names), 64)
        self.assertNotIn(f"{1:032x}-{TOKEN}", names)


class Ends(Case):
    def test_a_second_worker_on_the_folder_is_refused(self):
        self.holding()
        second = self.start("ruby-2")
        self.assertEqual(second.wait(5), 1)
        self.assertIn("Another worker uses", second.stderr.read())

    def test_root_is_refused_and_told_the_unit(self):
        done = subprocess.run([WORKER, "listen", "ruby-1"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("systemctl start pipeline-worker@ruby-1", done.stderr)

    def test_wrong_command_lines_are_told(self):
        for arguments in ([], ["listen"], ["what", "ruby-1"], ["listen", "-x"], ["listen", "../x"],
                          ["listen", "ruby-1"], ["listen", "ruby-1", "tcp://x:1", "/tmp/x"],
                          ["listen", "ruby-1", "tcp://x:1/nochannel", "/tmp/x"],
                          ["listen", "ruby-1", "tcp://x:1/test_runners?topic=../x", "/tmp/x"],
                          ["listen", "ruby-1", "tcp://x:1/test_runners", "/tmp/x", "--slots", "0"]):
            done = subprocess.run([WORKER, *arguments], capture_output=True, text=True, check=False, user=USER)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("--help" if "-x" not in arguments else "option", done.stderr)

    def test_terminated_it_finishes_its_job(self):
        worker, _ = self.holding()
        gate = threading.Event()
        plain = self.sandbox.run
        self.sandbox.run = lambda c: (gate.wait(5), plain(c))
        self.router.job(input=self.solution())
        self.sandbox.runs.get(timeout=PATIENCE)
        worker.send_signal(signal.SIGTERM)
        self.router.receive("goodbye")
        self.assertIsNone(worker.poll())
        gate.set()
        self.assertEqual(self.router.outcome()[0]["status_code"], 200)
        self.assertEqual(worker.wait(PATIENCE), 0)

    def test_a_router_that_restarts_meanwhile_gets_the_outcome(self):
        worker, _ = self.holding()
        gate = threading.Event()
        plain = self.sandbox.run
        self.sandbox.run = lambda c: (gate.wait(10), plain(c))
        job = self.router.job(input=self.solution())
        self.sandbox.runs.get(timeout=PATIENCE)
        worker.send_signal(signal.SIGTERM)
        self.router.receive("goodbye")
        self.router.close()
        self.router.open()
        hello, _ = self.router.receive("hello")
        self.assertEqual([(j["job"], j["token"]) for j in hello["jobs"]], [(job["job"], TOKEN)])
        self.router.receive("goodbye")
        gate.set()
        self.assertEqual(self.router.outcome()[0]["status_code"], 200)
        self.assertEqual(worker.wait(PATIENCE), 0)

    def test_idle_it_ends_at_once(self):
        worker, _ = self.holding()
        worker.send_signal(signal.SIGTERM)
        self.router.receive("goodbye")
        self.assertEqual(worker.wait(2), 0)

    def test_configure_installs_and_exits(self):
        digest = self.push()
        worker = self.start(verb="configure")
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": digest}})
        self.assertEqual(worker.wait(5), 0)
        self.assertIn(digest, self.sandbox.images)

    def test_configure_fails_where_a_version_does(self):
        worker = self.start(verb="configure")
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": None}})
        self.assertEqual(worker.wait(5), 1)

    def test_dryrun_shows_and_does_nothing(self):
        digest = self.push()
        worker = self.start(arguments=("--dryrun",))
        self.router.receive("hello")
        self.router.configure({"ruby": {"v1": digest}})
        self.assertEqual(worker.wait(5), 0)
        self.assertIn(f"ruby v1 {digest}", worker.stderr.read())
        self.assertEqual(self.sandbox.installs, [])

    def test_an_unknown_track_is_an_error_unless_waited_for(self):
        worker = self.start(arguments=())
        self.router.receive("hello")
        self.router.configure({})
        self.assertEqual(worker.wait(5), 1)
        self.assertIn("No version is deployed for track ruby", worker.stderr.read())


class Questions(Case):
    def test_versions_are_resolved_and_listed(self):
        _, digest = self.holding()
        query = {"query": TOKEN, "channel": "test_runners", "track": "ruby"}
        self.router.send("resolve", **query, version="v1")
        self.assertEqual(self.router.receive("resolved")[0]["digest"], digest)
        self.router.send("resolve", **query, version="v9")
        answer, _ = self.router.receive("resolved")
        self.assertEqual((answer["code"], answer["digest"]), (400, None))
        self.assertIn("v9", answer["error"])
        self.router.send("list", **query)
        self.assertEqual(self.router.receive("listed")[0]["images"], {digest: ["v1"]})
        self.router.send("list", **{**query, "track": "none"})
        self.assertEqual(self.router.receive("listed")[0]["code"], 400)


if __name__ == "__main__":
    unittest.main()
