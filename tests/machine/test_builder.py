#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a git reference to a running version: a real repository, served by git's own daemon; build, deploy, test, as
clients ask for it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite
from builds import BUILDER, DOCKERFILE, ENVIRONMENT, GIT, SETTINGS, SOURCE, Case, Repository, configure, runner, set_up, tear_down
from internet import METADATA, NEIGHBOUR, OWN, PRIVATE, PUBLIC, SHARED, Internet
from suite import code


def setUpModule():
    set_up()


def tearDownModule():
    tear_down()


def begin(track, **more):
    """A build that is under way; its client."""
    client = suite.Client(suite.UNIX)
    client.send(action="build_container", track_slug=track, channel="test_runners", git_reference="main", **more)
    suite.wait_until(lambda: suite.scopes("pipeline-build"), 60)
    return client


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

    def test_a_commit_gives_the_same_image_each_time(self):
        first = Repository("same")
        commit = first.commit(runner("same", DOCKERFILE + "RUN echo made >/opt/made && mkdir -p /opt/a/b\n"))
        suite.run("git", "clone", "--quiet", first.folder, first.folder.with_name("again-test-runner"), env=ENVIRONMENT)
        one, other = self.build("same", "main"), self.build("again", commit)
        self.assertEqual((code(one), code(other)), (200, 200), (one, other))
        self.assertEqual(one["response"]["digest"], other["response"]["digest"])
        said = suite.journal(f"PIPELINE_JOB={other['context']['job']}")
        for line in ("STEP 4/5: RUN chmod 0755 bin/run.sh", "Build .* runs in pipeline-build-", "is built"):
            self.assertRegex(said, line)

    def test_a_folder_of_this_host_is_a_source(self):
        configure(SETTINGS + f"SOURCE_TEST_RUNNERS=file://{GIT}/{{track}}-{{suffix}}\n")
        self.addCleanup(configure, SETTINGS)
        commit = Repository("local").commit(runner("local"))
        reply = self.build("local", "main")
        self.assertEqual((code(reply), reply["response"]["commit"]), (200, commit), reply)

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
        self.assertEqual(code(suite.ask(action="list_available_containers", channel="test_runners",
                                        track_slug="empty")), 400)

    def test_a_cancelled_build_ends_and_leaves_nothing(self):
        Repository("endless").commit(runner("x", DOCKERFILE + "RUN sleep 1000\n"))
        client = begin("endless", id="endless")
        self.assertEqual(suite.ask(action="cancel", id="endless")["response"], {"cancelled": 1})
        self.assertEqual(code(client.receive()), 403)
        suite.wait_until(lambda: not suite.scopes("pipeline-build"), 60)
        self.assert_nothing_is_left()


