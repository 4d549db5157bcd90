# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker between a router and a sandbox service that the test plays, as in the machine's tests of the worker: what
reaches the sandbox is what it made of an input."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "machine"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import test_worker  # noqa: E402

MIB = test_worker.MIB
LIMITS = test_worker.LIMITS


class Case(test_worker.Case):
    """`environment` is what the worker is told of S3."""

    environment = {}
    setup_usec = 30_000_000

    def setUp(self):
        super().setUp()
        self.inputs_seen = []
        self.sandbox.run = self.note_and_run
        self.worker = None

    def note_and_run(self, c):
        c.read_input()
        self.inputs_seen.append(c.files)
        c.send(test_worker.frame(test_worker.STARTED, b'{"scope": "a.scope"}'))
        c.send(test_worker.result_frames("results.json", test_worker.RESULTS))
        c.answer(**test_worker.exited())

    def worker_with(self, **environment):
        """A worker that holds a version, with these variables instead of the class's. It is patient with a router that
        is busy with other things."""
        digest = self.push()
        self.worker = self.start(**(environment or self.environment))
        self.router.receive("hello", timeout=30)
        self.router.configure({"ruby": {"v1": digest}}, dead_usec=600_000_000)
        self.until_held({"v1": digest}, timeout=30)
        return self.worker

    def submit(self, uri, seconds=60, **more):
        """One job with this input: the outcome and its detail."""
        if not self.worker:
            self.worker_with()
        self.router.job(**{"input": uri, "setup_usec": self.setup_usec, **more})
        outcome, _, context, detail = self.router.outcome(seconds)
        return outcome, detail, context

    def fetched(self, uri, **more):
        """The files that a job got."""
        outcome, _, _ = self.submit(uri, **more)
        self.assertEqual((outcome["status_code"], outcome["error"]), (200, None))
        return self.inputs_seen[-1]

    def refused(self, uri, pattern, **more):
        """A job whose input cannot be fetched: 512, with a reason, without a key, and no sandbox was taken."""
        before = len(self.inputs_seen)
        outcome, _, _ = self.submit(uri, **more)
        self.assertEqual(outcome["status_code"], 512, outcome)
        self.assertRegex(outcome["error"], pattern)
        self.assertEqual(len(self.inputs_seen), before)
        for secret in self.secrets():
            self.assertNotIn(secret, str(outcome))
        return outcome["error"]

    def secrets(self):
        return [self.environment.get(n) for n in
                ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if self.environment.get(n)]

    def check_stderr(self, said):
        super().check_stderr(said)
        for secret in self.secrets():
            self.assertNotIn(secret, said)

    def stop_all(self):
        """And nothing secret is in the workers' command lines."""
        lines = [pathlib.Path(f"/proc/{w.pid}/cmdline").read_bytes() for w in self.workers if w.poll() is None]
        super().stop_all()
        for secret in self.secrets():
            self.assertFalse(any(secret.encode() in line for line in lines))
