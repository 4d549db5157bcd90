#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers that lie, flood, or do not read get nowhere, and nobody else notices: against the packaged router, with workers
and clients made by hand."""

import json
import os
import pathlib
import socket as sockets
import sys
import time
import unittest

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import peer
import sandbox
import suite
from suite import code

TRACK = "peers"
ROUTER = "pipeline-router.service"


class Case(suite.Case):
    def setUp(self):
        self.pid = suite.main_pid(ROUTER)

    def tearDown(self):
        """It is the same process, and answers at once."""
        self.assertEqual(suite.main_pid(ROUTER), self.pid)
        self.assertEqual(code(self.client().ask(action="router_status")), 200)

    def client(self, endpoint=suite.UNIX):
        return self.keep(peer.Client(endpoint))

    def worker(self, name, *versions, slots=1, topics=(TRACK,)):
        return self.keep(peer.Worker(name, list(topics), slots)).start(*versions)

    def job(self, client, request_id="job", **more):
        client.send(request_id, **suite.job(TRACK, "x", **more))


class Lies(Case):
    @classmethod
    def setUpClass(cls):
        worker, client = peer.Worker("peers-deploy", [TRACK]).start(), peer.Client()
        peer.deploy(client, worker, TRACK)
        worker.say("goodbye", {"reason": "done"})
        worker.close()
        client.close()

    def test_an_outcome_of_anothers_job_counts_for_nothing(self):
        honest, liar, client = self.worker("honest", "v1"), self.worker("liar", "v1"), self.client()
        self.job(client, "a")
        self.job(client, "b")
        mine, theirs = honest.expect("job"), liar.expect("job")
        liar.answer(mine, {"status": "forged"})
        liar.outcome(mine["job"], theirs["token"], {"status": "forged"})
        liar.outcome("0" * 32, "0" * 16, {"status": "forged"})
        honest.answer(mine, {"status": "true"})
        liar.answer(theirs, {"status": "true"})
        self.assertEqual([client.receive(r)["response"]["status"] for r in "ab"], ["true", "true"])

    def test_a_stale_attempt_counts_for_nothing(self):
        worker, client = self.worker("stale", "v1"), self.client()
        self.job(client)
        first = worker.expect("job")
        worker.start("v1")  # begins anew, and knows nothing of the job: it is given out once more
        second = worker.expect("job")
        self.assertEqual((second["job"], second["attempt"]), (first["job"], 2))
        self.assertNotEqual(second["token"], first["token"])
        worker.answer(first, {"status": "stale"})
        worker.answer(second, {"status": "fresh"})
        worker.answer(second, {"status": "again"})
        self.assertEqual(client.receive("job")["response"]["status"], "fresh")
        self.assertFalse(client.socket.poll(300), "it was answered twice")

    def test_a_worker_is_who_it_is(self):
        self.worker("taken", "v1")
        theft = f"""