class Layers(Case):
    """/etc/pipeline/build.conf: what is kept has a bound."""

    CACHE, CONFIG = pathlib.Path("/var/lib/pipeline-build/cache"), pathlib.Path("/etc/pipeline/build.conf")

    def bound(self, setting):
        text = self.CONFIG.read_text()
        self.addCleanup(self.set, text)
        self.set(f"{text}{setting}\n")

    def set(self, text):
        self.CONFIG.write_text(text)
        suite.run("systemctl", "restart", "pipeline-build.service")

    def kept(self):
        """Bytes of each track."""
        return {path.stem: int(path.read_text()) for path in self.CACHE.glob("*.size")}

    def built(self, track):
        Repository(track).commit(runner(track))
        self.assertEqual(code(self.build(track, "main")), 200)
        self.assert_nothing_is_left()

    def becomes(self, read, wanted):
        """Layers are settled after the answer."""
        suite.wait_until(lambda: read() == wanted, tell=read)

    def test_of_one_track(self):
        self.bound("TrackCache=1M")
        self.built("bulky")
        self.becomes((self.CACHE / "test_runners.bulky").exists, False)
        self.assertNotIn("test_runners.bulky", self.kept())

    def test_of_all_tracks(self):
        self.built("oldest")
        self.becomes(lambda: "test_runners.oldest" in self.kept(), True)
        size = self.kept()["test_runners.oldest"]
        self.bound(f"Cache={size * 5 // 2}")
        for track in ("middle", "newest"):
            self.built(track)
        self.becomes(lambda: set(self.kept()), {"test_runners.middle", "test_runners.newest"})
        self.assertLessEqual(sum(self.kept().values()), size * 5 // 2)


class Disk(Case):
    """The folder of builds on a small disk of its own."""

    FOLDER, UNITS = "/var/lib/pipeline-build", ("pipeline-build.socket", "pipeline-build.service")

    def setUp(self):
        suite.run("systemctl", "stop", *self.UNITS)
        self.addCleanup(suite.run, "systemctl", "start", self.UNITS[0])
        suite.run("mount", "-t", "tmpfs", "-o", "size=600M,mode=0711,uid=pipeline-build,gid=pipeline-build", "tmpfs",
                  self.FOLDER)
        self.addCleanup(suite.run, "umount", self.FOLDER)
        self.addCleanup(suite.run, "systemctl", "stop", *self.UNITS)
        suite.run("systemctl", "start", self.UNITS[0])
        configure(SETTINGS.replace("BUILD_DISK=200M", "BUILD_DISK=1G"))
        self.addCleanup(configure, SETTINGS)

    def test_a_build_ends_before_the_host_has_no_room_left(self):
        """Though it takes less than it may."""
        Repository("fills").commit(runner("x", DOCKERFILE + "RUN head -c 400000000 /dev/zero >/zeros && sleep 1000\n"))
        reply = self.build("fills", "main")
        self.assertEqual(code(reply), 500, reply)
        self.assertIn("the disk that builds are on is nearly full", json.dumps(reply))
        self.assert_nothing_is_left()


class ByHand(suite.Case):
    """Router and builder that anybody started, the builder with services of its own."""

    USER, ADDRESS = "by-hand", "tcp://127.0.0.1:5999"

    def setUp(self):
        suite.run("useradd", "--create-home", "--groups", "pipeline", self.USER)
        self.addCleanup(suite.run, "userdel", "--remove", self.USER)
        suite.run("loginctl", "enable-linger", self.USER)
        self.addCleanup(self.end_manager)
        self.home = pathlib.Path("/home", self.USER)
        self.home.chmod(0o711)
        self.processes = []
        self.addCleanup(self.end_all)

    def end_manager(self):
        uid = suite.run("id", "-u", self.USER).strip()
        suite.run("loginctl", "disable-linger", self.USER)
        suite.run("systemctl", "stop", f"user@{uid}.service", f"user-runtime-dir@{uid}.service")

    def start(self, *command):
        self.processes.append(subprocess.Popen(
            command, cwd=self.home, user=self.USER, group=self.USER, extra_groups=["pipeline"],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "BUILD_MEMORY": "512M", "SOURCE": SOURCE.strip()[7:]}))

    def end_all(self):
        for process in reversed(self.processes):
            process.terminate()
            self.assertEqual(process.wait(60), 0)
        left = subprocess.run(["pgrep", "--uid", self.USER, "--list-full", "pipeline|buildah"], capture_output=True, text=True,
                              check=False).stdout
        self.assertEqual(left, "")

    def test_it_builds(self):
        commit = Repository("byhand").commit(runner("byhand"))
        self.start("pipeline-router", "router.yml", "--listen", self.ADDRESS)
        closed = self.home / "closed"
        closed.mkdir(mode=0o700)
        shutil.chown(closed, self.USER)
        done = subprocess.run(["pipeline-builder", "listen", "mine", f"{self.ADDRESS}/builders", closed / "builder"],
                              user=self.USER, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"chmod o+x {closed}", done.stderr)
        self.start("pipeline-builder", "listen", "mine", f"{self.ADDRESS}/builders", "builder")
        client = self.client(self.ADDRESS)
        for _ in range(100):
            reply = client.ask(action="build_container", track_slug="byhand", channel="test_runners", git_reference="main")
            if code(reply) != 503:
                break
            time.sleep(0.2)
        self.assertEqual((code(reply), reply["context"]["worker"]), (200, "mine"), reply)
        self.assertEqual(reply["response"]["commit"], commit)


