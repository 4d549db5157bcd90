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
from builds import DOCKERFILE, RUNNER, Case, Repository, left_of_builds, push_with, runner, set_up, tear_down
from suite import code, main_pid, run, wait_until

HIDDEN = "/var/lib/pipeline-build"
COVERED = [HIDDEN, "/run", "/tmp", "/var/tmp", "/dev/shm", "/proc"]
# Says how each attempt ended: 0, or why not. What a build itself mounted over a place may go, but not what is below.
UNCOVER = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
BIND, MOVE, REC, DETACH = 4096, 8192, 16384, 2
def call(function, *words):
    words = [w.encode() if isinstance(w, str) else w for w in words]
    return 0 if function(*words) == 0 else errno.errorcode[ctypes.get_errno()]
def last_of(function, *words):
    for _ in range(4):
        result = call(function, *words)
        if result: break
    return result
tried = {"mount": call(libc.mount, "x", "/mnt", "tmpfs", 0, None), "umount": call(libc.umount2, "/mnt", 0)}
tried["bind"] = call(libc.mount, "/var/lib", "/mnt", None, BIND, None)
tried["copy"] = call(libc.mount, "/", "/mnt", None, BIND | REC, None)
copies = {p: last_of(libc.umount2, "/mnt" + p, DETACH) for p in sys.argv[2:]}
tried["end of copy"] = call(libc.umount2, "/mnt", DETACH)
print(json.dumps({"tried": tried, "copies": copies,
    "detach": {p: last_of(libc.umount2, p, DETACH) for p in sys.argv[2:]},
    "umount": {p: last_of(libc.umount2, p, 0) for p in sys.argv[2:]},
    "move": {p: call(libc.mount, p, "/mnt", None, MOVE, None) for p in sys.argv[2:]},
    "seen": [p for p in (sys.argv[1], "/run/systemd", "/run/pipeline") if os.path.exists(p)]}))
