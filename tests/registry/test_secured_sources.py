# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sources and base images as they are elsewhere: git over https and over ssh, a registry with TLS and passwords, with a
certificate authority of this test's own. What is not who it should be is refused, and said so."""

import base64
import crypt
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import builds  # noqa: E402
import suite  # noqa: E402
from builds import SETTINGS, configure  # noqa: E402
from standin import PASSWORD, USER  # noqa: E402
from suite import code  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="secured-"))
AUTHORITY = pathlib.Path("/usr/local/share/ca-certificates/test.crt")
SETTINGS_FOLDER = pathlib.Path("/etc/pipeline/builder")
GIT_PORT, SSH_PORT, REGISTRY_PORT = 8443, 2222, 5443
REGISTRY = f"127.0.0.1:{REGISTRY_PORT}"
KEY, OTHER_KEY = SETTINGS_FOLDER / "ssh.key", SETTINGS_FOLDER / "other.key"
KNOWN_HOSTS = SETTINGS_FOLDER / "known_hosts"
HTTPS = f"SOURCE=https://localhost.example.org:{GIT_PORT}/git/{{track}}-{{suffix}}\n"
SSH = f"SOURCE=ssh://root@localhost.example.org:{SSH_PORT}{builds.GIT}/{{track}}-{{suffix}}\nSSH_KEY={KEY}\nSSH_KNOWN_HOSTS={KNOWN_HOSTS}\n"
REST = SETTINGS.split("\n", 1)[1]


def make_certificates():
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=FOLDER, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key",
            "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost.example.org", "-keyout", "server.key", "-out",
            "server.csr")
    (FOLDER / "names").write_text("subjectAltName=DNS:localhost.example.org,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.crt")
    (FOLDER / "server.pem").write_text((FOLDER / "server.crt").read_text() + (FOLDER / "server.key").read_text())


def trust(is_trusted):
    if is_trusted:
        shutil.copy(FOLDER / "ca.crt", AUTHORITY)
    else:
        AUTHORITY.unlink()
    suite.run("update-ca-certificates", "--fresh")


def start(name, port, *command):
    suite.run("systemd-run", "--quiet", f"--unit=test-{name}", "--collect", *command)
    suite.wait_for_port(port)


def start_git():
    (FOLDER / "lighttpd.conf").write_text(f"""
server.document-root = "{FOLDER}"
server.bind = "127.0.0.1"
server.port = {GIT_PORT}
server.modules = ("mod_openssl", "mod_alias", "mod_setenv", "mod_cgi")
ssl.engine = "enable"
ssl.pemfile = "{FOLDER}/server.pem"
alias.url = ("/git" => "/usr/lib/git-core/git-http-backend")
cgi.assign = ("" => "")
setenv.add-environment = ("GIT_PROJECT_ROOT" => "{builds.GIT}", "GIT_HTTP_EXPORT_ALL" => "1")
""")
    start("https", GIT_PORT, "lighttpd", "-D", "-f", FOLDER / "lighttpd.conf")


def start_ssh():
    for path in (KEY, OTHER_KEY, FOLDER / "host"):
        path.unlink(missing_ok=True)
        suite.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    suite.run("chown", "pipeline-builder:", KEY, OTHER_KEY)
    (FOLDER / "authorized").write_text(KEY.with_suffix(".key.pub").read_text())
    host_key = (FOLDER / "host.pub").read_text().split()
    KNOWN_HOSTS.write_text(f"[localhost.example.org]:{SSH_PORT} {host_key[0]} {host_key[1]}\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    start("ssh", SSH_PORT, "/usr/sbin/sshd", "-D", "-f", "/dev/null", "-p", str(SSH_PORT), "-h", FOLDER / "host",
          "-o", f"AuthorizedKeysFile={FOLDER}/authorized", "-o", "StrictModes=no", "-o", "PasswordAuthentication=no",
          "-o", "PermitRootLogin=prohibit-password")


def start_registry():
    (FOLDER / "htpasswd").write_text(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
    (FOLDER / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {FOLDER}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{REGISTRY_PORT}', tls: {{certificate: {FOLDER}/server.crt, key: {FOLDER}/server.key}}}}\n"
        f"auth: {{htpasswd: {{realm: test, path: {FOLDER}/htpasswd}}}}\n")
    start("registry-tls", REGISTRY_PORT, "docker-registry", "serve", FOLDER / "config.yml")


def credential(name, password):
    """A file for BASE_AUTH."""
    path = SETTINGS_FOLDER / f"{name}.json"
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {REGISTRY: {"auth": auth}}}))
    path.chmod(0o600)
    suite.run("chown", "pipeline-builder:", path)
    return path


