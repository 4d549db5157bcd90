# SPDX-License-Identifier: LGPL-2.1-or-later
"""From commits to versions, message for message as its clients ask for it: a real git repository, a real registry for
base image and versions alike, the Ruby runner of the examples, its solutions as fixtures."""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import builds  # noqa: E402
import suite  # noqa: E402
import test_registry as registry  # noqa: E402
from suite import code  # noqa: E402

RUNNER = pathlib.Path("/pipeline/examples/test-runners/ruby")
IMAGE = pathlib.Path("/srv/ruby.tar")
BASE = f"{registry.HOST}/base/ruby:1"
BASE_AUTH = pathlib.Path("/etc/pipeline/builder/base-auth.json")
WORKER = "pipeline-worker@ruby-1.service"


def push_base():
    suite.run("pipelinectl", "push", "test_runners", "ruby-base", "v1", IMAGE)
    registry.skopeo("copy", "--dest-tls-verify=false", "--authfile", registry.CREDENTIAL,
                    "oci:/var/lib/pipeline/registry/test_runners/ruby-base:v1", f"docker://{BASE}")


def setUpModule():
    registry.set_up()
    push_base()
    shutil.copy(registry.CREDENTIAL, BASE_AUTH)
    suite.run("chown", "pipeline-builder:", BASE_AUTH)
    registry.worker_settings("ruby-1")
    builds.set_up(f"{builds.SOURCE}REGISTRY=docker://{registry.HOST}/team\nBASE_AUTH={BASE_AUTH}\nBASE_TLS=no\n"
                  f"BASE_HOSTS={registry.HOST}\n", WORKER)


def tearDownModule():
    builds.tear_down()
    registry.tearDownModule()


class Building(builds.Case):
    def solve(self, solution, version):
        """What a client is answered that has this solution tested with this version."""
        where = suite.INPUT / solution
        shutil.copytree(RUNNER / "solutions" / solution, where, dirs_exist_ok=True)
        reply = suite.ask(action="test_solution", id=f"{solution}-1", track_slug="ruby", exercise_slug="two-fer",
                          s3_uri=f"file://{where}/", container_version=version, execution_timeout=10)
        self.assertEqual(code(reply), 200, reply)
        self.assertEqual(reply["context"]["container_version"], version)
        return reply["response"], reply["context"]["digest"]

    def tags(self):
        out = registry.skopeo("list-tags", "--tls-verify=false", "--authfile", registry.CREDENTIAL,
                              f"docker://{registry.HOST}/team/test_runners/ruby")
        return set(json.loads(out)["Tags"])

    def test_two_commits_side_by_side(self):
        repository = builds.Repository("ruby")
        for part in ("bin", "lib"):
            shutil.copytree(RUNNER / part, repository.folder / part)
        for solution in ("pass", "fail", "syntax-error"):
            shutil.copytree(RUNNER / "solutions" / solution, repository.folder / "tests/two-fer" / solution)
        dockerfile = (RUNNER / "Dockerfile").read_text().replace("localhost/test_runners/ruby-base:v1", BASE)
        self.assertIn(BASE, dockerfile)
        commits, digests = [], {}
        for change in ({"Dockerfile": dockerfile}, {"lib/version": "two\n"}):
            commit = repository.commit(change)
            reply = self.build("ruby", "main")
            self.assertEqual(code(reply), 200, reply)
            built = reply["response"]
            self.assertEqual((built["status"], built["version"]), ("built", f"git-{commit}"))
            self.assertLessEqual(set(built["tags"]), self.tags())
            self.assertEqual(set(built["tags"]) & {f"git-{commit}", "main", "latest"}, {f"git-{commit}", "main", "latest"})
            self.deploy("ruby", built["version"])
            suite.run("pipelinectl", "deploy", "--wait", "test_runners", "ruby", built["version"])
            commits.append(commit)
            digests[built["version"]] = built["digest"]
        self.assertEqual(len(set(digests.values())), 2)
        for version in (f"git-{commits[0]}", f"git-{commits[1]}", f"git-{commits[0]}"):
            for solution in ("pass", "fail", "syntax-error"):
                expected = json.loads((RUNNER / "solutions" / solution / "expected_results.json").read_text())
                self.assertEqual(self.solve(solution, version), (expected, digests[version]))
        again = self.build("ruby", commits[0])["response"]
        self.assertEqual((again["status"], again["digest"]), ("ignored", digests[f"git-{commits[0]}"]))
        self.assert_nothing_is_left()

    def test_what_is_not_as_its_fixtures_say_is_not_pushed(self):
        repository = builds.Repository("broken")
        for part in ("bin", "lib"):
            shutil.copytree(RUNNER / part, repository.folder / part)
        shutil.copytree(RUNNER / "solutions/pass", repository.folder / "tests/two-fer/pass")
        repository.commit({"Dockerfile": f"FROM {BASE}\nCOPY bin /opt/test-runner/bin\nRUN echo exit 7 >/opt/test-runner/bin/run.sh\n"})
        reply = self.build("broken", "main")
        self.assertEqual(code(reply), 513, reply)
        self.assertEqual(reply["context"]["error_detail"]["fixture"], "tests/two-fer/pass")
        with self.assertRaises(subprocess.CalledProcessError):
            registry.skopeo("list-tags", "--tls-verify=false", "--authfile", registry.CREDENTIAL,
                            f"docker://{registry.HOST}/team/test_runners/broken")


if __name__ == "__main__":
    unittest.main()
