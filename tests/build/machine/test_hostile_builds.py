#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Repositories and Dockerfiles that mean harm (THREATS, K): each is answered, and nothing of it stays."""

import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "lib"))
import suite
from builds import DOCKERFILE, RUNNER, Case, Repository, code, runner, set_up, tear_down


def setUpModule():
    set_up()


def tearDownModule():
    tear_down()


class Hostile(Case):
    def fails(self, track, expected, run, **files):
        Repository(track).commit(runner("x", DOCKERFILE + run, **files))
        reply = self.build(track, "main")
        self.assertEqual(code(reply), expected, reply)
        self.assertNotRegex(json.dumps(reply["context"]), "/var/lib|/run/pipeline")
        self.assertIn("step", reply["context"]["error_detail"])
        self.assert_nothing_is_left()
        return reply["context"]["error_detail"]

    def test_k1_a_step_has_no_network_no_right_and_sees_no_host(self):
        look = ("RUN id -u | grep -qx 0 && ! ip route | grep -q . && ! ls -d /var/lib/pipeline* /etc/pipeline "
                "&& ! nc -w 1 127.0.0.1 5555 </dev/null && ! mknod /x c 1 3 && ! mount -t tmpfs x /mnt "
                "&& ! cat /proc/1/environ | grep -a CREDENTIALS && grep -q 'NoNewPrivs:.1' /proc/self/status\n")
        Repository("look").commit(runner("look", DOCKERFILE + look))
        reply = self.build("look", "main")
        self.assertEqual(code(reply), 200, reply)

    def test_k2_a_flood_of_output(self):
        detail = self.fails("flood", 402, "RUN yes\n")
        self.assertEqual((detail["limit"], detail["value"]), ("output", 200 * 1024))

    def test_k3_a_build_that_does_not_end(self):
        Repository("slow").commit(runner("x", DOCKERFILE + "RUN sleep 1000\n"))
        began = time.monotonic()
        reply = self.build("slow", "main", execution_timeout=6)
        self.assertGreaterEqual(time.monotonic() - began, 6)
        self.assertEqual((code(reply), reply["context"]["error_detail"]["limit"]), (401, "wall_time"), reply)
        self.assert_nothing_is_left()

    def test_k3_a_build_that_fills_the_disk(self):
        detail = self.fails("disk", 402, "RUN dd if=/dev/zero of=/x bs=1M count=3000; sleep 5\n")
        self.assertEqual(detail["limit"], "written")

    def test_k4_files_of_the_host(self):
        detail = self.fails("shadow", 513, "RUN grep -q '^root:[$*!]' /etc/shadow\n")
        self.assertEqual(detail["step"], "build")
        detail = self.fails("copy", 513, "COPY ../../../../../etc/passwd /x\n")

    def test_k5_links_hooks_filters_and_submodules(self):
        repository = Repository("odd")
        (repository.folder / "Dockerfile").symlink_to("/etc/passwd")
        repository.commit({"bin/run.sh": RUNNER % "x"})
        self.assertEqual(code(self.build("odd", "main")), 400)
        (repository.folder / "Dockerfile").unlink()
        (repository.folder / "link").symlink_to("/etc/passwd")
        mark = pathlib.Path("/tmp/mark")
        hook = repository.folder / ".git/hooks/post-checkout"
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
        repository.commit({"Dockerfile": DOCKERFILE + "COPY link /link\nRUN test ! -e /link\n",
                           ".gitattributes": "* filter=x export-ignore ident\n",
                           ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch /tmp/mark"\n'})
        reply = self.build("odd", "main")
        self.assertIn(code(reply), (200, 512, 513), reply)
        self.assertFalse(mark.exists())
        self.assert_nothing_is_left()

    def test_k6_dockerfiles_that_ask_for_more(self):
        for track, text, expected in [
                ("net", DOCKERFILE + "RUN --network=host ip route | grep -q default\n", 513),
                ("secret", DOCKERFILE + "RUN --mount=type=secret,id=x,required=true cat /run/secrets/x\n", 513),
                ("bind", DOCKERFILE + "RUN --mount=type=bind,source=/,target=/h cat /h/etc/shadow\n", 513),
                ("insecure", DOCKERFILE + "RUN --security=insecure mount -t proc x /mnt\n", 513),
                ("absent", "FROM localhost/test_runners/nothing:v1\n", 512),
                ("unnamed", "RUN true\n", 400),
                ("strange", "FROM -x\n", 400),
                ("add", DOCKERFILE + "ADD http://127.0.0.1:5555/x /x\n", 513)]:
            with self.subTest(track):
                Repository(track).commit(runner("x", text))
                self.assertEqual(code(self.build(track, "main")), expected, track)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
