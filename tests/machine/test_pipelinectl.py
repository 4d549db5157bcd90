#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What pipelinectl asks, shows and answers with, before a router that this test plays itself.

By hand, as root: PIPELINECTL=/path/to/pipelinectl test_pipelinectl.py [NAME…]
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

import zmq

PIPELINECTL = os.environ.get("PIPELINECTL", "/usr/bin/pipelinectl")
INPUT = "/var/lib/pipeline/input"
OK, FAILED, USAGE, NOT_ALLOWED, NO_ANSWER = range(5)
JOB = "0123456789abcdef0123456789abcdef"
RESULTS = ('{"version": 2, "status": "fail", "big": 12345678901234567890123, "tests": ['
           '{"name": "no name\\u001b[31m", "status": "pass", "output": "said\\nthis"}, '
           '{"name": "a name", "status": "fail", "message": "Expected: 1\\nActual: 2"}, 7]}')
CONTEXT = {"job": JOB, "worker": "ruby-1", "container_version": "v2", "limits_enforced": True,
           "usage": {"wall_milliseconds": 1234, "cpu_milliseconds": 1100, "memory_peak_bytes": 34 << 20}}


def reply(response="null", code=200, error=None, context=None):
    """A reply's text; `response` is text too, so that it is exact."""
    context = {**(context or {})}
    if code != 200:
        context["error_detail"] = {"error": error, "failed_request": {}}
    body = '"response":' + response + "," if code == 200 else ""
    return f'{{"status":{{"status_code":{code},"message":"m","error":null}},{body}"context":{json.dumps(context)}}}'


class Router:
    """Answers by action; keeps what was asked."""

    def __init__(self, address):
        self.socket = zmq.Context.instance().socket(zmq.REP)
        self.socket.bind(address)
        self.answers, self.requests = {}, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                request = json.loads(self.socket.recv())
            except zmq.ZMQError:
                return
            if request == "stop":
                self.socket.close(linger=0)
                return
            self.requests.append(request)
            answer = self.answers.get(request["action"], reply(code=501, error="unknown"))
            self.socket.send_string(answer.pop(0) if isinstance(answer, list) else
                                    answer(request) if callable(answer) else answer)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="test-pipelinectl-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.address = f"ipc://{self.folder}/router.sock"
        self.router = Router(self.address)
        self.addCleanup(self.stop)
        self.router.answers["current_config"] = reply(json.dumps(
            {"container_versions": {"test_runners": {"ruby": ["v1", "v2"]}}}))
        self.solution = f"{self.folder}/two fer"
        os.mkdir(self.solution)
        pathlib.Path(self.solution, "two_fer.rb").write_text("x")

    def stop(self):
        socket = zmq.Context.instance().socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 100)
        socket.connect(self.address)
        socket.send_json("stop")
        socket.close()

    def run_ctl(self, *arguments, expect=OK, router=True, **more):
        where = ["--router", self.address] if router is True else ["--router", router] if router else []
        done = subprocess.run([PIPELINECTL, *arguments, *where], capture_output=True, text=True, check=False, **more)
        self.assertEqual(done.returncode, expect, done.stderr)
        self.assertNotRegex(done.stderr, "Sanitizer|runtime error")
        return done


