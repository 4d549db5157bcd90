# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real registry with passwords, and everything installed: push, deploy, run, and what may go wrong on the way."""

import crypt
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import standin  # noqa: E402
import suite  # noqa: E402
from standin import BASIC, MANIFEST, OCI, PASSWORD, USER, Image, gzipped, layer  # noqa: E402

HOST = "127.0.0.1:5001"
CREDENTIAL = pathlib.Path("/etc/credstore/pipeline.registry")
FETCHED = pathlib.Path("/var/cache/pipeline-worker/images")
STORE = pathlib.Path("/var/lib/pipeline-sandbox/images")
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="registry-"))
TRACK = "tiny"
UNIT = f"pipeline-worker@{TRACK}-1.service"


def set_up():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "htpasswd").write_text(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
    (FOLDER / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {FOLDER}/data}}}}\n"
        f"http: {{addr: {HOST}}}\nauth: {{htpasswd: {{realm: test, path: {FOLDER}/htpasswd}}}}\n")
    registry_start()
    login(PASSWORD)


def setUpModule():
    set_up()
    suite.set_limits(late_success=True)


def tearDownModule():
    subprocess.run(["systemctl", "stop", "test-registry.service", "pipeline-worker@*"], check=False)
    shutil.rmtree(FOLDER)


def registry_start():
    suite.run("systemd-run", "--quiet", "--unit=test-registry", "--collect", "docker-registry", "serve",
              FOLDER / "config.yml")
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{HOST}/v2/")
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the registry does not answer")


def registry_stop():
    suite.run("systemctl", "stop", "test-registry.service")


def login(password, *hosts):
    CREDENTIAL.parent.mkdir(mode=0o700, exist_ok=True)
    CREDENTIAL.write_text(standin.auth_file(password, HOST, *hosts))
    CREDENTIAL.chmod(0o600)


def plain(data):
    return data, data, f"{OCI}.layer.v1.tar"


def program(text, pack=gzipped):
    """Two layers and a whiteout: the upper one takes a file of the lower one away. The result says so."""
    script = ("#!/bin/busybox sh\n[ -e /opt/test-runner/old ] && old=true || old=false\n"
              f"echo \"{{\\\"status\\\":\\\"pass\\\",\\\"text\\\":\\\"{text}\\\",\\\"old\\\":$old}}\" >$3/results.json\n")
    lower = {"bin/busybox": pathlib.Path("/bin/busybox").read_bytes(), "opt/test-runner/old": "x",
             "opt/test-runner/bin/run.sh": "#!/bin/busybox sh\nexit 1\n"}
    upper = {"opt/test-runner/.wh.old": "", "opt/test-runner/bin/run.sh": script}
    return Image(pack(layer(lower)), pack(layer(upper)), config={"WorkingDir": "/opt/test-runner"})


def skopeo(*command):
    return suite.run("skopeo", "--insecure-policy", *command)


