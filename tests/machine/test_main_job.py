#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job, from end to end, with the installed packages: a client, the router, a worker, the sandbox service, a
container. What is killed on the way comes back."""

import json
import os
import pathlib
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite
from suite import code

TRACK = "mainjob"
WORKERS = [f"pipeline-worker@{TRACK}-{n}.service" for n in (1, 2)]
SERVICES = ["pipeline-router.service", "pipeline-sandbox.service", *WORKERS]


def setUpModule():
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"))


def tearDownModule():
    suite.run("systemctl", "stop", *WORKERS)


def kill(unit, number=signal.SIGKILL):
    os.kill(suite.main_pid(unit), number)


class Case(suite.Case):
    def ask(self, case="hello", endpoint=suite.TCP, **more):
        return suite.ask(endpoint, **suite.job(TRACK, case, **more))

    def assert_runs(self):
        reply = self.ask()
        self.assertEqual(code(reply), 200, reply)
        return reply


class Answers(Case):
    def test_a_solution_is_tested_over_tcp_and_over_the_unix_socket(self):
        replies = [self.ask(endpoint=endpoint) for endpoint in (suite.TCP, suite.UNIX)]
        self.assertEqual([code(r) for r in replies], [200, 200], replies)
        self.assertEqual(replies[0]["response"], replies[1]["response"])

    def test_the_context_says_how_it_was_run(self):
        context = self.assert_runs()["context"]
        self.assertRegex(context["job"], "^[0-9a-f]{32}$")
        self.assertRegex(context["digest"], "^sha256:[0-9a-f]{64}$")
        self.assertEqual((context["worker"], context["container_version"]), (f"{TRACK}-1", "v1"))
        self.assertEqual(context["invocation"]["command"],
                         ["/opt/test-runner/bin/run.sh", "hello", suite.ITERATION, suite.ITERATION])
        self.assertEqual(context["invocation"]["exit_status"], 0)
        self.assertTrue(context["scope"].endswith(".scope"))
        self.assertGreater(context["usage"]["wall_milliseconds"] + context["usage"]["written_bytes"], 0)
        self.assertEqual(set(context["timing"]), {"start_time", "end_time", "duration_milliseconds"})
        self.assertIsInstance(context["limits_enforced"], bool)

    def test_one_scope_a_job_and_none_afterwards(self):
        scopes = [self.assert_runs()["context"]["scope"] for _ in range(3)]
        self.assertEqual(len(set(scopes)), 3)
        suite.wait_until(lambda: not set(scopes) & set(suite.scopes()))

    def test_good_and_bad_in_a_row_on_one_socket(self):
        client = self.client(suite.TCP)
        good = suite.job(TRACK, "hello")
        for request, expected in [
                (good, 200), ({**good, "container_version": "nope"}, 505), ({**good, "action": "what"}, 501),
                ({"action": "test_solution"}, 502), (good, 200), ({**good, "s3_uri": "file:///etc/"}, 512),
                ({**good, "s3_uri": f"file://{suite.INPUT}/none/"}, 512), ({**good, "execution_timeout": "x"}, 400),
                ({**good, "exercise_slug": "missing"}, 514), ({**good, "exercise_slug": "nonzero"}, 513),
                ({**good, "exercise_slug": "../x"}, 400), (good, 200)]:
            reply = client.ask(**request)
            self.assertEqual(code(reply), expected, (request, reply))
            if expected != 200:
                self.assertIn("error", reply["context"]["error_detail"])
                self.assertNotIn("response", reply)

    def test_no_reply_names_a_path_of_the_host(self):
        for more in ({}, {"uri": "file:///etc/"}, {"version": "nope"}):
            text = json.dumps(self.ask(**more))
            self.assertNotRegex(text.replace(json.dumps(suite.INPUT.as_posix())[1:-1], ""), "/var/|/run/|/etc/[a-z]")

    def test_wall_time_is_not_cut_short(self):
        began = time.monotonic()
        reply = self.ask("loop", execution_timeout=1.5)
        self.assertGreaterEqual(time.monotonic() - began, 1.5)
        self.assertEqual(code(reply), 401, reply)
        self.assertEqual(reply["context"]["error_detail"]["limit"], "wall_time")
        self.assertEqual(reply["context"]["error_detail"]["value"], 1500)


class Operators(Case):
    def test_pipelinectl_shows_it(self):
        folder = suite.INPUT / "empty"
        suite.write_input("empty", {"solution": "x"})
        shown = suite.run("pipelinectl", "test", TRACK, "hello", folder)
        self.assertIn("pass", shown)
        reply = json.loads(suite.run("pipelinectl", "test", TRACK, "hello", folder, "--json"))
        self.assertEqual(reply["response"], self.assert_runs()["response"])
        self.assertRegex(suite.run("pipelinectl", "versions"), rf"test_runners +{TRACK} +v1 +1 of 1")
        self.assertRegex(suite.run("pipelinectl", "workers"), rf"{TRACK}-1 +test_runners +{TRACK} +online")
        suite.run("pipelinectl", "status")

    def test_the_journal_tells_the_story_of_a_job(self):
        job = self.assert_runs()["context"]["job"]
        suite.wait_until(lambda: suite.run("pipelinectl", "logs", job).count("\n") >= 3)
        story = suite.run("pipelinectl", "logs", job)
        for who in (" router ", " worker ", " sandboxd "):
            self.assertIn(who, story)

    def test_a_user_without_rights_is_told_the_command(self):
        for arguments in (["status"], ["logs", "0" * 32]):
            done = suite.ctl(*arguments, user="nobody", group="nogroup", extra_groups=[])
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("adduser", done.stderr)

    def test_a_version_that_is_not_there_changes_nothing(self):
        before = suite.run("pipelinectl", "versions", "--json")
        done = suite.ctl("deploy", "--wait", "test_runners", TRACK, "nope")
        self.assertEqual(done.returncode, 1)
        self.assertIn("400", done.stderr)
        self.assertEqual(suite.run("pipelinectl", "versions", "--json"), before)


class Rights(Case):
    def test_no_process_is_root_or_has_a_capability(self):
        self.assert_runs()
        for unit in SERVICES[:3]:
            pid = suite.main_pid(unit)
            fields = sandbox.status(pid)
            self.assertNotIn("0", fields["Uid"].split(), unit)
            if sandbox.user_namespace(pid) == sandbox.user_namespace(1):
                self.assertEqual(int(fields["CapEff"], 16) | int(fields["CapPrm"], 16), 0, unit)

    def test_units_are_hardened(self):
        for unit, most in ((SERVICES[0], 0.5), (SERVICES[1], 3.0), (WORKERS[0], 1.5)):
            line = suite.run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
            self.assertLessEqual(float(re.search(r"level for \S+: ([0-9.]+)", line).group(1)), most, line)


class Killed(Case):
    def slow(self, **more):
        """A job under way."""
        client = self.client(suite.TCP)
        client.send(**suite.job(TRACK, "slow", **more))
        time.sleep(0.5)
        return client

    def test_worker_of_two(self):
        suite.run("systemctl", "start", WORKERS[1])
        self.addCleanup(suite.run, "systemctl", "stop", WORKERS[1])
        suite.wait_until(lambda: f"{TRACK} v1 2 of 2" in " ".join(suite.run("pipelinectl", "versions").split()))
        # One that has just seen an abnormal end takes nothing until its canary has sung.
        suite.wait_until(lambda: all(w["slots"] for w in suite.workers()))
        client = self.slow()
        workers = suite.workers()
        busy = [w["name"] for w in workers if w["running"]]
        self.assertEqual(len(busy), 1, workers)
        kill(f"pipeline-worker@{busy[0]}.service")
        reply = client.receive(30)
        self.assertEqual(code(reply), 200, reply)
        self.assertNotEqual(reply["context"]["worker"], busy[0])

    def test_only_worker(self):
        client = self.slow(execution_timeout=5)
        kill(WORKERS[0])
        reply = client.receive(30)
        self.assertIn(code(reply), (200, 510), reply)
        suite.wait_until(lambda: suite.unit_property(WORKERS[0], "ActiveState") == "active")
        suite.wait_until(lambda: code(self.ask()) == 200)

    def test_router(self):
        kill(SERVICES[0])
        suite.wait_until(lambda: code(self.ask()) == 200)

    def test_sandbox_service(self):
        client = self.slow()
        kill(SERVICES[1])
        self.assertIn(code(client.receive(30)), (200, 510))
        suite.wait_until(lambda: code(self.ask()) == 200)

    def test_user_manager(self):
        uid = suite.run("id", "-u", "pipeline-sandbox").strip()
        kill(f"user@{uid}.service")
        suite.wait_until(lambda: code(self.ask()) == 200, 30)

    def test_a_stopped_worker_finishes_its_job(self):
        client = self.slow()
        suite.run("systemctl", "restart", WORKERS[0])
        reply = client.receive(30)
        self.assertEqual(code(reply), 200, reply)
        self.assertEqual(suite.unit_property(WORKERS[0], "Result"), "success")
        suite.wait_until(lambda: code(self.ask()) == 200)


if __name__ == "__main__":
    unittest.main()