class Test(Case):
    def test_shows_each_test_with_time_and_memory(self):
        self.router.answers["test_solution"] = reply(RESULTS, context=CONTEXT)
        shown = self.run_ctl("test", "ruby", "two-fer", self.solution).stdout
        self.assertEqual(shown, "fail\n"
                         "  ✓ no name\\x1b[31m\n"
                         "      output:\n        said\n        this\n"
                         "  ✗ a name\n"
                         "      Expected: 1\n      Actual: 2\n"
                         f"1.23 s, 1.10 s CPU, 34 MiB; v2 at ruby-1; `pipelinectl logs {JOB}`\n")

    def test_json_is_the_reply_byte_for_byte(self):
        answer = self.router.answers["test_solution"] = reply(RESULTS, context=CONTEXT)
        self.assertEqual(self.run_ctl("test", "ruby", "two-fer", self.solution, "--json").stdout, answer + "\n")

    def test_asks_for_what_was_said(self):
        self.router.answers["analyze_iteration"] = reply('"a text\\n"')
        shown = self.run_ctl("test", "ruby", "two-fer", "s3://bucket/x", "--channel", "static_analyzers",
                             "--version=git-1", "--timeout", "1500ms")
        request = self.router.requests[-1]
        self.assertRegex(request.pop("id"), "^pipelinectl-[0-9a-f]{16}$")
        self.assertEqual(request, {"action": "analyze_iteration", "track_slug": "ruby", "exercise_slug": "two-fer",
                                   "s3_uri": "s3://bucket/x", "container_version": "git-1",
                                   "execution_timeout": 1.5})
        self.assertTrue(shown.stdout.startswith("a text\n"))

    def test_a_folder_elsewhere_is_copied_and_removed_again(self):
        os.makedirs(f"{self.solution}/lib")
        pathlib.Path(self.solution, "lib/a").write_text("y")
        os.chmod(f"{self.solution}/lib/a", 0o755)
        seen = {}

        def answer(request):
            path = request["s3_uri"].removeprefix("file://").rstrip("/")
            seen.update({str(p.relative_to(path)): p.read_text() for p in pathlib.Path(path).rglob("*") if p.is_file()})
            seen["mode"] = os.stat(f"{path}/lib/a").st_mode & 0o777
            seen["path"] = path
            return reply("{}")

        self.router.answers["test_solution"] = answer
        self.run_ctl("test", "ruby", "two-fer", self.solution)
        self.assertEqual(self.router.requests[-1]["container_version"], "v2")
        self.assertEqual(seen, {"two_fer.rb": "x", "lib/a": "y", "mode": 0o750, "path": seen["path"]})
        self.assertTrue(seen["path"].startswith(INPUT + "/"))
        self.assertFalse(os.path.exists(seen["path"]))

    def test_a_folder_of_the_inputs_is_taken_as_it_is(self):
        with tempfile.TemporaryDirectory(prefix="a b%", dir=INPUT) as folder:
            self.router.answers["test_solution"] = reply("{}")
            self.run_ctl("test", "ruby", "two-fer", folder)
            self.assertEqual(self.router.requests[-1]["s3_uri"],
                             f"file://{folder}/".replace("%", "%25").replace(" ", "%20"))
            self.assertTrue(os.path.exists(folder))

    def test_links_in_a_solution_are_refused(self):
        os.symlink("/etc/passwd", f"{self.solution}/link")
        self.assertIn("link is neither", self.run_ctl("test", "ruby", "two-fer", self.solution, expect=FAILED).stderr)
        self.assertEqual([p for p in os.listdir(INPUT) if p.startswith("ctl-")], [])

    def test_a_job_that_failed_is_told(self):
        context = {**CONTEXT, "invocation": {"stdout": "out\n", "stderr": "err"}}
        self.router.answers["test_solution"] = reply(code=401, error="it ran longer than it may: 20000 ms",
                                                     context=context)
        done = self.run_ctl("test", "ruby", "two-fer", self.solution, expect=FAILED)
        self.assertIn("stdout:\n  out\nstderr:\n  err\n", done.stdout)
        self.assertEqual(done.stderr, "pipelinectl test: 401 timed_out: it ran longer than it may: 20000 ms\n")

    def test_no_version_names_the_command(self):
        done = self.run_ctl("test", "python", "two-fer", self.solution, expect=FAILED)
        self.assertIn("pipelinectl deploy test_runners python VERSION", done.stderr)