def push(image, tag, *options, track=TRACK):
    """With skopeo, as people do; returns the digest that the registry has."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER)) / "layout"
    image.write_layout(folder, tag)
    where = f"docker://{HOST}/team/test_runners/{track}:{tag}"
    skopeo("copy", "--dest-tls-verify=false", "--authfile", CREDENTIAL, *options, f"oci:{folder}:{tag}", where)
    return skopeo("inspect", "--tls-verify=false", "--authfile", CREDENTIAL, "--format", "{{.Digest}}", where).strip()


def worker_settings(name=f"{TRACK}-1", host=HOST, **more):
    conf = pathlib.Path(f"/etc/pipeline/worker/{name}.conf")
    conf.parent.mkdir(parents=True, exist_ok=True)
    settings = {"REGISTRY": f"docker://{host}/team", **more}
    conf.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def deploy(tag, *options, track=TRACK, check=True):
    return subprocess.run(["pipelinectl", "deploy", *options, "test_runners", track, tag], check=check, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)


def is_held(tag, track=TRACK):
    reply = suite.ask(action="deployment_check", channel="test_runners", track_slug=track)
    return reply["response"]["status"].get(tag, False)


def wait_held(tag, track=TRACK):
    suite.wait_until(lambda: is_held(tag, track), 30)


def run_job(tag, track=TRACK):
    return suite.ask(**suite.job(track, "two-fer", tag))


def half_made(digest):
    """What is left of how this image came. (Of one that did not come whole a part is kept, to go on with.)"""
    return [str(p) for p in (*(STORE.glob("incoming/*")), *FETCHED.glob(f"{digest[7:]}*")) if not p.name.endswith(".lock")]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        worker_settings()
        suite.run("systemctl", "restart", UNIT)

    def assert_job(self, tag, text, digest, track=TRACK):
        reply = run_job(tag, track)
        self.assertEqual(suite.code(reply), 200, reply)
        self.assertEqual(reply["response"], {"status": "pass", "text": text, "old": False})
        self.assertEqual(reply["context"]["digest"], digest)

    def no_secret_anywhere(self):
        journal = suite.journal("--output=json", "--unit=pipeline-*")
        for secret in (PASSWORD, BASIC[6:]):
            self.assertNotIn(secret, journal)


class Works(Case):
    def test_pushed_deployed_run(self):
        digest = push(program("one"), "v1")
        deploy("v1", "--wait")
        self.assert_job("v1", "one", digest)
        self.assertEqual(half_made(digest), [])

    def test_zstd(self):
        digest = push(program("zstd", plain), "zstd", "--dest-compress-format", "zstd")
        self.assertIn("tar+zstd", skopeo("inspect", "--raw", "--tls-verify=false", "--authfile", CREDENTIAL,
                                         f"docker://{HOST}/team/test_runners/{TRACK}:zstd"))
        deploy("zstd", "--wait")
        self.assert_job("zstd", "zstd", digest)

    def test_dockers_own_manifest_keeps_its_digest(self):
        digest = push(program("docker"), "docker", "--format", "v2s2")
        deploy("docker", "--wait")
        self.assert_job("docker", "docker", digest)

    def test_a_late_result_counts_where_the_channel_says_so(self):
        for tag, result, expected in (("late", "{\\\"status\\\":\\\"pass\\\"}", 200), ("later", "{\\\"status", 401)):
            script = f"#!/bin/busybox sh\necho \"{result}\" >$3/results.json\nexec /bin/busybox sleep 60\n"
            push(Image(gzipped(layer({"bin/busybox": pathlib.Path("/bin/busybox").read_bytes(),
                                      "opt/test-runner/bin/run.sh": script}))), tag)
            deploy(tag, "--wait")
            reply = suite.ask(**suite.job(TRACK, "two-fer", tag, execution_timeout=1))
            self.assertEqual(suite.code(reply), expected, reply)
            self.assertIs(reply["context"]["late_success"], expected == 200)

    def test_what_there_is_is_listed(self):
        digest = push(program("listed"), "l1")
        push(program("listed"), "l2")
        reply = suite.ask(action="list_available_containers", channel="test_runners", track_slug=TRACK)
        self.assertEqual(sorted(reply["response"]["list_images"][digest]), ["l1", "l2"])

    def test_no_secret_is_in_a_journal_or_an_argument(self):
        self.no_secret_anywhere()
        shown = suite.run("systemctl", "show", UNIT)
        self.assertNotIn(PASSWORD, shown)
        arguments = suite.run("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
        self.assertNotIn(BASIC[6:], arguments)


class Fails(Case):
    def test_an_unknown_version_changes_nothing(self):
        said = deploy("nothing", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn(f"has no team/test_runners/{TRACK}:nothing", said.stdout)
        self.assertNotIn("nothing", suite.run("pipelinectl", "versions", "--json"))

    def test_what_is_no_image_is_refused_at_once(self):
        artefact = Image(gzipped(layer({"a": "b"})), artifactType="application/vnd.example")
        text = artefact.text
        folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER)) / "layout"
        artefact.write_layout(folder)
        upload(text, "artefact", artefact)
        said = deploy("artefact", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("artefact", said.stdout)

    def test_a_wrong_password_is_said_and_the_right_one_counts_at_once(self):
        push(program("password"), "pw")
        self.addCleanup(login, PASSWORD)
        login("wrong")
        suite.run("systemctl", "restart", UNIT)
        said = deploy("pw", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("does not take the password", said.stdout)
        self.no_secret_anywhere()
        login(PASSWORD)
        suite.run("systemctl", "restart", UNIT)
        deploy("pw", "--wait")

    def test_a_tag_that_is_moved_changes_nothing(self):
        digest = push(program("before"), "moved")
        deploy("moved", "--wait")
        other = push(program("after"), "moved")
        self.assertNotEqual(digest, other)
        suite.run("systemctl", "restart", UNIT)
        self.assert_job("moved", "before", digest)
        deploy("moved", "--wait")
        self.assert_job("moved", "after", other)

    def test_a_registry_that_is_down_stops_no_job(self):
        digest = push(program("down"), "down")
        deploy("down", "--wait")
        registry_stop()
        try:
            suite.run("systemctl", "restart", UNIT)
            self.assert_job("down", "down", digest)
            said = deploy("later", check=False)
            self.assertNotEqual(said.returncode, 0)
            self.assertIn("cannot be reached", said.stdout)
        finally:
            registry_start()

    def test_one_bad_version_stops_no_other_and_comes_when_it_is_mended(self):
        image = program("mended")
        digest = push(image, "mended", "--preserve-digests")
        blob = FOLDER / "data/docker/registry/v2/blobs/sha256" / image.layers[1]["digest"][7:9] / \
            image.layers[1]["digest"][7:] / "data"
        good = blob.read_bytes()
        blob.write_bytes(b"x" * len(good))
        said = deploy("mended", "--wait", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("something else than blob", said.stdout)
        suite.wait_until(lambda: f"failed: {TRACK} mended" in suite.status_of(UNIT), 30)
        other = push(program("other"), "other")
        deploy("other", "--wait")
        self.assert_job("other", "other", other)
        blob.write_bytes(good)
        wait_held("mended")
        self.assert_job("mended", "mended", digest)
        self.assertEqual(half_made(digest), [])


def upload(text, tag, image):
    """Past skopeo, which would mend it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER)) / "layout"
    good = Image(gzipped(layer({"a": "b"})))
    good.blobs = image.blobs
    good.config, good.layers = image.config, image.layers
    good.manifest = {k: v for k, v in image.manifest.items() if k != "artifactType"}
    good.write_layout(folder, tag)
    skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", "--authfile", CREDENTIAL, f"oci:{folder}:{tag}",
           f"docker://{HOST}/team/test_runners/{TRACK}:{tag}")
    request = urllib.request.Request(f"http://{HOST}/v2/team/test_runners/{TRACK}/manifests/{tag}", data=text,
                                     method="PUT", headers={"Content-Type": MANIFEST, "Authorization": BASIC})
    urllib.request.urlopen(request)