import sys; sys.path.insert(0, "{pathlib.Path(peer.__file__).parent}")
import peer
worker = peer.Worker("taken", ["{TRACK}"])
worker.hello()
print(worker.expect("refused")["error"])"""
        self.assertIn("belongs to another", suite.run("runuser", "-u", "pipeline-worker", "--", "python3", "-c", theft))
        anybody = self.keep(peer.Worker("anybody", [TRACK], endpoint=suite.TCP))
        anybody.hello()
        self.assertIn("the role worker", anybody.expect("refused")["error"])
        silent = self.keep(peer.Worker("silent", [TRACK]))
        silent.hold("v1")
        self.assertIn("hello first", silent.expect("refused")["error"])

    def test_a_connections_identity_cannot_be_taken_over(self):
        victim = self.keep(peer.Worker("victim", [TRACK]))
        for thing in (victim, self.keep(peer.Worker("thief", [TRACK], endpoint=suite.TCP))):
            thing.socket.close()
            thing.socket = zmq.Context.instance().socket(zmq.DEALER)
            thing.socket.linger = 0
            thing.socket.routing_id = b"victim"
            thing.socket.connect(suite.UNIX if thing is victim else suite.TCP)
            if thing is victim:
                victim.start("v1")
            else:
                thing.outcome("0" * 32, "0" * 16, {})
                self.assertIsNone(thing.hears("refused"))
        client = self.client()
        self.job(client)
        job = victim.expect("job")
        victim.answer(job, {"status": "true"})
        self.assertEqual(client.receive("job")["response"]["status"], "true")

    def test_rubbish_of_workers_is_dropped(self):
        worker = self.worker("rubbish", "v1")
        for frames in ([b"PIPELINE1"], [b"PIPELINE1", b"hello"], [b"PIPELINE1", b"hello", b"[]"], [b"PIPELINE1", b"what", b"{}"],
                       [b"PIPELINE1", b"outcome", b"{}", b"x"], [b"PIPELINE1", b"heartbeat", b'{"slots": -1, "running": NaN}'],
                       [b"PIPELINE1", b"configured", b'{"held": {"../..": {}}}'], [b"PIPELINE1", *[b"x"] * 1000]):
            worker.socket.send_multipart(frames)
        worker.say("heartbeat", {"slots": 1, "running": 0})
        worker.expect("heartbeat")


class Floods(Case):
    def test_messages_of_any_shape_are_answered_or_end_their_connection(self):
        for frames in ([b""], [b'{"action": "router_status"}'], [b""] * 2, [b"", *[b"x"] * 1000], [b"x"] * 1000,
                       [b"", b"\xff" * 1000000]):
            client = self.client(suite.TCP)
            client.socket.send_multipart(frames)
            self.assertTrue(client.socket.poll(5000), frames[:2])
            self.assertEqual(code(json.loads(client.socket.recv_multipart()[-1])), 502)
        client = self.client(suite.TCP)
        client.socket.send_multipart([b"", b"x" * 5000000])
        self.assertFalse(client.socket.poll(500))

    def test_bytes_that_are_no_zeromq(self):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL" + b"\0" * 48 + b"\xff" * 999):
            with sockets.create_connection(("127.0.0.1", 5555)) as raw:
                raw.sendall(data)
                try:
                    self.assertLess(len(raw.recv(4096)), 4096)
                except ConnectionResetError:
                    pass

    def test_a_thousand_clients_come_and_go(self):
        files = pathlib.Path(f"/proc/{self.pid}/fd")
        before = len(os.listdir(files))
        for _ in range(10):
            clients = [peer.Client(endpoint) for endpoint in (suite.TCP, suite.UNIX) for _ in range(50)]
            for client in clients:
                client.send("x", action="router_status")
            self.assertEqual({code(client.receive("x")) for client in clients[::2]}, {200})
            for client in clients:
                client.close()
        suite.wait_until(lambda: len(os.listdir(files)) <= before + 5, tell=lambda: len(os.listdir(files)))

    def test_a_hundred_thousand_requests_leave_nothing_behind(self):
        """Of every kind that is refused, and the shortest that is not; the first tenth warms it up."""
        client = self.client()
        kinds = [b"{", b"[]", b"{}", b'{"action": "what"}', b'{"action": "test_solution"}', b'{"action": "router_status"}',
                 json.dumps(suite.job("nobody", "x")).encode(), json.dumps(suite.job(TRACK, "../x")).encode(),
                 json.dumps(suite.job(TRACK, "x", version="absent", request_id="r" * 100)).encode(), b"x" * 3000]

        def send(number):
            codes, sent, heard = set(), 0, 0
            while heard < number:
                while sent < number and sent - heard < 64:
                    client.socket.send_multipart([b"", kinds[sent % len(kinds)]])
                    sent += 1
                self.assertTrue(client.socket.poll(30000), f"{heard} answers")
                reply = client.socket.recv_multipart()[1]
                if heard < len(kinds):
                    codes.add(code(json.loads(reply)))
                heard += 1
            return codes

        def held():
            return (sandbox.kilobytes(self.pid, "RssAnon", "VmSwap"), len(os.listdir(f"/proc/{self.pid}/fd")),
                    int(sandbox.status(self.pid)["Threads"]))

        self.assertGreaterEqual(send(10000), {200, 400, 502})
        kilobytes, descriptors, threads = held()
        send(90000)
        after = held()
        self.assertLessEqual(after[0], kilobytes + 2048)
        self.assertLessEqual(after[1], descriptors + 2)
        self.assertEqual(after[2], threads)

    def test_who_does_not_read_keeps_nobody_waiting(self):
        slow = zmq.Context.instance().socket(zmq.DEALER)
        slow.linger, slow.rcvhwm, slow.rcvbuf = 0, 1, 4096
        self.keep(slow).connect(suite.TCP)
        padding = "x" * 900000
        for size, n in ((0, 5000), (900000, 200)):
            for _ in range(n):
                slow.send_multipart([b"", json.dumps({"action": "what", "padding": padding[:size]}).encode()])
            self.assertEqual(code(self.client().ask(action="router_status")), 200)
        self.assertLess(sandbox.kilobytes(self.pid, "VmRSS"), 200000)


FORGED = "forged\nPRIORITY=0\nMESSAGE=forged\nFORGED=1\r\n\x1b[2J\x1b]0;forged\x07\x9b31m\u2028end"


class Log(Case):
    """What peers write comes into the journal as one line of what can be printed, or not at all."""

    def journal(self, *options):
        return suite.journal("--all", "--output=json", *options).splitlines()

    def setUp(self):
        super().setUp()
        self.cursor = json.loads(self.journal("-n", "1")[-1])["__CURSOR"]

    def written(self):
        """The records since then of the suite's services; what cannot be printed comes as numbers."""
        suite.run("journalctl", "--sync")
        for line in self.journal(f"--after-cursor={self.cursor}"):
            record = json.loads(line)
            if "pipeline" in str(record.get("_SYSTEMD_UNIT")):
                yield {k: bytes(v).decode(errors="replace") if isinstance(v, list) and all(isinstance(b, int) for b in v) else v
                       for k, v in record.items()}

    def assert_nothing_is_forged(self, *seen):
        records = list(self.written())
        for record in records:
            self.assertNotIn("FORGED", record)
            self.assertNotEqual(record.get("PRIORITY"), "0", record)
            self.assertNotEqual(record["MESSAGE"], "forged", record)
            for key, value in record.items():
                for text in value if isinstance(value, list) else [value]:
                    if "forged" in text:
                        self.assertRegex(text, r"\A[^\x00-\x1f\x7f-\x9f\u2028]*\Z", key)
        said = [r["MESSAGE"] for r in records]
        for words in seen:
            self.assertTrue(any(f"{words}: forged\\x0aPRIORITY=0\\x0aMESSAGE=forged" in text for text in said), (words, said))

    def test_requests_forge_nothing(self):
        client = self.client()
        members = {"test_solution": ("id", "request_id", "track_slug", "exercise_slug", "container_version"),
                   "build_container": ("id", "request_id", "track_slug", "git_reference", "channel"),
                   "deploy_container_version": ("request_id", "track_slug", "new_version", "channel"),
                   "cancel": ("id",), FORGED: ("id", FORGED)}
        good = {"channel": "test_runners", "new_version": "v1", "git_reference": "main"}
        for action, member in ((a, m) for a, of in members.items() for m in of):
            request = {**suite.job(TRACK, "x", action=action), **good, member: FORGED}
            client.socket.send_multipart([b"", json.dumps(request).encode()])
            self.assertTrue(client.socket.poll(10000), (action, member))
            self.assertIn(code(json.loads(client.socket.recv_multipart()[1])), (400, 501, 502), (action, member))
        self.assert_nothing_is_forged()

    def test_workers_forge_nothing(self):
        client, worker = self.client(), peer.Worker("forger", [TRACK])
        self.keep(worker)
        worker.say("hello", {"version": 1, "name": FORGED, "channel": "test_runners", "topics": [FORGED], "slots": 1,
                             "held": {}, "jobs": [], "unacknowledged": []})
        worker.say(FORGED, {})
        worker.start("v1")
        peer.deploy(client, worker, TRACK)
        worker.say("heartbeat", {"slots": 1, FORGED: 1})
        worker.say("configured", {"held": {FORGED: {}}, "installing": {TRACK: {"v1": {"state": "failed", "error": FORGED}}}})
        worker.hold("v1")
        self.job(client, uri=FORGED)
        for _ in range(2):
            job = worker.expect("job")
            worker.answer(job, {}, code=510, error=FORGED)
        self.assertEqual(code(client.receive("job")), 510)
        worker.say("goodbye", {"reason": FORGED})
        self.assertEqual(code(client.ask(action="router_status")), 200)
        self.assert_nothing_is_forged("is given out once more", "leaves")