class Deploy(Case):
    def workers(self, *states):
        """A reply of describe_workers; a state is `held`, another state, or one with a reason."""
        infos = [{"name": "other-1", "channel": "test_runners", "topics": ["csharp"], "online": True},
                 {"name": "ruby-9", "channel": "test_runners", "topics": ["ruby"], "online": False}]
        for n, state in enumerate(states):
            state, _, error = state.partition(":")
            info = {"name": f"ruby-{n}", "channel": "test_runners", "topics": ["ruby"] if n else [], "online": True,
                    "slots": 2, "running": 1}
            if state == "held":
                info["held"] = {"ruby": {"v3": "sha256:" + "0" * 64}}
            elif state:
                info["installing"] = {"ruby": {"v3": {"state": state, "error": error or None}}}
            infos.append(info)
        return reply(json.dumps({"workers_info": infos}))

    def test_waits_and_shows_each_worker(self):
        self.router.answers["deploy_container_version"] = reply('{"container_versions": {}}')
        self.router.answers["describe_workers"] = [
            self.workers("", "queued"), self.workers("fetching", "held"), self.workers("fetching", "held"),
            self.workers("held", "held")]
        done = self.run_ctl("deploy", "test-runner", "ruby", "v3", "--wait")
        self.assertEqual(done.stdout.splitlines(), ["ruby-0: told", "ruby-1: queued", "ruby-0: fetching",
                                                    "ruby-1: held", "ruby-0: held"])
        self.assertEqual(self.router.requests[0], {"action": "deploy_container_version", "channel": "test_runners",
                                                   "track_slug": "ruby", "new_version": "v3"})

    def test_fails_with_the_reason(self):
        self.router.answers["deploy_container_version"] = reply('{"container_versions": {}}')
        self.router.answers["describe_workers"] = self.workers("held", "failed:no layer\x1b[0m")
        done = self.run_ctl("deploy", "test_runners", "ruby", "v3", "--wait", expect=FAILED)
        self.assertIn("ruby-1: failed: no layer\\x1b[0m", done.stdout)
        self.assertIn("1 of 2 workers could not install v3", done.stderr)

    def test_times_out(self):
        self.router.answers["deploy_container_version"] = reply('{"container_versions": {}}')
        self.router.answers["describe_workers"] = self.workers()
        done = self.run_ctl("deploy", "test_runners", "ruby", "v3", "--wait", "--timeout=500ms", expect=FAILED)
        self.assertIn("systemctl start", done.stderr)

    def test_an_unknown_version_is_told(self):
        self.router.answers["deploy_container_version"] = reply(code=400, error="the registry has no ruby v3")
        done = self.run_ctl("deploy", "test_runners", "ruby", "v3", expect=FAILED)
        self.assertIn("400 bad_input: the registry has no ruby v3", done.stderr)

    def test_a_right_that_is_missing_is_named(self):
        self.router.answers["unload_container_version"] = reply(code=400, error="not_allowed: it needs the role deploy")
        done = self.run_ctl("undeploy", "test_runners", "ruby", "v3", expect=NOT_ALLOWED)
        self.assertIn("adduser $USER pipeline", done.stderr)

    def test_tables(self):
        self.router.answers["describe_workers"] = self.workers("held", "failed:why")
        self.router.answers["current_config"] = reply(
            '{"container_versions": {"test_runners": {"ruby": ["v1", "v3"]}, "representers": {"c": ["x"]}}}')
        self.router.answers["router_status"] = reply('{"router_status": {"version": "1", "queued": 7}}')
        rows = [line.split() for line in self.run_ctl("versions").stdout.splitlines()]
        self.assertIn(["test_runners", "ruby", "v3", "1", "of", "2", "why"], rows)
        self.assertIn(["representers", "c", "x", "0", "of", "0", "-"], rows)
        rows = [line.split() for line in self.run_ctl("workers").stdout.splitlines()]
        self.assertIn(["ruby-0", "test_runners", "any", "online", "1", "of", "2", "ruby/v3"], rows)
        self.assertIn(["ruby-1", "test_runners", "ruby", "online", "1", "of", "2", "ruby/v3:failed"], rows)
        self.assertIn("7 waiting", self.run_ctl("status").stdout)
        self.assertEqual(json.loads(self.run_ctl("status", "--json").stdout)["router_status"]["queued"], 7)

    def test_rubbish_in_answers_is_survived(self):
        for rubbish in ("null", "[]", '"x"', '{"workers_info": {}}', '{"workers_info": [1, null, {"held": 3}]}',
                        '{"container_versions": {"a": {"b": [null, {}]}, "c": 1}}', '{"router_status": []}',
                        '{"jobs_info": [1, null, {"job": 3, "age_milliseconds": "x"}]}', '{"jobs_info": 3}'):
            for action in ("describe_workers", "describe_jobs", "current_config", "router_status", "test_solution"):
                self.router.answers[action] = reply(rubbish)
            for verb in ("versions", "workers", "status", "jobs", "top"):
                self.run_ctl(verb)
            self.run_ctl("test", "ruby", "two-fer", "file:///x/", "--version", "v1")