class Crashes(Case):
    """A gate before the registry makes it slow."""

    def setUp(self):
        self.gate = standin.Gate(5001)
        self.addCleanup(self.gate.close)
        login(PASSWORD, self.gate.host)
        self.addCleanup(login, PASSWORD)

    def slow_worker(self, name=f"{TRACK}-1"):
        worker_settings(name, self.gate.host, TOPICS=TRACK)
        self.addCleanup(worker_settings, name)
        suite.run("systemctl", "restart", f"pipeline-worker@{name}.service")

    def large(self, text):
        script = ("#!/bin/busybox sh\n"
                  f"echo '{{\"status\":\"pass\",\"text\":\"{text}\",\"old\":false}}' >$3/results.json\n")
        return Image(gzipped(layer({"bin/busybox": pathlib.Path("/bin/busybox").read_bytes(), "big": os.urandom(4 << 20)})),
                     gzipped(layer({"opt/test-runner/bin/run.sh": script})), config={"WorkingDir": "/opt/test-runner"})

    def test_progress_is_shown(self):
        push(self.large("progress"), "progress")
        self.slow_worker()
        self.gate.speed = 2 << 20
        said = deploy("progress", "--wait").stdout
        self.assertRegex(said, r"fetching [1-9]0 %")
        self.assertIn("held", said)

    def test_a_worker_killed_in_mid_fetch(self):
        digest = push(self.large("killed"), "killed")
        self.slow_worker()
        self.gate.speed = 1 << 20
        deploy("killed")
        part = FETCHED / f"{digest[7:]}.partial"
        suite.wait_until(lambda: any(p.stat().st_size > 1 << 19 for p in part.glob("blobs/sha256/*.part")), 30)
        os.kill(suite.main_pid(UNIT), signal.SIGKILL)
        self.assertFalse((FETCHED / digest[7:]).exists())
        suite.wait_until(lambda: not suite.run("sh", "-c", "pgrep pipeline-regist || true").strip() or
                         suite.main_pid(UNIT) > 0)
        self.gate.speed = None
        wait_held("killed")
        self.assert_job("killed", "killed", digest)
        self.assertEqual(half_made(digest), [])

    def test_sandboxd_killed_in_mid_unpack(self):
        digest = push(self.large("unpack"), "unpack")
        suite.run("systemctl", "restart", UNIT)
        deploy("unpack")
        suite.wait_until(lambda: list(STORE.glob("incoming/*")) or is_held("unpack"), 30)
        os.kill(suite.main_pid("pipeline-sandbox.service"), signal.SIGKILL)
        wait_held("unpack")
        self.assert_job("unpack", "unpack", digest)
        suite.wait_until(lambda: half_made(digest) == [], 30)

    def test_two_workers_fetch_it_once(self):
        image = self.large("twice")
        digest = push(image, "twice", "--preserve-digests")
        self.slow_worker()
        self.slow_worker(f"{TRACK}-2")
        self.addCleanup(suite.run, "systemctl", "stop", f"pipeline-worker@{TRACK}-2.service")
        self.gate.speed = 4 << 20
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        deploy("twice", "--wait")
        asked = suite.journal("--unit=test-registry", f"--since={since}")
        self.assertEqual(asked.count(f"GET /v2/team/test_runners/{TRACK}/blobs/{image.layers[0]['digest']} HTTP/1.1\" 200"),
                         1, asked[-2000:])
        self.assert_job("twice", "twice", digest)

    def test_a_registry_that_stalls_is_given_up_and_tried_again(self):
        digest = push(self.large("stall"), "stall")
        worker_settings(host=self.gate.host, REGISTRY_STALL_TIME="2")
        self.addCleanup(worker_settings)
        suite.run("systemctl", "restart", UNIT)
        deploy("stall")
        self.gate.speed = 0
        suite.wait_until(lambda: "nothing came from the registry" in suite.status_of(UNIT), 30)
        self.gate.speed = None
        wait_held("stall")
        self.assert_job("stall", "stall", digest)