class Limits(Case):
    def setUp(self):
        super().setUp()
        self.before = suite.ROUTER_FILE.read_text()
        self.addCleanup(self.set_config, self.before)

    def set_config(self, text):
        suite.ROUTER_FILE.write_text(text)
        self.assertEqual(code(self.client().ask(action="reload_config")), 200)

    def set_limits(self, text):
        self.set_config(text + "\n" + self.before)

    def await_quiet(self):
        """Until nothing of other tests is under way: as root, they are the same peer as this one."""
        client = self.client()

        def under_way():
            jobs = client.ask(action="describe_jobs")["response"]["jobs_info"]
            workers = client.ask(action="describe_workers")["response"]["workers_info"]
            return jobs or [worker for worker in workers if worker["running"]]
        suite.wait_until(lambda: not under_way(), 60, under_way)

    def test_requests_under_way_of_one_are_bounded_and_another_is_served(self):
        self.await_quiet()
        self.set_limits("peer_limits: {requests: 3}")
        worker = self.worker("bounded", "v1", slots=4)
        greedy, other = self.client(suite.TCP), self.client()
        for i in range(6):
            self.job(greedy, f"r{i}", id="greedy")
        for i in range(3, 6):
            detail = greedy.receive(f"r{i}")["context"]["error_detail"]
            self.assertEqual((detail["limit"], detail["value"], detail["used"]), ("peer_requests", 3, 4), detail)
        self.job(other)
        jobs = [worker.expect("job") for _ in range(4)]
        mine = [job for job in jobs if job["id"] == "test"]
        worker.answer(mine[0], {"status": "served"})
        self.assertEqual(other.receive("job")["response"]["status"], "served")
        self.assertEqual(greedy.ask(action="cancel", id="greedy")["response"]["cancelled"], 3)
        self.assertEqual([code(greedy.receive(f"r{i}")) for i in range(3)], [403] * 3)
        for job in (worker.expect("cancel") for _ in range(3)):
            worker.answer(job, {}, code=403)
        self.job(greedy, "again")
        job = worker.expect("job")
        worker.answer(job, {})
        self.assertEqual(code(greedy.receive("again")), 200)

    def test_memory_of_one_connection_is_bounded(self):
        self.set_limits("connection_limits: {memory: 100K}")
        worker = self.worker("memory", "v1", slots=4)
        client = self.client(suite.TCP)
        for i in range(3):
            self.job(client, f"r{i}", padding="x" * 40000)
        self.assertEqual(client.receive("r2")["context"]["error_detail"]["limit"], "connection_memory")
        for _ in range(2):
            job = worker.expect("job")
            worker.answer(job, {})
        self.assertEqual([code(client.receive(r)) for r in ("r0", "r1")], [200, 200])

    def test_the_rate_of_one_connection_is_bounded_and_another_is_served(self):
        self.set_limits("connection_limits: {rate: 5}")
        client, other = self.client(suite.TCP), self.client(suite.TCP)
        for i in range(20):
            client.send(f"r{i}", action="router_status")
        replies = [client.receive(f"r{i}") for i in range(20)]
        self.assertEqual([code(r) for r in replies[:5]], [200] * 5)
        late = [r for r in replies if code(r) == 503]
        self.assertGreaterEqual(len(late), 10)
        self.assertEqual({r["context"]["error_detail"]["limit"] for r in late}, {"connection_rate"})
        self.assertEqual(code(other.ask(action="router_status")), 200)
        time.sleep(0.3)
        self.assertEqual(code(client.ask(action="router_status")), 200)

    def test_a_misspelt_limit_changes_nothing(self):
        suite.ROUTER_FILE.write_text("peer_limits: {reqests: 3}\n" + self.before)
        self.assertEqual(code(self.client().ask(action="reload_config")), 400)
        log = suite.journal("--lines=5", f"--unit={ROUTER}")
        self.assertIn("peer_limits.reqests", log)


if __name__ == "__main__":
    unittest.main()
