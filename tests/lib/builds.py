# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of builds share: repositories that git's own daemon serves, a builder, builds as clients ask for them."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

import suite

GIT = pathlib.Path("/srv/git")
PORT = 9418
BUILDER = "pipeline-builder@any-1.service"
CONF = pathlib.Path("/etc/pipeline/builder/any-1.conf")
SOURCE = f"SOURCE=git://127.0.0.1:{PORT}/{{track}}-{{suffix}}\n"
SETTINGS = f"""{SOURCE}BUILD_DISK=200M
BUILD_LOG=200K
BUILD_MEMORY=512M
BUILD_PROCESSES=64
"""
DOCKERFILE = """FROM localhost/test_runners/base:v1
WORKDIR /opt/test-runner
COPY bin bin
RUN chmod 0755 bin/run.sh
"""
RUNNER = """#!/bin/sh
echo "{\\"version\\": 2, \\"status\\": \\"pass\\", \\"message\\": \\"%s\\", \\"tests\\": []}" >"$3/results.json"
"""
ENVIRONMENT = {**os.environ, "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A",
               "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}


class Repository:
    """A repository of a track's test runner, with a branch `main`."""

    def __init__(self, track):
        self.folder = GIT / f"{track}-test-runner"
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words, text_in=None):
        return suite.run("git", "-C", self.folder, *words, env=ENVIRONMENT, input=text_in).strip()

    def tree(self, *entries):
        """A tree of (mode, name, object), whatever git thinks of it; its id."""
        data = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(thing) for mode, name, thing in entries)
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            return self.git("hash-object", "-w", "-t", "tree", "--literally", file.name)

    def import_history(self, n_commits):
        """So many commits of one file, on main."""
        commits = "".join(f"commit refs/heads/main\ncommitter A <a@example.org> {i} +0000\ndata 1\nx\n"
                          f"M 100644 inline file\ndata {len(str(i))}\n{i}\n" for i in range(1, n_commits + 1))
        self.git("fast-import", "--quiet", text_in=commits)
        self.git("reset", "--hard", "--quiet")

    def zeros(self, size):
        """A file of zeros that is in no work tree; its id."""
        with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
            file.truncate(size)
            return self.git("-c", "core.compression=1", "hash-object", "-w", "--no-filters", file.name)

    def commit(self, files, message="change"):
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


def runner(message, dockerfile=DOCKERFILE, **more):
    return {"Dockerfile": dockerfile, "bin/run.sh": RUNNER % message, **more}


def set_up(settings=SETTINGS, worker="pipeline-worker@any-1.service"):
    GIT.mkdir(parents=True, exist_ok=True)
    global daemon, units
    units = (BUILDER, worker)
    daemon = subprocess.Popen(["git", "daemon", "--export-all", "--reuseaddr", f"--port={PORT}", "--listen=127.0.0.1",
                               f"--base-path={GIT}"], stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    CONF.write_text(settings)
    suite.run("pipelinectl", "push", "test_runners", "base", "v1", suite.busybox_image())
    suite.run("systemctl", "start", *units)


def push_with(track, **config):
    """The base image under another name, with these members in its configuration."""
    with tempfile.TemporaryDirectory() as folder:
        suite.run("skopeo", "--insecure-policy", "copy", "oci:/var/lib/pipeline/registry/test_runners/base:v1", f"oci:{folder}:v1")
        blobs = pathlib.Path(folder) / "blobs/sha256"

        def read(descriptor):
            return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_text())

        def write(descriptor, value):
            data = json.dumps(value).encode()
            name = hashlib.sha256(data).hexdigest()
            (blobs / name).write_bytes(data)
            descriptor.update(digest=f"sha256:{name}", size=len(data))

        index = json.loads((blobs.parent.parent / "index.json").read_text())
        manifest = read(index["manifests"][0])
        image = read(manifest["config"])
        image["config"] = {**image.get("config", {}), **config}
        write(manifest["config"], image)
        write(index["manifests"][0], manifest)
        (blobs.parent.parent / "index.json").write_text(json.dumps(index))
        suite.run("pipelinectl", "push", "test_runners", track, "v1", f"oci:{folder}:v1")


def configure(settings):
    """Has the builder begin anew with these settings."""
    CONF.write_text(settings)
    suite.run("systemctl", "restart", BUILDER)


def tear_down():
    suite.run("systemctl", "stop", *units)
    daemon.kill()
    daemon.wait()


def left_of_builds():
    return [*pathlib.Path("/var/lib/pipeline-build/cache").glob("*/work"),
            *pathlib.Path("/var/lib/pipeline-builder/any-1").glob("build-*")]


class Case(suite.Case):
    def build(self, track, reference, **more):
        return suite.ask(action="build_container", track_slug=track, channel="test_runners", git_reference=reference,
                         **more)

    def deploy(self, track, version):
        reply = suite.ask(action="deploy_container_version", channel="test_runners", track_slug=track,
                          new_version=version)
        self.assertEqual(suite.code(reply), 200, reply)
        self.assertIn(version, reply["response"]["container_versions"]["test_runners"][track])

    def message_of(self, track, version):
        reply = suite.ask(**suite.job(track, "two-fer", version=version))
        self.assertEqual(suite.code(reply), 200, reply)
        return reply["response"]["message"]

    def images(self, track):
        return suite.ask(action="list_available_containers", channel="test_runners",
                         track_slug=track)["response"]["list_images"]

    def assert_nothing_is_left(self):
        self.assertEqual(suite.scopes("pipeline-build"), [])
        suite.wait_until(lambda: not left_of_builds(), tell=left_of_builds)