"""


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
        """DMOJ#318: what is executed while something is compiled was not confined."""
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

    def test_k3_a_disk_that_is_filled_far_down(self):
        """So deep that it was not counted; so deep that nobody counts there."""
        for depth in (230, 600):
            with self.subTest(depth):
                path = f"p=$(printf 'a/%.0s' $(seq {depth})) && mkdir -p /d/$p"
                detail = self.fails(f"down-{depth}", 402, f"RUN sleep 3; {path} && dd if=/dev/zero of=/d/$p/big bs=1M "
                                    "count=300; sleep 8\nRUN rm -r /d\n")
                self.assertEqual(detail["limit"], "written")

    def test_k3_folders_without_end(self):
        """Sixty thousand in each other: they are removed, and whatever is left stops neither the service nor others."""
        deep = ("RUN --mount=type=cache,target=/c cd /c && p=$(printf 'a/%.0s' $(seq 1000)) && i=0 && mkdir t && "
                "while [ $i -lt 60 ]; do mkdir -p n/$p && mv t n/$p && mv n t || break; i=$((i+1)); done\n")
        Repository("deep").commit(runner("x", DOCKERFILE + deep))
        self.assertIn(code(self.build("deep", "main")), (200, 402))
        suite.run("systemctl", "restart", "pipeline-build.service")
        Repository("after-deep").commit(runner("x"))
        reply = self.build("after-deep", "main")
        self.assertEqual(code(reply), 200, reply)
        suite.wait_until(lambda: not left_of_builds(), tell=left_of_builds, seconds=120)

    def test_k4_files_of_the_host(self):
        detail = self.fails("shadow", 513, "RUN grep -q '^root:[$*!]' /etc/shadow\n")
        self.assertEqual(detail["step"], "build")
        detail = self.fails("copy", 513, "COPY ../../../../../etc/passwd /x\n")

    def test_k4_a_file_without_an_end(self):
        Repository("random").commit(runner("x", DOCKERFILE + "RUN cat /dev/random >/dev/null\n"))
        reply = self.build("random", "main", execution_timeout=6)
        self.assertEqual((code(reply), reply["context"]["error_detail"]["limit"]), (401, "wall_time"), reply)
        self.assert_nothing_is_left()
        repository = Repository("random-link")
        for name in ("random", "zero"):
            (repository.folder / name).symlink_to(f"/dev/{name}")
        repository.commit(runner("x", DOCKERFILE + "COPY random zero /opt/\n"))
        reply = self.build("random-link", "main")
        self.assertEqual(code(reply), 513, reply)
        self.assertIn("lstat /dev/random: no such file", reply["context"]["error_detail"]["log"])
        self.assert_nothing_is_left()

    def test_k4_links_of_the_repository(self):
        """What is copied is what a link within it leads to; nothing is read through one that leads out."""
        repository = Repository("links-in")
        (repository.folder / "inner").symlink_to("bin/run.sh")
        (repository.folder / "folder").mkdir()
        (repository.folder / "folder/up").symlink_to("../bin")
        repository.commit(runner("x", DOCKERFILE + "COPY inner /inner\nCOPY folder /folder\n"
                                 "RUN grep -q results /inner && test ! -L /inner && test -L /folder/up\n"))
        reply = self.build("links-in", "main")
        self.assertEqual(code(reply), 200, reply)
        repository = Repository("ignore")
        (repository.folder / ".containerignore").symlink_to("/dev/zero")
        repository.commit(runner("x"))
        reply = self.build("ignore", "main", execution_timeout=20)
        self.assertEqual(code(reply), 513, reply)
        self.assertIn("too many levels of symbolic links", reply["context"]["error_detail"]["log"])
        self.assert_nothing_is_left()

    def test_k5_history_is_not_fetched_and_what_is_is_checked(self):
        """Ten thousand commits, and in them a tree that git refuses: it has a folder .git with a hook in it."""
        repository = Repository("history")
        repository.import_history(10000)
        repository.commit(runner("whole"))
        good = repository.git("rev-parse", "HEAD")
        blob = repository.git("hash-object", "-w", "--stdin", text_in="#!/bin/sh\ntouch /tmp/mark\n")
        hooks = repository.tree(("100755", "post-checkout", blob))
        bad = repository.tree(("40000", ".git", repository.tree(("40000", "hooks", hooks))))
        evil = repository.git("commit-tree", "-m", "evil", "-p", good, bad)
        repository.git("update-ref", "refs/heads/evil", evil)
        reply = self.build("history", "evil")
        self.assertEqual(code(reply), 512, reply)
        self.assertIn(".git", reply["context"]["error_detail"]["error"])
        tree = repository.git("rev-parse", f"{good}^{{tree}}")
        repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", "-m", "after", "-p", evil, tree))
        reply = self.build("history", "main")
        self.assertEqual(code(reply), 200, reply)
        self.assertFalse(pathlib.Path("/tmp/mark").exists())
        self.assert_nothing_is_left()

    def test_k5_a_file_of_more_than_2_gib(self):
        """Its pack is small: nothing but zeros."""
        repository = Repository("huge")
        blob = repository.zeros(2200 << 20)
        dockerfile = repository.git("hash-object", "-w", "--stdin", text_in=DOCKERFILE)
        tree = repository.tree(("100644", "Dockerfile", dockerfile), ("100644", "huge", blob))
        repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", "-m", "huge", tree))
        reply = self.build("huge", "main")
        self.assertEqual(code(reply), 512, reply)
        self.assertIn("the files of the commit cannot be read: git was ended", reply["context"]["error_detail"]["error"])
        self.assert_nothing_is_left()

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
        self.assertEqual(code(reply), 513, reply)
        self.assertIn("lstat /etc/passwd: no such file", reply["context"]["error_detail"]["log"])
        self.assertFalse(mark.exists())
        self.assert_nothing_is_left()

    def test_k6_steps_that_share_a_cache(self):
        """CVE-2025-31133, CVE-2025-52565, CVE-2024-11218: steps beside each other changed what they share while the other's
        mounts were made. Here one step comes after the other, and nothing of one is left when the next begins."""
        cached = "RUN --mount=type=cache,id=shared,target=/c "
        text = (DOCKERFILE.replace("v1\n", "v1 AS one\n", 1)
                + cached + "ln -s /proc/sys/kernel /c/proc; ln -s ../../../../../../../../etc /c/etc; touch /c/mark; "
                "(trap '' TERM HUP; while :; do date +%N >/c/next; mv /c/next /c/alive; done) & sleep 1; test -s /c/alive\n"
                + "RUN touch /done\n" + DOCKERFILE + "COPY --from=one /done /done\n"
                + cached + "test -e /c/mark && touch /c/seen && a=$(stat -c %Y%Z /c/alive) && sleep 2 && "
                "test \"$a\" = \"$(stat -c %Y%Z /c/alive)\"\n")
        Repository("cache").commit(runner("x", text))
        reply = self.build("cache", "main")
        self.assertEqual(code(reply), 200, reply)
        Repository("cache-other").commit(runner("x", DOCKERFILE + cached + "test ! -e /c/mark\n"))
        reply = self.build("cache-other", "main")
        self.assertEqual(code(reply), 200, reply)
        self.assert_nothing_is_left()

    def test_k6_caches_that_lead_out(self):
        """CVE-2024-9675: a cache by a name, or a link in one, that is a folder of whoever builds."""
        link = "RUN --mount=type=cache,id=links,target=/c ln -sfn /proc/sys/kernel /c/proc; ln -sfn /run/build /c/up\n"
        before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
        for track, more, text, expected in [
                ("cache-up", "id=../../../../../../run/build,target=/c", "ls /c/work", 400),
                ("cache-source", "id=links,source=up,target=/c", "ls /c/work", 400),
                ("cache-proc", "id=links,source=proc,target=/c", "echo x >/c/core_pattern", 400),
                ("cache-target", "id=links,target=/opt/link", "echo x >/proc/sys/kernel/core_pattern", 200)]:
            with self.subTest(track):
                Repository(track).commit(runner("x", f"{DOCKERFILE}{link}RUN ln -s /proc/sys/kernel /opt/link\n"
                                                f"RUN --mount=type=cache,{more} {text}\n"))
                reply = self.build(track, "main")
                self.assertEqual(code(reply), expected, reply)
        self.assertEqual(pathlib.Path("/proc/sys/kernel/core_pattern").read_text(), before)
        self.assert_nothing_is_left()

    def test_k6_mounts_that_lead_out(self):
        """CVE-2024-1753, CVE-2024-9407: a mount whose source is a link that strangers made, or whose options come from elsewhere.
        Each is refused, or the step sees nothing but what is its own."""
        mount, cache = "RUN --mount=type=bind,", "RUN --mount=type=cache,"
        nothing = "! ls -d /h/run/build /h/var/lib/pipeline* /h/etc/pipeline\n"
        stage = "FROM localhost/test_runners/base:v1 AS one\nRUN ln -s / /evil\n"
        for track, text, expected in [
                ("out-env", f"{DOCKERFILE}ENV M=mount=type=cache,id=../../../../,target=/h\nRUN --$M {nothing}", 400),
                ("out-arg", f"{DOCKERFILE}ARG X=ount\nARG U=.\nRUN --m${{X}}=type=cache,id=${{U}}./${{U}}.,target=/h {nothing}", 400),
                ("out-context", f"{DOCKERFILE}{mount}source=evil,target=/h,rw {nothing}", 400),
                ("out-stage", f"{stage}{DOCKERFILE}{mount}from=one,source=/evil,target=/h,rw {nothing}", 400),
                ("out-id", f"{DOCKERFILE}{cache}id=links,target=/c ln -s / /c/up\n{cache}id=links/up,target=/h {nothing}", 400),
                ("out-target", f"{DOCKERFILE}{cache}target=/c ln -s / /c/up\n{cache}target=/c/up {nothing.replace('/h/', '/c/up/')}", 200),
                ("out-type", f"{DOCKERFILE}{cache}id=x,target=/c --mount=id=x/up,target=/h {nothing}", 400),
                ("in-stage", f"{stage}RUN touch /of-one\n{DOCKERFILE}{mount}from=one,target=/h test -e /h/of-one\n", 200),
                ("in-context", f"{DOCKERFILE}{mount}target=/h test -e /h/bin/run.sh && test -L /h/evil\n", 200)]:
            with self.subTest(track):
                repository = Repository(track)
                (repository.folder / "evil").symlink_to("/")
                repository.commit(runner("x", text))
                reply = self.build(track, "main")
                self.assertEqual(code(reply), expected, reply)
        self.assert_nothing_is_left()

    def test_k6_a_base_image_that_brings_steps(self):
        """CVE-2024-9407: they stand in no Dockerfile that anybody has looked at."""
        for track, config, expected in [("steps", {"OnBuild": ["RUN --mount=type=cache,id=../../../..,target=/h ls /h"]}, 400),
                                        ("steps-case", {"oNbUILD": ["RUN true"]}, 400),
                                        ("no-steps", {"OnBuild": []}, 200)]:
            with self.subTest(track):
                push_with(track, **config)
                Repository(track).commit(runner("x", DOCKERFILE.replace("/base:", f"/{track}:")))
                reply = self.build(track, "main")
                self.assertEqual(code(reply), expected, reply)
                if expected == 400:
                    self.assertIn("ONBUILD", reply["context"]["error_detail"]["error"])
        self.assert_nothing_is_left()

    def test_k6_lines_that_buildah_reads_otherwise(self):
        """A long line was the end of the file; FROM in two lines was none, and named files of the box."""
        for track, text, expected in [
                ("long", f"{DOCKERFILE}RUN true {'x' * 70000}\nRUN false\n", 400),
                ("halves", "FR\\\nOM dir:/etc\n", 512),
                ("copied", f"{DOCKERFILE}COPY \\\n --from=oci-archive:/etc/passwd /x /x\n", 512)]:
            with self.subTest(track):
                Repository(track).commit(runner("x", text))
                reply = self.build(track, "main")
                self.assertEqual(code(reply), expected, reply)
        self.assert_nothing_is_left()

    def test_k6_dockerfiles_that_ask_for_more(self):
        for track, text, expected in [
                ("net", DOCKERFILE + "RUN --network=host ip route | grep -q default\n", 400),
                ("secret", DOCKERFILE + "RUN --mount=type=secret,id=x,required=true cat /run/secrets/x\n", 400),
                ("bind", DOCKERFILE + "RUN --mount=type=bind,source=/,target=/h cat /h/etc/shadow\n", 400),
                ("insecure", DOCKERFILE + "RUN --security=insecure mount -t proc x /mnt\n", 400),
                ("absent", "FROM localhost/test_runners/nothing:v1\n", 512),
                ("unnamed", "RUN true\n", 400),
                ("strange", "FROM -x\n", 400),
                ("add", DOCKERFILE + "ADD http://127.0.0.1:5555/x /x\n", 513)]:
            with self.subTest(track):
                Repository(track).commit(runner("x", text))
                self.assertEqual(code(self.build(track, "main")), expected, track)
        self.assert_nothing_is_left()


