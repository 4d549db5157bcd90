#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The router's port beyond loopback: keys and roles. One more address of the machine stands for the network; the
packaged router gets it as an operator would, by a drop-in for its socket."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite
from suite import code, ctl

ADDRESS = "192.0.2.1"
FAR = f"tcp://{ADDRESS}:5555"
KEYS = pathlib.Path("/etc/pipeline/keys")
DROP_IN = pathlib.Path("/etc/systemd/system/pipeline-router.socket.d/beyond.conf")
UNITS = ("pipeline-router.socket", "pipeline-router.service")
SECRETS = pathlib.Path(tempfile.mkdtemp(prefix="keys-"))


def restart_router():
    suite.run("systemctl", "reset-failed", *UNITS)
    suite.run("systemctl", "restart", *UNITS)


def setUpModule():
    suite.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(f"[Socket]\nListenStream={ADDRESS}:5555\n")
    suite.run("systemctl", "daemon-reload")


def tearDownModule():
    for path in (DROP_IN, *KEYS.glob("*.pub"), pathlib.Path("/etc/pipeline/router.key")):
        path.unlink(missing_ok=True)
    suite.run("systemctl", "daemon-reload")
    restart_router()
    suite.run("ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo")


def key_of(name):
    """The lines of a key file, by their first word."""
    lines = (SECRETS / f"{name}.key").read_text().splitlines()
    return {word: value.encode() for word, value in (line.split(None, 1) for line in lines if line[0] != "#")}


def new_key(name, role, *more):
    path = SECRETS / f"{name}.key"
    suite.run("pipelinectl", "keys", "new", name, "--role", role, "--out", path, *more)
    return key_of(name)


def connect(kind, key, endpoint=FAR, server=None):
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    if key:
        socket.curve_serverkey = server or key["router"]
        socket.curve_publickey, socket.curve_secretkey = key["public"], key["secret"]
    socket.connect(endpoint)
    return socket


def ask(socket, **request):
    socket.send_json(request)
    return json.loads(socket.recv()) if socket.poll(10000) else None


class AWithoutKeys(unittest.TestCase):
    def test_the_router_refuses_to_listen_there_and_says_how_to_make_keys(self):
        subprocess.run(["systemctl", "restart", *UNITS], capture_output=True, check=False)
        self.assertNotEqual(subprocess.run(["systemctl", "is-active", "-q", UNITS[1]], check=False).returncode, 0)
        log = suite.journal("--lines=20", f"--unit={UNITS[1]}")
        self.assertIn(f"Not listening at tcp://{ADDRESS}:5555", log)
        self.assertIn("pipelinectl keys new-router", log)

    def test_a_peers_key_needs_the_routers(self):
        done = ctl("keys", "new", "early", "--role", "submit")
        self.assertEqual(done.returncode, 1)
        self.assertIn("keys new-router", done.stderr)


class Case(suite.Case):
    @classmethod
    def setUpClass(cls):
        if not pathlib.Path("/etc/pipeline/router.key").exists():
            suite.run("pipelinectl", "keys", "new-router")
            restart_router()

    def setUp(self):
        self.name = "k" + self.id().rsplit(".", 1)[-1][-40:].replace("_", "-")

    def connect(self, *arguments, **options):
        return self.keep(connect(*arguments, **options))

    def client(self, key, **options):
        return self.connect(zmq.REQ, key, **options)

    def assert_silent(self, socket, **request):
        socket.send_json(request or {"action": "router_status"})
        self.assertFalse(socket.poll(1000), "it was answered")

    def refusal(self, key, **request):
        reply = ask(self.client(key), **request)
        self.assertEqual((code(reply), reply["status"]["error"]), (400, "bad_input"), reply)
        return reply["context"]["error_detail"]["error"]