class Network(Case):
    """BUILD_NETWORK=yes: steps reach public web servers, and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.internet = Internet(files=PUBLIC, inside=PRIVATE)
        cls.addClassCleanup(cls.internet.stop)
        configure(SETTINGS + "BUILD_NETWORK=yes\n")
        cls.addClassCleanup(configure, SETTINGS)

    def answers(self, track, *targets):
        """The status for each target that a step asks the proxy for: URLs, or HOST:PORT for a tunnel."""
        asks = "".join(f"RUN echo \"answer $(ask '{target}')\"\n" for target in targets)
        ask = """#!/bin/sh
case $1 in
http:*) printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "$1" ;;
*) printf 'CONNECT %s HTTP/1.1\\r\\n\\r\\nGET /hello HTTP/1.0\\r\\n\\r\\n' "$1" ;;
esac | nc -w 20 127.0.0.1 3128 | tr -d '\\r' | sed -n '1s/[^ ]* \\([0-9]*\\).*/\\1/p; $p' | tr '\\n' ' '
"""
        Repository(track).commit(runner("x", DOCKERFILE + "COPY ask /bin/ask\nRUN chmod 0755 /bin/ask\n" + asks, ask=ask))
        reply = self.build(track, "main")
        self.assertEqual(code(reply), 200, reply)
        log = suite.journal("--identifier=pipeline-builder", f"PIPELINE_TRACK={track}")
        return dict(zip(targets, [line.split(" ", 1)[1].strip() for line in log.splitlines() if line.startswith("answer ")]))

    def test_what_is_public_is_reached(self):
        Repository("fetches").commit(runner("fetches", DOCKERFILE + (
            "RUN wget -q -O /hello http://files.example.org/hello && grep hello /hello\n"
            "ADD http://files.example.org/hello /added\nRUN cmp /hello /added\n"
            "RUN wget -q -O /large http://files.example.org/large && test $(stat -c %s /large) = 3145728\n"
            "RUN ! ip route | grep -q . && ! http_proxy= wget -T 2 -q -O /x http://203.0.113.10/hello\n")))
        reply = self.build("fetches", "main")
        self.assertEqual(code(reply), 200, reply)
        digest = reply["response"]["digest"].removeprefix("sha256:")
        blobs = pathlib.Path("/var/lib/pipeline/registry/test_runners/fetches/blobs/sha256")
        config = json.loads((blobs / digest).read_text())["config"]["digest"].removeprefix("sha256:")
        self.assertNotIn("proxy", str(json.loads((blobs / config).read_text())["config"]).lower())
        said = suite.journal("--unit=pipeline-egress", "PIPELINE_HOST=files.example.org")
        self.assertIn("files.example.org port 80: connected", said)

    def test_what_is_not_public_is_refused(self):
        good = {f"http://{PUBLIC}/hello": "200 hello from the internet", f"{PUBLIC}:443": "200 hello from the internet",
                "files.example.org:443": "200 hello from the internet"}
        hosts = (PRIVATE, METADATA, SHARED, OWN, NEIGHBOUR, "127.0.0.1", "0.0.0.0", "[::1]", f"[::ffff:{OWN}]",
                 f"[::ffff:{METADATA}]", "localhost", "inside.example.org", "nothing.example.org")
        inside = [form.format(host) for host in hosts for form in ("{}:443", "http://{}/hello")]
        others = {f"{PUBLIC}:8080": "403", f"{PUBLIC}:80": "403", f"http://{PUBLIC}:8080/hello": "403", f"{PUBLIC}": "400",
                  "http://": "400", f"http://user@{PUBLIC}/": "400"}
        answers = self.answers("refused", *good, *inside, *others)
        for target, expected in good.items():
            self.assertEqual(answers[target], expected, target)
        for target in inside:
            self.assertEqual(answers[target], "403 there is no public address of that name", target)
        for target, expected in others.items():
            self.assertEqual(answers[target].split()[0], expected, target)

    def test_a_connection_is_for_one_request(self):
        """Else the second would go to the server of the first."""
        Repository("reuse").commit(runner("x", DOCKERFILE + (
            "RUN (printf 'GET http://203.0.113.10/hello HTTP/1.1\\r\\n\\r\\n'; until grep -q hello /out; do sleep 0.1; done; "
            "printf 'GET http://203.0.113.10/large HTTP/1.1\\r\\n\\r\\n') | nc 127.0.0.1 3128 >/out; "
            "test $(grep -c '^HTTP/1.. 200' /out) = 1\n"
            "RUN printf 'POST http://203.0.113.10/hello HTTP/1.1\\r\\nContent-Length: 3\\r\\n\\r\\nabcGET http://10.9.9.9/' "
            "| nc -w 5 127.0.0.1 3128 | grep -q '^HTTP/1.. 501'\n")))
        self.assertEqual(code(self.build("reuse", "main")), 200)

    def test_connections_end_with_their_build(self):
        Repository("held").commit(runner("x", DOCKERFILE + (
            "RUN (printf 'CONNECT 203.0.113.10:443 HTTP/1.1\\r\\n\\r\\n'; sleep 1000) | nc 127.0.0.1 3128\n")))
        reply = self.build("held", "main", execution_timeout=10)
        self.assertEqual(code(reply), 401, reply)
        self.assert_nothing_is_left()
        said = suite.journal("--unit=pipeline-egress", f"PIPELINE_JOB={reply['context']['job']}")
        self.assertIn("203.0.113.10 port 443: connected", said)
        main = suite.main_pid("pipeline-egress.service")
        children = pathlib.Path(f"/proc/{main}/task/{main}/children")
        suite.wait_until(lambda: not children.read_text(), tell=lambda: "a connection outlived its build")

    def test_nobody_is_root_or_has_a_capability_of_the_host(self):
        Repository("rights").commit(runner("x", DOCKERFILE + (
            "RUN (printf 'CONNECT 203.0.113.10:443 HTTP/1.1\\r\\n\\r\\n'; sleep 1000) | nc 127.0.0.1 3128\n")))
        client = begin("rights", id="rights")

        def names():
            return {sandbox.name(pid) for pid in sandbox.of_the_suite()}
        wanted = {"pipeline-router", "pipeline-builde", "pipeline-buildd", "pipeline-egress", "buildah", "sleep"}
        suite.wait_until(lambda: wanted <= names(), tell=names)
        for pid in sandbox.of_the_suite():
            self.assertFalse(sandbox.rights_on_the_host(pid), f"{pid} {sandbox.status(pid)} {sandbox.cgroup(pid)}")
        self.assertEqual(suite.ask(action="cancel", id="rights")["response"], {"cancelled": 1})
        self.assertEqual(code(client.receive()), 403)

    def test_without_the_service_a_build_fails(self):
        suite.run("systemctl", "stop", "pipeline-egress.socket", "pipeline-egress.service")
        self.addCleanup(suite.run, "systemctl", "start", "pipeline-egress.socket")
        Repository("cut").commit(runner("x"))
        reply = self.build("cut", "main")
        self.assertEqual(code(reply), 512, reply)
        self.assertIn("pipeline-egress.socket", reply["context"]["error_detail"]["error"])


class NoNetwork(Case):
    def test_without_the_setting_there_is_no_proxy(self):
        Repository("alone").commit(runner("x", DOCKERFILE + "RUN ! env | grep -qi proxy && ! nc 127.0.0.1 3128\n"))
        self.assertEqual(code(self.build("alone", "main")), 200)
        self.assertNotEqual(subprocess.run(["runuser", "-u", "pipeline-builder", "--", "python3", "-c", (
            "import socket; s = socket.socket(socket.AF_UNIX); "
            "s.connect('/run/pipeline/egress.sock')")], stderr=subprocess.DEVNULL).returncode, 0)


class Death(Case):
    def test_a_builder_that_is_stopped_ends_its_build_first(self):
        Repository("stopped").commit(runner("stopped", DOCKERFILE + "RUN sleep 3\n"))
        client = begin("stopped")
        suite.run("systemctl", "stop", BUILDER)
        self.addCleanup(suite.run, "systemctl", "start", BUILDER)
        reply = client.receive()
        self.assertEqual((code(reply), reply["response"]["status"]), (200, "built"), reply)

    def test_a_build_whose_service_is_killed_is_done_once_more(self):
        Repository("killed").commit(runner("killed", DOCKERFILE + "RUN sleep 3\n"))
        client = begin("killed")
        os.kill(suite.main_pid("pipeline-build.service"), 9)
        reply = client.receive()
        self.assertEqual((code(reply), reply["response"]["status"]), (200, "built"), reply)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