def setUpModule():
    FOLDER.chmod(0o755)
    with open("/etc/hosts", "a") as f:
        f.write("127.0.0.1 localhost.example.org\n")
    make_certificates()
    trust(True)
    builds.set_up()
    start_git()
    start_ssh()
    start_registry()


def tearDownModule():
    subprocess.run(["systemctl", "stop", "test-https", "test-ssh", "test-registry-tls"], check=False)
    builds.tear_down()
    shutil.rmtree(FOLDER)


class Sources(builds.Case):
    def built(self, track, settings):
        commit = builds.Repository(track).commit(builds.runner(track))
        configure(settings + REST)
        reply = self.build(track, "main")
        self.assertEqual((code(reply), reply["response"] and reply["response"]["commit"]), (200, commit), reply)

    def refused(self, track, settings, why):
        builds.Repository(track).commit(builds.runner(track))
        configure(settings + REST)
        reply = self.build(track, "main")
        self.assertEqual(code(reply), 512, reply)
        detail = reply["context"]["error_detail"]
        self.assertEqual(detail["step"], "resolve")
        self.assertRegex(detail["error"], why)

    def test_https(self):
        self.built("https", HTTPS)

    def test_https_with_a_certificate_of_nobody(self):
        trust(False)
        self.addCleanup(trust, True)
        self.refused("untrusted", HTTPS, "certificate")

    def test_https_with_a_certificate_of_another(self):
        self.refused("misnamed", HTTPS.replace("localhost.example.org", "localhost"), "certificate|no alternative")

    def test_ssh(self):
        self.built("ssh", SSH)

    def test_ssh_to_a_host_that_is_not_known(self):
        self.refused("unknown", SSH.replace(f"SSH_KNOWN_HOSTS={KNOWN_HOSTS}\n", ""), "[Hh]ost key")

    def test_ssh_with_a_key_that_opens_nothing(self):
        self.refused("locked", SSH.replace(str(KEY), str(OTHER_KEY)), "Permission denied")


class Bases(builds.Case):
    BASE = f"{REGISTRY}/base/busybox:1"

    @classmethod
    def setUpClass(cls):
        cls.good, cls.bad = credential("good", PASSWORD), credential("bad", "another")
        suite.run("skopeo", "--insecure-policy", "copy", "--authfile", cls.good,
                  "oci:/var/lib/pipeline/registry/test_runners/base:v1", f"docker://{cls.BASE}")
        cls.dockerfile = builds.DOCKERFILE.replace("localhost/test_runners/base:v1", cls.BASE)

    def build_with(self, track, settings):
        builds.Repository(track).commit(builds.runner(track, self.dockerfile))
        configure(f"{SETTINGS}BASE_HOSTS={REGISTRY}\n{settings}")
        return self.build(track, "main")

    def test_a_password_over_tls(self):
        reply = self.build_with("based", f"BASE_AUTH={self.good}\n")
        self.assertEqual(code(reply), 200, reply)

    def test_what_opens_nothing(self):
        for track, settings in (("wrong", f"BASE_AUTH={self.bad}\n"), ("none", "")):
            with self.subTest(track):
                reply = self.build_with(track, settings)
                self.assertEqual(code(reply), 512, reply)
                detail = reply["context"]["error_detail"]
                self.assertEqual(detail["step"], "base")
                self.assertRegex(detail["error"], "(?i)password")
                self.assertNotIn(PASSWORD, json.dumps(reply))

    def test_a_registry_that_nobody_vouches_for(self):
        trust(False)
        self.addCleanup(trust, True)
        reply = self.build_with("forged", f"BASE_AUTH={self.good}\n")
        self.assertEqual(code(reply), 512, reply)
        self.assertIn("certificate", reply["context"]["error_detail"]["error"])

    def test_a_registry_on_this_machine_that_the_settings_do_not_name(self):
        builds.Repository("inside").commit(builds.runner("inside", self.dockerfile))
        configure(f"{SETTINGS}BASE_AUTH={self.good}\n")
        reply = self.build("inside", "main")
        self.assertEqual(code(reply), 512, reply)
        self.assertIn("BASE_HOSTS=", reply["context"]["error_detail"]["error"])


if __name__ == "__main__":
    unittest.main()