class Keys(Case):
    def test_secrets_are_their_owners_alone(self):
        new_key(self.name, "submit")
        for path in (SECRETS / f"{self.name}.key", pathlib.Path("/etc/pipeline/router.key")):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600, path)
        for path in KEYS.glob("*.pub"):
            self.assertNotIn("secret", path.read_text())
        self.assertEqual(ctl("keys", "new-router").returncode, 1)
        self.assertEqual(ctl("keys", "new", self.name, "--role", "submit").returncode, 1)
        for bad in (["new", "router", "--role", "submit"], ["new", "x/y", "--role", "submit"], ["new", "x", "--role", "king"],
                    ["new", "x"], ["new"], ["what"], ["new", "x", "--role", "worker", "--worker", "../y"]):
            self.assertEqual(ctl("keys", *bad).returncode, 2, bad)
        self.assertEqual(ctl("keys", "rm", "nobody").returncode, 1)

    def test_each_role_may_what_it_says_and_is_told_what_it_lacks(self):
        submit, deploy = new_key(self.name + "-s", "submit"), new_key(self.name + "-d", "submit,deploy")
        self.assertEqual(code(ask(self.client(submit), action="router_status")), 200)
        self.assertEqual(self.refusal(submit, action="unload_container_version", channel="test_runners", track_slug="x",
                                      new_version="v"), "not_allowed: this needs the role deploy")
        self.assertEqual(self.refusal(deploy, action="reload_config"), "not_allowed: this needs the role admin")
        worker = new_key(self.name + "-w", "worker")
        self.assertEqual(self.refusal(worker, action="router_status"), "not_allowed: this needs the role submit")

    def test_an_unknown_key_is_let_in_nowhere(self):
        public, secret = zmq.curve_keypair()
        router = (KEYS / "router.pub").read_text().split()[1].encode()
        self.assert_silent(self.client({"public": public, "secret": secret, "router": router}))

    def test_a_wrong_key_of_the_server_is_no_way_in(self):
        self.assert_silent(self.client(new_key(self.name, "submit"), server=zmq.curve_keypair()[0]))

    def test_plain_text_is_no_way_in_and_stays_one_on_loopback(self):
        self.assert_silent(self.client(None))
        for endpoint in (suite.TCP, suite.UNIX):
            reply = ask(self.client(None, endpoint=endpoint), action="router_status")
            self.assertEqual(code(reply), 200)
        self.assert_silent(self.client(new_key(self.name, "submit"), endpoint=suite.TCP))

    def test_a_key_taken_away_is_worth_nothing_at_once(self):
        key = new_key(self.name, "submit")
        client = self.client(key)
        self.assertEqual(code(ask(client, action="router_status")), 200)
        suite.run("pipelinectl", "keys", "rm", self.name)
        reply = ask(client, action="router_status")
        self.assertEqual(reply["context"]["error_detail"]["error"], "not_allowed: this needs the role submit")
        self.assert_silent(self.client(key))
        new_key(self.name + "-again", "submit")
        self.assertEqual(code(ask(client, action="router_status")), 400)

    def test_a_fault_in_one_file_or_in_the_routers_keeps_nobody_in(self):
        key = new_key(self.name, "submit")
        client = self.client(key)
        self.assertEqual(code(ask(client, action="router_status")), 200)
        (KEYS / "broken.pub").write_text("public nonsense\n")
        self.addCleanup((KEYS / "broken.pub").unlink)
        before = suite.ROUTER_FILE.read_bytes()
        self.addCleanup(suite.run, "systemctl", "reload", UNITS[1])
        self.addCleanup(suite.ROUTER_FILE.write_bytes, before)
        suite.ROUTER_FILE.write_text("workers: [")
        (KEYS / f"{self.name}.pub").unlink()
        suite.run("systemctl", "reload", UNITS[1])
        suite.wait_until(lambda: code(ask(client, action="router_status")) == 400)
        self.assertRegex(ctl("keys", "list").stdout, r"broken .*line 1: public")

    def test_pipelinectl_speaks_with_a_key_and_says_what_keeps_it_out(self):
        new_key(self.name, "admin")
        path = SECRETS / f"{self.name}.key"
        done = ctl("status", "--router", FAR, "--key", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.name, json.dumps(json.loads(suite.run("pipelinectl", "keys", "list", "--json"))))
        suite.run("pipelinectl", "keys", "rm", self.name)
        for arguments, told in ((["--key", path], "does not know the key"), ([], "--key")):
            done = ctl("status", "--router", FAR, *arguments)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(told, done.stderr)
        self.assertEqual(ctl("status", "--router", FAR, "--key", "/etc/passwd").returncode, 2)


