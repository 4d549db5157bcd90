#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The canary of the installed services: while the OCI runtime fails, a worker takes no jobs and its unit's status says
why; when it is mended the worker takes them again by itself. And a channel or track that has none."""

import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

TRACK = "canary"
CHANNEL = "representers"
UNIT = f"pipeline-worker@{TRACK}-1.service"
# What is said of the suite; no other code may come of a sandbox that is out of order.
INFRASTRUCTURE = (500, 503, 504, 510, 511, 512)
ILL = rf"^takes no jobs: the canary of {TRACK} v1 ended with (500|510|512)\b.*\w"
RETRY_SECONDS = 90  # the longest time between two canaries, and some more


def setUpModule():
    global config, router_file
    config = sandbox.CONFIG.read_text()
    image = suite.image_of_program(suite.GUESTS / "guest.c", program="/opt/representer/bin/run.sh")
    suite.install(TRACK, image, channel=CHANNEL, settings=f"CHANNEL={CHANNEL}\n")
    router_file = suite.ROUTER_FILE.read_text()


def tearDownModule():
    suite.run("systemctl", "stop", UNIT)


def status():
    return suite.status_of(UNIT)


def is_taking():
    return re.match(r"\d of \d slots busy", status())


def journal(since):
    return suite.journal(f"--unit={UNIT}", f"--since=@{since:.6f}")


def restart_sandbox(text):
    sandbox.CONFIG.write_text(text)
    suite.run("systemctl", "reset-failed", sandbox.SERVICE)
    suite.run("systemctl", "restart", sandbox.SERVICE)


def add_setting(text, key, said):
    """Into the mapping of this key, be it written in braces or by indentation."""
    text, n_flow = re.subn(rf"\b{key}: \{{", rf"\g<0>{said}, ", text)
    text, n_block = re.subn(rf"^( *){key}:\n", rf"\g<0>\g<1>  {said}\n", text, flags=re.M)
    assert n_flow + n_block == 1, text
    return text


def set_canary(channel=None, track=None):
    """Writes these settings into the router's file, beside what setUpModule() found there."""
    text = router_file
    if channel:
        text = add_setting(text, CHANNEL, f"settings: {{canary: {channel}}}")
    if track:
        text = add_setting(text, TRACK, f"settings: {{canary: {track}}}")
    suite.ROUTER_FILE.write_text(text)
    suite.run("systemctl", "reload", "pipeline-router.service")


class Canary(suite.Case):
    def setUp(self):
        self.addCleanup(self.mend)
        self.began = time.time()
        self.until(is_taking, "the worker takes jobs")

    def until(self, is_true, what):
        suite.wait_until(is_true, RETRY_SECONDS, lambda: f"{what}: {status()}\n{journal(self.began)}")

    def break_it(self):
        restart_sandbox(f"{config}\nRuntime=/bin/false\n")

    def mend(self):
        if sandbox.CONFIG.read_text() != config:
            restart_sandbox(config)
        if suite.ROUTER_FILE.read_text() != router_file:
            suite.ROUTER_FILE.write_text(router_file)
            suite.run("systemctl", "reload", "pipeline-router.service")

    def until_ill(self):
        self.until(lambda: re.search(ILL, status()), "the status says that no jobs are taken")

    def send(self):
        return self.client().send(**suite.job(TRACK, "hello", action="represent"))

    def assert_runs(self):
        reply = self.send().receive()
        self.assertEqual(suite.code(reply), 200, reply)

    def assert_infrastructure(self, reply):
        self.assertIn(suite.code(reply), INFRASTRUCTURE, reply)
        self.assertNotIn("response", reply)

    @staticmethod
    def slots():
        return [w["slots"] for w in suite.workers() if w["name"] == f"{TRACK}-1"]

    def test_a_worker_that_begins_before_a_broken_runtime_takes_no_jobs_until_it_is_mended(self):
        self.break_it()
        suite.run("systemctl", "restart", UNIT)
        self.until_ill()
        shown = suite.run("systemctl", "status", "--no-pager", "--full", UNIT)
        self.assertRegex(shown, 'Status: "takes no jobs: the canary')
        self.until(lambda: self.slots() == [0], "the router knows of no slot")
        waiting = self.send()
        self.assertFalse(waiting.socket.poll(1000), "a job that cannot run waits")
        self.assert_infrastructure(waiting.receive())
        self.assertIn("No jobs are taken: the canary", journal(self.began))
        restart_sandbox(config)
        self.until(is_taking, "it takes jobs again by itself")
        self.assertIn("The canary is well again", journal(self.began))
        self.assert_runs()

    def test_a_job_that_waits_meanwhile_runs_when_it_is_mended(self):
        self.break_it()
        suite.run("systemctl", "restart", UNIT)
        self.until_ill()
        waiting = self.send()
        restart_sandbox(config)
        reply = waiting.receive()
        if suite.code(reply) != 200:  # the canary was late, and the queue's time over
            self.assert_infrastructure(reply)
        self.until(is_taking, "it takes jobs again by itself")
        self.assert_runs()

    def test_a_runtime_that_breaks_later_costs_one_job(self):
        self.assert_runs()
        self.break_it()
        self.assert_infrastructure(self.send().receive())
        self.until_ill()
        restart_sandbox(config)
        self.until(is_taking, "it takes jobs again by itself")
        self.assert_runs()

    def test_off_for_the_channel(self):
        set_canary(channel="off")
        self.break_it()
        suite.run("systemctl", "restart", UNIT)
        self.until(is_taking, "it takes jobs without a canary")
        self.assert_infrastructure(self.send().receive())
        self.assertTrue(is_taking(), status())
        self.assertNotIn("No jobs are taken", journal(self.began))

    def test_on_for_the_track_where_the_channel_has_it_off(self):
        set_canary(channel="off", track="on")
        self.break_it()
        suite.run("systemctl", "restart", UNIT)
        self.until_ill()

    def test_turned_off_while_it_fails(self):
        self.break_it()
        suite.run("systemctl", "restart", UNIT)
        self.until_ill()
        set_canary(track="off")
        self.until(is_taking, "it takes jobs without a canary")


if __name__ == "__main__":
    unittest.main()
