#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What operators see: jobs, top, status, logs, and metrics, compared with what was just run."""

import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import openmetrics
import peer
import suite

TRACK = "observe"
WORKER = f"{TRACK}-1"
SOCKET = "/run/pipeline/metrics.sock"
DROP_IN = pathlib.Path("/etc/systemd/system/pipeline-metrics.socket.d/port.conf")
ME = {"channel": "test_runners", "track": TRACK}


def setUpModule():
    suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"), settings="SLOTS=2\n")


def tearDownModule():
    suite.run("systemctl", "stop", f"pipeline-worker@{WORKER}.service")


def connect(address=SOCKET):
    made = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    made.settimeout(10)
    made.connect(address)
    return made


def read_all(connection):
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def http(request, address=SOCKET):
    """(status, head, body)"""
    with connect(address) as connection:
        connection.sendall(request)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), lines[1:], body


def scrape(address=SOCKET):
    status, head, body = http(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", address)
    assert status == 200, status
    assert f"Content-Length: {len(body)}" in head and any("openmetrics-text" in line for line in head), head
    return openmetrics.parse(body.decode())


def run_job(exercise, **more):
    return suite.code(suite.ask(**suite.job(TRACK, exercise, **more)))


class Case(suite.Case):
    def three_jobs(self):
        """Two under way and one that waits, at a worker made by hand: (client, finish)"""
        worker = self.keep(peer.Worker("by-hand", ["byhand"], slots=2)).start()
        client = self.keep(peer.Client())
        peer.deploy(client, worker, "byhand")
        for i in range(3):
            client.send(f"r{i}", **suite.job("byhand", "x", id=f"seen-{i}"))
        jobs = [worker.expect("job") for _ in range(2)]
        client.ask(action="router_status")  # answered in its turn: the third has arrived

        def finish():
            for job in jobs:
                worker.answer(job, {})
            last = worker.expect("job")
            worker.answer(last, {})
            self.assertEqual([suite.code(client.receive(f"r{i}")) for i in range(3)], [200] * 3)
            worker.say("goodbye", {"reason": "done"})
        return finish


class Metrics(Case):
    def test_the_numbers_are_those_of_what_was_run(self):
        before = scrape()
        wanted = [("hello", {}, 200)] * 3 + [("nonzero", {}, 513), ("missing", {}, 514),
                                             ("loop", {"execution_timeout": 1}, 401), ("hello", {"version": "nope"}, 505)]
        for exercise, more, code in wanted:
            self.assertEqual(run_job(exercise, **more), code)
        after = scrape()

        def grown(name, **labels):
            return openmetrics.value(after, name, **labels) - openmetrics.value(before, name, **labels)
        for code, n in ((200, 3), (513, 1), (514, 1), (401, 1), (505, 0)):
            self.assertEqual(grown("pipeline_jobs_total", code=str(code), **ME), n, code)
        self.assertEqual(grown("pipeline_requests_total", code="505"), 1)
        self.assertEqual(grown("pipeline_requests_total", code="200"), 3)
        self.assertEqual(grown("pipeline_job_duration_seconds_count", **ME), 6)
        self.assertGreaterEqual(grown("pipeline_job_duration_seconds_sum", **ME), 1)
        self.assertGreaterEqual(grown("pipeline_job_duration_seconds_bucket", le="25.0", **ME), 6)
        self.assertLessEqual(grown("pipeline_job_duration_seconds_bucket", le="0.5", **ME), 5)
        self.assertEqual(grown("pipeline_job_wait_seconds_count", channel="test_runners"), 6)
        self.assertGreater(grown("pipeline_job_cpu_seconds_total", **ME), 0.2)
        self.assertGreater(grown("process_cpu_seconds_total"), 0)

    def test_how_things_stand(self):
        finish = self.three_jobs()
        now = scrape()
        for name, number in (("jobs_running", 2), ("jobs_waiting", 1), ("worker_slots", 4), ("worker_slots_busy", 2),
                             ("workers_online", 2)):
            self.assertEqual(openmetrics.value(now, f"pipeline_{name}", channel="test_runners"), number, name)
        self.assertEqual(openmetrics.value(now, "pipeline_installs", channel="test_runners", state="held"), 2)
        self.assertGreater(openmetrics.value(now, "pipeline_request_memory_bytes"), 0)
        finish()
        now = scrape()
        for name in ("jobs_running", "jobs_waiting", "worker_slots_busy"):
            self.assertEqual(openmetrics.value(now, f"pipeline_{name}", channel="test_runners"), 0, name)
        mine = {"channel": "test_runners", "worker": WORKER}
        suite.wait_until(lambda: openmetrics.value(scrape(), "pipeline_worker_sandbox_up", **mine) == 1)
        suite.wait_until(lambda: openmetrics.value(scrape(), "pipeline_sandboxes_parked", **mine) >= 1)

    def test_names_are_bounded_and_documented(self):
        families = scrape()
        text = (pathlib.Path(__file__).parent.parent.parent / "docs/METRICS.md").read_text()
        told = set(re.findall(r"^\| `(\w+)`", text, re.M))
        self.assertEqual(told, set(families))
        allowed = {"channel", "track", "code", "le", "state", "worker", "scope", "limit", "version"}
        for family in families.values():
            for _, labels in family.samples:
                self.assertLessEqual(set(dict(labels)), allowed)

    def test_what_is_no_request_for_metrics_is_refused(self):
        for request, status in ((b"POST /metrics HTTP/1.1\r\n\r\n", 405), (b"GET /etc/passwd HTTP/1.1\r\n\r\n", 404),
                                (b"rubbish\r\n\r\n", 400), (b"GET /metrics\r\n\r\n", 400), (b"\0" * 100 + b"\n\n", 400),
                                (b"GET /metrics HTTP/1.1\r\n" + b"X" * 5000, 431)):
            self.assertEqual(http(request)[0], status, request[:30])

    def test_slow_and_silent_scrapers_hurt_nobody(self):
        pid = suite.main_pid("pipeline-router.service")
        silent = [connect() for _ in range(100)]
        for one in silent[1::2]:
            try:
                one.sendall(b"GET /metr")
            except BrokenPipeError:  # there were too many: it was ended
                pass
        self.assertEqual(scrape()["pipeline_router"].type, "info")
        self.assertLess(len(os.listdir(f"/proc/{pid}/fd")), 100)
        self.assertEqual(run_job("hello"), 200)
        for one in silent:
            one.close()
        self.assertEqual(suite.main_pid("pipeline-router.service"), pid)

    def test_a_port_of_its_own_by_a_drop_in(self):
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text("[Socket]\nListenStream=127.0.0.1:9555\n")

        def restart():
            suite.run("systemctl", "daemon-reload")
            suite.run("systemctl", "restart", "pipeline-metrics.socket")
        try:
            restart()
            self.assertEqual(scrape(("127.0.0.1", 9555))["pipeline_router"].type, "info")
            scrape()
        finally:
            DROP_IN.unlink()
            restart()
        suite.wait_until(lambda: run_job("hello") == 200)


class Shown(Case):
    def test_jobs_top_and_status(self):
        finish = self.three_jobs()

        def jobs():
            return json.loads(suite.run("pipelinectl", "jobs", "--json"))["jobs_info"]
        self.assertEqual(sorted(j["state"] for j in jobs()), ["running", "running", "waiting"])
        listed = {j["id"]: j for j in jobs()}
        self.assertEqual(set(listed), {"seen-0", "seen-1", "seen-2"})
        running = [j for j in listed.values() if j["state"] == "running"][0]
        self.assertEqual([running[k] for k in ("channel", "track", "exercise", "version", "worker", "attempt", "peer")],
                         ["test_runners", "byhand", "x", "v1", "by-hand", 1, "uid:0"])
        self.assertRegex(running["job"], "^[0-9a-f]{32}$")
        self.assertEqual(suite.ask(suite.TCP, action="describe_jobs")["response"]["jobs_info"], [])
        table = suite.run("pipelinectl", "jobs")
        self.assertRegex(table, rf"{running['job']} +running +\S+ s +byhand +x +v1 +by-hand +{running['id']}")
        once = suite.run("pipelinectl", "top")
        self.assertRegex(once, r"2 running, 1 waiting, the oldest for ")
        self.assertRegex(once, r"2 test_runners, 2 of 4 slots busy")
        self.assertIn(running["job"], once)
        both = json.loads(suite.run("pipelinectl", "top", "--json"))
        self.assertEqual((both["router_status"]["running"], len(both["jobs_info"])), (2, 3))
        finish()
        self.assertIn("No job runs or waits.", suite.run("pipelinectl", "jobs"))
        self.assertRegex(suite.run("pipelinectl", "status"), r"200 ok \d+")

    def test_top_is_live_on_a_terminal(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp("pipelinectl", ["pipelinectl", "top", "--interval", "200ms"])
        shown = b""
        end = time.monotonic() + 10
        while shown.count(b"\x1b[H\x1b[J") < 3 and time.monotonic() < end:
            shown += os.read(terminal, 65536)
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
        os.close(terminal)
        self.assertGreaterEqual(shown.count(b"\x1b[H\x1b[J"), 3)

    def test_the_story_of_a_job_has_one_line_a_step_and_every_field(self):
        job = suite.ask(**suite.job(TRACK, "nonzero"))["context"]["job"]

        def story():
            out = suite.run("pipelinectl", "logs", job, "--json")
            return [json.loads(line) for line in out.splitlines()]
        suite.wait_until(lambda: len(story()) >= 5, tell=story)
        records = story()
        who = [r["SYSLOG_IDENTIFIER"].removeprefix("pipeline-") for r in records]
        self.assertEqual(who, ["router", "sandboxd", "sandboxd", "worker", "router"], [r["MESSAGE"] for r in records])
        for record in records:
            self.assertEqual(record["PIPELINE_JOB"], job)
            self.assertIn("MESSAGE_ID", record)
        self.assertEqual((records[-1]["PIPELINE_CODE"], records[-2]["PIPELINE_CODE"]), ("513", "513"))
        self.assertEqual(records[0]["PIPELINE_WORKER"], WORKER)
        for record in records[1:4]:
            self.assertTrue(record["PIPELINE_SCOPE"].endswith(".scope"))
        lines = suite.run("pipelinectl", "logs", job).splitlines()
        self.assertRegex(lines[0], rf"^Job {job}, \d{{4}}-\d\d-\d\d$")
        self.assertRegex(lines[1], rf"^[0-9:.]+ +\+0.000 s +router +goes to {WORKER} after \d+ ms: {TRACK} nonzero, version v1")
        self.assertRegex(lines[-2], rf"^[0-9:.]+ +\+\d+\.\d+ s +worker {WORKER} .*513: its exit status is 7$")
        self.assertNotIn(job, "".join(lines[1:]))
        unknown = suite.ctl("logs", "f" * 32)
        self.assertEqual((unknown.returncode, unknown.stdout), (1, ""))
        catalog = subprocess.run(["journalctl", "--list-catalog"], capture_output=True, text=True, check=False).stdout
        for record in records:
            self.assertIn(record["MESSAGE_ID"], catalog)


if __name__ == "__main__":
    unittest.main()
