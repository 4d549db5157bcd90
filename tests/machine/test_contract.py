#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contract with clients, as a table: every action, every way it can fail, over each transport: REQ and DEALER on
tcp, and the unix socket. Real workers run real guests; what a worker must do wrong is done by one made by hand."""

import concurrent.futures
import json
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import peer
import suite
from suite import code

TRACK, BARE = "contract", "contract-bare"  # a track with workers, one whose only worker is made by hand
CHANNELS = {"test_solution": "test_runners", "analyze_iteration": "static_analyzers", "represent": "representers"}
WORKERS = {"test_runners": f"{TRACK}-1", "static_analyzers": f"{TRACK}-2", "representers": f"{TRACK}-3"}
UNITS = [f"pipeline-worker@{name}.service" for name in WORKERS.values()]
ROUTER = "pipeline-router.service"
JOB_MEMBERS = ["id", "track_slug", "exercise_slug", "s3_uri", "container_version"]
VERSION_MEMBERS = ["channel", "track_slug", "new_version"]


def setUpModule():
    image = suite.image_of_program(suite.GUESTS / "guest.c", links=[
        (f"/opt/{folder}/bin/run.sh", "/opt/test-runner/bin/run.sh") for folder in ("analyzer", "representer")])
    for channel, worker in WORKERS.items():
        suite.install(TRACK, image, channel=channel, worker=worker,
                      settings=f"CHANNEL={channel}\nTOPICS={TRACK}\nSLOTS=4\n", wait=False)
    for channel in WORKERS:
        suite.run("pipelinectl", "deploy", "--wait", channel, TRACK, "v1")


def tearDownModule():
    suite.run("systemctl", "stop", *UNITS)


def until_running(n):
    """Until the router knows of so many jobs under way."""
    suite.wait_until(lambda: suite.ask(action="router_status")["response"]["router_status"]["running"] == n)


class Case(suite.Case):
    def check(self, name, reply, expected, detail=None):
        """A reply as a whole: its envelope, its code, and what its detail must have."""
        self.assertEqual(code(reply), expected, (name, reply))
        self.assertEqual(set(reply["context"]["timing"]), {"start_time", "end_time", "duration_milliseconds"}, name)
        self.assertTrue(reply["status"]["message"], name)
        if expected == 200:
            self.assertIsNone(reply["status"]["error"], name)
            self.assertNotIn("error_detail", reply["context"], name)
            return
        self.assertNotIn("response", reply, name)
        self.assertRegex(reply["status"]["error"], "^[a-z_]+$", name)
        error = reply["context"]["error_detail"]
        self.assertTrue(error["error"], name)
        self.assertIn("failed_request", error, name)
        for key, value in (detail or {}).items():
            self.assertEqual(error.get(key), value, (name, reply))


def job_cases(action):
    """(name, request, code, members of error_detail) of one action."""
    good = suite.job(TRACK, "hello", action=action)

    def but(**more):
        return {**good, **more}

    def without(*names):
        return {k: v for k, v in good.items() if k not in names}

    cases = [
        ("runs", good, 200, None),
        ("execution_timeout is an integer", but(execution_timeout=3), 200, None),
        ("execution_timeout is a float", but(execution_timeout=3.0), 200, None),
        ("execution_timeout is capped", but(execution_timeout=80000), 200, None),
        ("a member that nobody knows", but(more={"a": [1]}), 200, None),
        ("wall time", but(exercise_slug="loop", execution_timeout=0.3), 401, {"limit": "wall_time", "value": 300}),
        ("output", but(exercise_slug="output"), 402, {"limit": "output", "value": 1 << 20}),
        ("a signal", but(exercise_slug="suicide"), 403, None),
        ("exit status", but(exercise_slug="nonzero"), 513, None),
        ("no result", but(exercise_slug="missing"), 514, None),
        ("no input", but(s3_uri=f"file://{suite.INPUT}/none/"), 512, None),
        ("input that is not allowed", but(s3_uri="file:///etc/"), 512, None),
        ("a scheme nobody knows", but(s3_uri="gopher://x/"), 512, None),
        ("504", but(exercise_slug="slow", timeout=0.2), 504, None),
        ("a version that is not deployed", but(container_version="nope"), 505, None),
        ("a track that nobody knows", but(track_slug="nowhere"), 502, None),
        ("nothing but an action", {"action": action}, 502, {"missing_params": JOB_MEMBERS}),
        ("null is missing", but(s3_uri=None), 502, {"missing_params": ["s3_uri"]}),
    ]
    cases += [(f"without {name}", without(name), 502, {"missing_params": [name]}) for name in JOB_MEMBERS]
    cases += [(f"{name} is {value!r}", but(**{name: value}), 400, None) for name, values in {
        "id": ["", "a b", 7, "x" * 129], "track_slug": ["../x", "", "a/b", 1, "x" * 65], "exercise_slug": ["..", "-x", []],
        "container_version": ["a b", "/", {}], "s3_uri": [3, "x" * 2049], "execution_timeout": [0, -1, "3", True, 1e9],
        "timeout": [0, "1"], "resend": ["yes"], "request_id": ["", "a b", 7]}.items() for value in values]
    return cases


# What is asked of the router itself: (request, code, members of the response or of error_detail)
ASKS = [
    ({"action": "current_config"}, 200, ["container_versions"]),
    ({"action": "describe_workers"}, 200, ["workers_info"]),
    ({"action": "current_worker_status"}, 200, ["workers_status"]),
    ({"action": "router_status"}, 200, ["router_status"]),
    ({"action": "deployment_check", "channel": "test_runners", "track_slug": TRACK}, 200, ["status"]),
    ({"action": "deployment_check", "channel": "nowhere", "track_slug": TRACK}, 502, {}),
    ({"action": "deployment_check", "channel": "test_runners", "track_slug": "a/b"}, 400, {}),
    ({"action": "deployment_check"}, 502, {"missing_params": ["channel", "track_slug"]}),
    ({"action": "list_available_containers", "channel": "test_runners", "track_slug": TRACK}, 200, ["list_images"]),
    ({"action": "list_available_containers", "channel": "builders", "track_slug": TRACK}, 503, {}),
    ({"action": "list_available_containers", "track_slug": TRACK}, 502, {"missing_params": ["channel"]}),
    ({"action": "cancel", "id": "nobody"}, 200, ["cancelled"]),
    ({"action": "cancel"}, 502, {"missing_params": ["id"]}),
    ({"action": "cancel", "id": 7}, 400, {}),
    ({"action": "dance"}, 501, {}),
    ({"action": 7}, 502, {}),
    ({}, 502, {}),
]

DEPLOY = {"channel": "test_runners", "track_slug": TRACK}
ORDERS = [
    ({"action": "deploy_container_version", **DEPLOY, "new_version": "v1"}, 200, ["container_versions"]),
    ({"action": "deploy_container_version", **DEPLOY, "new_version": "nope"}, 400, {}),
    ({"action": "deploy_container_version", **DEPLOY, "channel": "builders", "new_version": "v1"}, 503, {}),
    ({"action": "deploy_container_version", **DEPLOY, "channel": "nowhere", "new_version": "v1"}, 502, {}),
    ({"action": "deploy_container_version", **DEPLOY, "new_version": "a/b"}, 400, {}),
    ({"action": "deploy_container_version", **DEPLOY, "track_slug": "settings", "new_version": "v1"}, 400, {}),
    ({"action": "deploy_container_version"}, 502, {"missing_params": VERSION_MEMBERS}),
    ({"action": "update_container_versions", **DEPLOY, "versions": ["v1", "v1"]}, 200, ["container_versions"]),
    ({"action": "update_container_versions", **DEPLOY, "versions": ["v1", "nope"]}, 400, {}),
    ({"action": "update_container_versions", **DEPLOY, "versions": "v1"}, 400, {}),
    ({"action": "update_container_versions", **DEPLOY}, 502, {"missing_params": ["versions"]}),
    ({"action": "unload_container_version", **DEPLOY, "new_version": "nope"}, 400, {}),
    ({"action": "unload_container_version"}, 502, {"missing_params": VERSION_MEMBERS}),
    ({"action": "reload_config"}, 200, ["message"]),
]


class Jobs(Case):
    def check_run(self, action, reply):
        response, context = reply["response"], reply["context"]
        if action == "test_solution":
            self.assertEqual(response, {"version": 2, "status": "pass", "tests": []})
        else:
            self.assertEqual(json.loads(response)["status"], "pass")
        self.assertEqual("mapping" in context, action == "represent")
        self.assertEqual(context["worker"], WORKERS[CHANNELS[action]])

    def in_a_row(self, endpoint, action):
        """Good and bad, one after the other on one REQ socket."""
        client = suite.Client(endpoint)
        replies = [(case, client.ask(**case[1])) for case in job_cases(action)]
        client.close()
        return replies

    def side_by_side(self, endpoint, action):
        """All at once on one DEALER socket; those whose own request_id is wrong, by themselves."""
        client, cases = peer.Client(endpoint), [c for c in job_cases(action) if "request_id" not in c[1]]
        for i, case in enumerate(cases):
            client.send(f"r{i}", **case[1])
        replies = [(case, client.receive(f"r{i}", 30)) for i, case in enumerate(cases)]
        client.close()
        return replies

    def test_every_action_every_failure_every_transport(self):
        ways = [(self.in_a_row, suite.TCP), (self.in_a_row, suite.UNIX), (self.side_by_side, suite.TCP),
                (self.side_by_side, suite.UNIX)]
        with concurrent.futures.ThreadPoolExecutor(len(CHANNELS)) as pool:
            for way, endpoint in ways:
                for action, replies in zip(CHANNELS, pool.map(lambda action, w=way, e=endpoint: w(e, action), CHANNELS)):
                    self.assertGreater(len(replies), 40)
                    for (name, request, expected, detail), reply in replies:
                        self.check(f"{action} over {endpoint}: {name}", reply, expected, detail)
                        if expected == 200:
                            self.check_run(action, reply)

    def test_a_client_that_vanishes(self):
        for _ in range(5):
            suite.Client(suite.TCP).send(**suite.job(TRACK, "slow")).close()
        client = self.client(suite.TCP)
        self.assertEqual(code(client.ask(**suite.job(TRACK, "hello"))), 200)
        until_running(0)

    def test_cancel_ends_a_job_down_to_its_scope(self):
        client = self.keep(peer.Client(suite.TCP))
        before = set(suite.scopes())
        client.send("a", **suite.job(TRACK, "pause", id="same"))
        client.send("b", **suite.job(TRACK, "pause", id="same"))
        until_running(2)
        self.assertEqual(suite.ask(action="cancel", id="same")["response"], {"cancelled": 0})  # of another principal
        client.send("c", action="cancel", id="same")
        self.assertEqual(client.receive("c")["response"], {"cancelled": 2})
        for name in "ab":
            self.check("cancel", client.receive(name), 403, {"limit": "cancelled"})
        suite.wait_until(lambda: all(w["running"] == 0 for w in
                                         suite.ask(action="describe_workers")["response"]["workers_info"]))
        self.assertLessEqual(len(set(suite.scopes()) - before), 4)  # parked ones

    def test_an_answered_job_is_cancelled_down_to_its_scope(self):
        client = self.client(suite.TCP)
        self.check("504", client.ask(**suite.job(TRACK, "pause", timeout=0.5)), 504)
        suite.wait_until(lambda: all(w["running"] == 0 for w in
                                         suite.ask(action="describe_workers")["response"]["workers_info"]))


class Workers(Case):
    """What a worker must do wrong."""

    @classmethod
    def setUpClass(cls):
        worker, client = peer.Worker("contract-deploy", [BARE]).start(), peer.Client()
        peer.deploy(client, worker, BARE)
        worker.say("goodbye", {})
        worker.close()
        client.close()

    def ask(self, request_id="job", **more):
        client = self.keep(peer.Client(suite.TCP))
        client.send(request_id, **suite.job(BARE, "x", **more))
        return client

    def test_503_at_once_without_a_worker(self):
        suite.wait_until(lambda: all(w["name"] != "contract-deploy" for w in
                                         suite.ask(action="describe_workers")["response"]["workers_info"]))
        self.check("no worker", self.ask().receive("job"), 503, {"current_worker_count": 0})

    def test_511_and_510(self):
        worker = self.keep(peer.Worker("contract-bare", [BARE]).start("v1"))
        client = self.ask("511")
        given = worker.expect("job")
        worker.outcome(given["job"], given["token"], None, code=511)
        self.check("511", client.receive("511"), 511)
        client = self.ask("510")
        for attempt in (1, 2):
            given = worker.expect("job")
            self.assertEqual(given["attempt"], attempt)
            worker.outcome(given["job"], given["token"], None, code=510)
        self.check("510", client.receive("510"), 510)
        worker.say("goodbye", {})


class Router(Case):
    def check_asks(self, client, asks):
        for request, expected, has in asks:
            reply = client.ask(**request)
            self.check(request, reply, expected, has if expected != 200 else None)
            if expected == 200:
                self.assertEqual(list(reply["response"]), has, request)

    def test_what_is_asked_of_the_router(self):
        for endpoint in (suite.TCP, suite.UNIX):
            self.check_asks(self.keep(suite.Client(endpoint)), ASKS)
            self.check_asks(self.keep(peer.Client(endpoint)), [a for a in ASKS])

    def test_orders_need_their_role(self):
        self.check_asks(self.keep(suite.Client(suite.UNIX)), ORDERS)
        self.check_asks(self.keep(peer.Client(suite.UNIX)), ORDERS)
        for kind in (suite.Client, peer.Client):
            client = self.keep(kind(suite.TCP))
            for request in [o[0] for o in ORDERS if o[1] != 502] + [{"action": "restart_workers"}, {"action": "restart_router"}]:
                reply = client.ask(**request)
                if code(reply) == 400 and "not_allowed" not in reply["context"]["error_detail"]["error"]:
                    continue  # it was malformed before it was not allowed
                self.check(request, reply, 400)
                self.assertIn("this needs the role", reply["context"]["error_detail"]["error"])
        self.assertEqual(suite.ask(action="current_config")["response"]["container_versions"]["test_runners"][TRACK], ["v1"])

    def test_a_bad_file_changes_nothing(self):
        before = suite.ROUTER_FILE.read_text()
        try:
            suite.ROUTER_FILE.write_text(before + "\nqueue_length: many\n")
            self.check("reload", suite.ask(action="reload_config"), 400)
            self.check("deploy", suite.ask(action="deploy_container_version", **DEPLOY, new_version="v1"), 500)
            self.assertEqual(suite.ROUTER_FILE.read_text(), before + "\nqueue_length: many\n")
        finally:
            suite.ROUTER_FILE.write_text(before)
        self.check("reload", suite.ask(action="reload_config"), 200)

    def test_restart_workers_loses_nothing(self):
        client = self.keep(peer.Client(suite.TCP))
        for i in range(8):
            client.send(f"r{i}", **suite.job(TRACK, "slow" if i % 2 else "hello"))
        self.check("restart", suite.ask(action="restart_workers"), 200)
        self.assertEqual([code(client.receive(f"r{i}", 30)) for i in range(8)], [200] * 8)

    def test_restart_router_comes_after_its_answers(self):
        pid = suite.main_pid(ROUTER)
        client = self.client(suite.TCP).send(**suite.job(TRACK, "slow"))
        until_running(1)
        self.check("restart", suite.ask(action="restart_router"), 200)
        self.check("job", client.receive(30), 200)
        suite.wait_until(lambda: suite.main_pid(ROUTER) not in (0, pid))
        self.check("after", suite.ask(suite.TCP, **suite.job(TRACK, "hello")), 200)

    def ended(self, since):
        return suite.journal(f"--unit={UNITS[0]}", f"--since=@{since:.6f}").count("(contract slow) ended with 200")

    def test_a_resend_after_the_death_of_the_router_joins_the_running_job(self):
        since, request = time.time(), suite.job(TRACK, "slow", id="once", resend=True)
        self.client(suite.TCP).send(**request)
        until_running(1)
        os.kill(suite.main_pid(ROUTER), signal.SIGKILL)
        reply = suite.ask(suite.TCP, **request)
        self.check("resend", reply, 200)
        again = suite.ask(suite.TCP, **request)
        self.assertEqual(again["context"]["job"], reply["context"]["job"])
        self.assertEqual(self.ended(since), 1)


if __name__ == "__main__":
    unittest.main()