class Images(Case):
    """A registry made by hand: two versions, of which one has lost its manifest."""

    def setUp(self):
        super().setUp()
        self.registry = pathlib.Path(self.folder, "registry")
        layout = self.registry / "test_runners/ruby"
        (layout / "blobs/sha256").mkdir(parents=True)
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        lost = {"digest": "sha256:" + "0" * 64, "size": 7}
        config = self.blob(layout, {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/x"]},
                                    "rootfs": {"type": "layers", "diff_ids": [lost["digest"]]}})
        media = "application/vnd.oci.image."
        manifest = self.blob(layout, {"schemaVersion": 2, "config": {**config, "mediaType": media + "config.v1+json"},
                                      "layers": [{**lost, "mediaType": media + "layer.v1.tar"}]})
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
            {**found, "mediaType": media + "manifest.v1+json", "annotations": {"org.opencontainers.image.ref.name": tag}}
            for tag, found in (("v1", lost), ("v2", manifest))]}))

    def blob(self, layout, content):
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        (layout / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def list(self, *options):
        return self.run_ctl("images", "--registry", self.registry, *options, expect=FAILED)

    def test_what_cannot_be_read_is_told_and_the_rest_listed(self):
        done = self.list()
        self.assertEqual(done.stderr, f"pipelinectl images: test_runners/ruby v1: the blob sha256:{'0' * 64} is missing\n")
        self.assertEqual([line.split()[:3] for line in done.stdout.splitlines()[1:]], [["test_runners", "ruby", "v2"]])
        self.assertEqual([image["version"] for image in json.loads(self.list("--json").stdout)], ["v2"])

    def test_a_bad_layout_does_not_hide_the_others(self):
        bad = self.registry / "test_runners/c"
        bad.mkdir()
        (bad / "index.json").write_text("what")
        done = self.list()
        self.assertIn("test_runners/c: ", done.stderr)
        self.assertIn("v2", done.stdout)

    def test_a_registry_that_is_not_there(self):
        done = self.run_ctl("images", "--registry", f"{self.folder}/none", expect=FAILED)
        self.assertIn("is not there", done.stderr)


class Keys(Case):
    def test_json_holds_for_any_name_of_a_file(self):
        keys, secret, out = (f"{self.folder}/{name}" for name in ("keys", 'the "router" key', 'a "key"'))
        os.mkdir(keys)
        made = self.run_ctl("keys", "new-router", "--json", "--folder", keys, "--secret", secret)
        self.assertEqual(json.loads(made.stdout)["file"], secret)
        made = json.loads(self.run_ctl("keys", "new", "site", "--role=submit", "--json", "--folder", keys, "--out", out).stdout)
        self.assertEqual((made["name"], made["file"], len(made["public"])), ("site", out, 40))

    def test_a_folder_that_is_not_there(self):
        done = self.run_ctl("keys", "list", "--folder", f"{self.folder}/none", expect=FAILED)
        self.assertIn(f"there is no folder {self.folder}/none", done.stderr)


class Wrong(Case):
    def test_no_router(self):
        done = self.run_ctl("status", router=f"ipc://{self.folder}/none", expect=NO_ANSWER)
        self.assertIn("systemctl start pipeline-router.socket", done.stderr)

    def test_no_right(self):
        os.chmod(self.folder, 0o700)
        done = self.run_ctl("status", expect=NOT_ALLOWED, user="nobody")
        self.assertIn("adduser $USER pipeline", done.stderr)

    def test_no_reply(self):
        self.router.answers["router_status"] = "what"
        self.assertIn("no reply", self.run_ctl("status", expect=FAILED).stderr)

    def test_usage(self):
        for arguments in (["test"], ["test", "a", "b"], ["what"], ["test", "a", "b", "c", "--nope"], ["logs", "x"],
                          ["deploy", "nochannel", "ruby", "v1"], ["push", "builders", "ruby", "v1", "x"],
                          ["test", "a", "b", "c", "--channel", "builders"],
                          ["test", "a", "b", "c", "--timeout", "soon"]):
            self.run_ctl(*arguments, expect=USAGE)
        self.run_ctl("status", router="what", expect=USAGE)


if __name__ == "__main__":
    unittest.main()