class Encrypted(Case):
    def test_tls_is_checked(self):
        suite.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                  "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", FOLDER / "key.pem", "-out",
                  "/etc/pipeline/test-ca.pem")
        config = (FOLDER / "config.yml").read_text().replace(
            f"addr: {HOST}", f"addr: 127.0.0.1:5002, tls: {{certificate: /etc/pipeline/test-ca.pem, key: {FOLDER}/key.pem}}")
        (FOLDER / "tls.yml").write_text(config)
        digest = push(program("tls"), "tls")
        suite.run("systemd-run", "--quiet", "--unit=test-registry-tls", "--collect", "docker-registry", "serve",
                  FOLDER / "tls.yml")
        self.addCleanup(suite.run, "systemctl", "stop", "test-registry-tls")
        login(PASSWORD, "localhost:5002")
        self.addCleanup(login, PASSWORD)
        self.addCleanup(worker_settings)
        worker_settings(host="localhost:5002", REGISTRY_TLS="yes")
        suite.run("systemctl", "restart", UNIT)
        said = deploy("tls", check=False)
        self.assertIn("certificate", said.stdout)
        worker_settings(host="localhost:5002", REGISTRY_TLS="yes", REGISTRY_CA="/etc/pipeline/test-ca.pem")
        suite.run("systemctl", "restart", UNIT)
        deploy("tls", "--wait")
        self.assert_job("tls", "tls", digest)


if __name__ == "__main__":
    unittest.main()