class Workers(Case):
    """A worker on another host: the packaged one, told the router's address and given a key."""

    def hello(self, key, name):
        socket = self.connect(zmq.DEALER, key)
        socket.send_multipart([b"PIPELINE1", b"hello", json.dumps(
            {"version": 1, "name": name, "channel": "test_runners", "topics": [self.name], "slots": 1, "held": {}, "jobs": [],
             "unacknowledged": []}).encode()])
        self.assertTrue(socket.poll(5000))
        frames = socket.recv_multipart()
        return socket, frames[1].decode(), json.loads(frames[2])

    def test_a_key_without_the_role_is_no_worker(self):
        _, answer, body = self.hello(new_key(self.name, "submit"), self.name)
        self.assertEqual((answer, body["error"]), ("refused", "not_allowed: this needs the role worker"))

    def test_a_key_is_bound_to_its_workers(self):
        key = new_key(self.name, "worker")
        self.assertEqual(self.hello(key, self.name)[1], "configure")
        _, answer, body = self.hello(key, "ruby-1")
        self.assertEqual((answer, body["error"]), ("refused", "not_allowed: this key is not bound to a worker of this name"))
        many = new_key(self.name + "-m", "worker", "--worker", "rubies-*,other")
        self.assertEqual([self.hello(many, name)[1] for name in ("rubies-7", "other", self.name + "-m")],
                         ["configure", "configure", "refused"])

    def test_a_worker_whose_key_is_taken_away_gets_nothing_any_more(self):
        socket, answer, _ = self.hello(new_key(self.name, "worker"), self.name)
        self.assertEqual(answer, "configure")
        socket.send_multipart([b"PIPELINE1", b"configured", b'{"held": {}, "installing": {}}'])

        def online():
            return [w["name"] for w in suite.workers() if w["online"]]
        suite.wait_until(lambda: self.name in online())
        suite.run("pipelinectl", "keys", "rm", self.name)
        self.assertNotIn(self.name, online())
        socket.send_multipart([b"PIPELINE1", b"heartbeat", b'{"slots": 1, "running": 0}'])
        heard = set()
        while "refused" not in heard and socket.poll(5000):
            heard.add(socket.recv_multipart()[1].decode())
        self.assertIn("refused", heard)

    @staticmethod
    def install_key(kind, name):
        """Makes a key and puts it where the unit of a worker or builder looks for it; that path."""
        new_key(name, "worker")
        place = pathlib.Path(f"/etc/pipeline/{kind}/{name}.key")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(SECRETS / f"{name}.key", place)
        return place

    def test_the_packaged_worker_takes_jobs_with_its_key(self):
        name = "faraway-1"
        self.install_key("worker", name)
        unit = f"pipeline-worker@{name}.service"
        self.addCleanup(suite.run, "systemctl", "stop", unit)
        suite.install("faraway", suite.image_of_program(suite.GUESTS / "guest.c"), worker=name,
                      settings=f"ROUTER={FAR}\n")
        reply = ask(self.client(None, endpoint=suite.TCP), **suite.job("faraway", "hello"))
        self.assertEqual((code(reply), reply["context"]["worker"]), (200, name), reply)
        suite.run("pipelinectl", "keys", "rm", name)
        reply = ask(self.client(None, endpoint=suite.TCP), **suite.job("faraway", "hello"))
        self.assertEqual(code(reply), 503, reply)
        suite.wait_until(lambda: "refused" in suite.status_of(unit))

    def test_the_packaged_builder_is_let_in_with_its_key(self):
        name = "faraway-2"
        place = self.install_key("builder", name)
        place.with_suffix(".conf").write_text(f"ROUTER={FAR}\n")
        unit = f"pipeline-builder@{name}.service"
        self.addCleanup(suite.run, "systemctl", "stop", unit)
        suite.run("systemctl", "start", unit)
        suite.wait_until(lambda: name in suite.run("pipelinectl", "workers"),
                         tell=lambda: suite.status_of(unit))


if __name__ == "__main__":
    unittest.main()