def first_processes():
    """PID 1 of the build that is carried out, once a step of it runs."""
    main = main_pid("pipeline-build.service")
    children = pathlib.Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [child for child in children if any(pathlib.Path(f"/proc/{child}/root/run/crun").glob("*/status"))]


class Box(Case):
    """What is around the steps, tried by who got out of one and has every right that can be had there."""

    def test_k6_what_is_hidden_stays_hidden(self):
        Repository("hidden-other").commit(runner("x"))
        reply = self.build("hidden-other", "main")
        self.assertEqual(code(reply), 200, reply)
        other = f"{HIDDEN}/cache/test_runners.hidden-other"
        self.assertTrue(pathlib.Path(other).is_dir())
        Repository("hidden").commit(runner("x", "FROM localhost/test_runners/base:v1\nRUN sleep 1000\n"))
        client = self.client().send(action="build_container", track_slug="hidden", channel="test_runners",
                                    git_reference="main", execution_timeout=20)
        wait_until(first_processes, seconds=60)
        pid, = first_processes()
        self.uncover(pid, other, "unshare", "--mount")
        self.uncover(pid, other)
        reply = client.receive()
        self.assertEqual(code(reply), 401, reply)
        self.assert_nothing_is_left()

    def uncover(self, pid, other, *around):
        out = json.loads(run("nsenter", "--target", pid, "--user", "--mount", *around, "python3", "-c", UNCOVER, other,
                             *COVERED))
        fails = dict.fromkeys(COVERED, "EINVAL")
        self.assertEqual(out, {"tried": {"mount": 0, "umount": 0, "bind": "EINVAL", "copy": 0, "end of copy": 0},
                               "copies": fails, "detach": fails, "umount": fails, "move": fails, "seen": []})


if __name__ == "__main__":
    unittest.main()
