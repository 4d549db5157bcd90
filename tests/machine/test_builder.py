#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a git reference to a running version: a real repository, served by git's own daemon; build, deploy, test, as
clients ask for it."""

import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite
from builds import DOCKERFILE, Case, Repository, code, runner, set_up, tear_down


def setUpModule():
    set_up()


def tearDownModule():
    tear_down()


class Building(Case):
    def test_from_a_branch_to_two_versions_side_by_side(self):
        repository = Repository("seed")
        first = repository.commit(runner("first"))
        reply = self.build("seed", "main")
        self.assertEqual(code(reply), 200, reply)
        built = reply["response"]
        self.assertEqual((built["status"], built["commit"], built["version"]), ("built", first, f"git-{first}"))
        self.assertRegex(built["digest"], "^sha256:[0-9a-f]{64}$")
        self.assertEqual(built["tags"][:2] + built["tags"][3:], [f"git-{first}", "main", "latest"])
        self.assertRegex(built["tags"][2], f"^build-{first}-[0-9]+$")
        self.assertGreater(built["size_bytes"], 1000)
        self.assertIn("STEP", built["log"])
        self.deploy("seed", built["version"])
        self.assertEqual(self.message_of("seed", built["version"]), "first")

        second = repository.commit(runner("second"))
        repository.git("tag", "--annotate", "--message", "a release", "v2")
        reply = self.build("seed", "v2")
        self.assertEqual((code(reply), reply["response"]["commit"]), (200, second), reply)
        self.deploy("seed", f"git-{second}")
        self.assertEqual([self.message_of("seed", f"git-{c}") for c in (first, second, first)],
                         ["first", "second", "first"])
        self.assertIn("v2", [tag for tags in self.images("seed").values() for tag in tags])

        for reference in (first, first[:9], "main", "v2"):
            reply = self.build("seed", reference)
            self.assertEqual((code(reply), reply["response"]["status"]), (200, "ignored"), reply)
        self.assertEqual(self.build("seed", first)["response"]["digest"], built["digest"])
        for reference in ("nothing", "0" * 40, "0" * 8, "refs"):
            reply = self.build("seed", reference)
            self.assertEqual(code(reply), 400, reply)
            self.assertIn(reference, reply["context"]["error_detail"]["error"])
        for reference in ("../x", "-x", "a..b", "ext::sh", "main@{1}", ""):
            self.assertEqual(code(self.build("seed", reference)), 400, reference)
        self.assert_nothing_is_left()

    def test_pipelinectl_shows_each_step_and_deploys(self):
        commit = Repository("shown").commit(runner("shown"))
        shown = suite.run("pipelinectl", "build", "test_runners", "shown", "main", "--deploy", "--wait")
        self.assertRegex(shown, r"\[2/4\] WORKDIR")
        self.assertIn(f"git-{commit}", shown)
        self.assertIn("held", shown)
        self.assertEqual(self.message_of("shown", f"git-{commit}"), "shown")

    def test_two_requests_for_one_commit_build_it_once(self):
        Repository("twice").commit(runner("twice"))
        clients = [suite.Client(suite.UNIX) for _ in range(2)]
        for client in clients:
            client.send(action="build_container", track_slug="twice", channel="test_runners", git_reference="main")
        replies = [client.receive() for client in clients]
        self.assertEqual(sorted(r["response"]["status"] for r in replies), ["built", "ignored"], replies)
        self.assertEqual(len({r["response"]["digest"] for r in replies}), 1)

    def test_fixtures_decide(self):
        repository = Repository("tried")
        good = '{"tests": [], "version": 2, "status": "pass", "message": "tried"}'
        repository.commit(runner("tried", **{"tests/two-fer/one/expected_results.json": good,
                                             "tests/two-fer/one/two_fer.rb": "x"}))
        self.assertEqual(code(self.build("tried", "main")), 200)
        repository.commit({"tests/two-fer/two/expected_results.json": good.replace("pass", "fail"),
                           "tests/two-fer/two/two_fer.rb": "x"})
        reply = self.build("tried", "main")
        self.assertEqual(code(reply), 513, reply)
        detail = reply["context"]["error_detail"]
        self.assertEqual((detail["step"], detail["fixture"]), ("trial", "tests/two-fer/two"))
        self.assertIn("fail", detail["expected"])
        self.assertIn("pass", detail["result"])
        self.assertEqual(len(self.images("tried")), 1)

    def test_an_image_without_a_program_is_not_pushed(self):
        Repository("empty").commit({"Dockerfile": "FROM localhost/test_runners/base:v1\nCOPY Dockerfile /x\n"})
        reply = self.build("empty", "main")
        self.assertEqual(code(reply), 513, reply)
        self.assertEqual(code(self.ask(action="list_available_containers", channel="test_runners",
                                       track_slug="empty")), 400)

    def test_a_cancelled_build_ends_and_leaves_nothing(self):
        Repository("endless").commit(runner("x", DOCKERFILE + "RUN sleep 1000\n"))
        client = suite.Client(suite.UNIX)
        client.send(action="build_container", id="endless", track_slug="endless", channel="test_runners",
                    git_reference="main")
        while not suite.scopes("pipeline-build"):
            time.sleep(0.1)
        self.assertEqual(self.ask(action="cancel", id="endless")["response"], {"cancelled": 1})
        self.assertEqual(code(client.receive()), 403)
        while suite.scopes("pipeline-build"):
            time.sleep(0.1)
        self.assert_nothing_is_left()


class Death(Case):
    def test_a_build_whose_service_is_killed_is_done_once_more(self):
        Repository("killed").commit(runner("killed", DOCKERFILE + "RUN sleep 3\n"))
        client = suite.Client(suite.UNIX)
        client.send(action="build_container", track_slug="killed", channel="test_runners", git_reference="main")
        while not suite.scopes("pipeline-build"):
            time.sleep(0.1)
        os.kill(suite.main_pid("pipeline-build.service"), 9)
        reply = client.receive()
        self.assertEqual((code(reply), reply["response"]["status"]), (200, "built"), reply)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
