# SPDX-License-Identifier: LGPL-2.1-or-later
"""Amazon's container registry. The registry is a real one, whose only user is AWS; of ECR itself there are here the two
calls that it is asked beside: their signatures are checked by botocore's own signer."""

import base64
import crypt
import datetime
import hmac
import json
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import unittest

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import servers
import standins

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite  # noqa: E402

ACCOUNT, REGION = "123456789012", "us-east-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ADDRESS = "10.77.77.77"       # of this machine, but none of its loopback: a registry is not asked there
REPOSITORY = "team/test_runners/ecrtrack"
AUTHORITY = "/etc/pipeline/ecr-test.crt"
PROGRAM = "/usr/lib/pipeline/pipeline-registry"
KEY, SECRET, TOKEN = "ASIAEXAMPLEKEY", secrets.token_urlsafe(30), secrets.token_urlsafe(300)
MUST_BE_SIGNED = {"content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"}


class Ecr(standins.Standin):
    """GetAuthorizationToken, ListImages (two images a page), and what makes repositories."""

    def __init__(self, password):
        self.password, self.images, self.faults, self.wrong = password, [], [], []
        self.repositories = {REPOSITORY}
        super().__init__()

    def is_signed(self, headers, body):
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+?)/(\d+)/(\S+)/ecr/aws4_request, ?"
                             r"SignedHeaders=(\S+), ?Signature=(\w+)", headers.get("Authorization", ""))
        if not match or match[1] != KEY or match[3] != REGION or headers.get("X-Amz-Security-Token") != TOKEN:
            return False
        signed = set(match[4].split(";"))
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(KEY, SECRET, TOKEN), "ecr", REGION)
        request = botocore.awsrequest.AWSRequest("POST", self.endpoint + "/", {n: headers[n] for n in signed}, body)
        request.context["timestamp"] = headers["X-Amz-Date"]
        wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return MUST_BE_SIGNED <= signed and hmac.compare_digest(wanted, match[5])

    def answer(self, method, path, headers, body):
        if self.faults:
            code, name = self.faults.pop(0)
            return code, json.dumps({"__type": f"com.amazonaws.ecr#{name}", "message": SECRET})
        if (method, path) != ("POST", "/") or not self.is_signed(headers, body):
            self.wrong.append(headers.get("Authorization"))
            return 400, json.dumps({"__type": "InvalidSignatureException"})
        target = headers["X-Amz-Target"].removeprefix("AmazonEC2ContainerRegistry_V20150921.")
        self.seen.append(target)
        return getattr(self, target)(json.loads(body))

    def GetAuthorizationToken(self, _):  # pylint: disable=invalid-name
        token = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        until = datetime.datetime.now().timestamp() + 12 * 3600
        return 200, json.dumps({"authorizationData": [{"authorizationToken": token, "expiresAt": until,
                                                       "proxyEndpoint": f"https://{HOST}"}]})

    def DescribeRepositories(self, asked):  # pylint: disable=invalid-name
        if asked["registryId"] != ACCOUNT or not set(asked["repositoryNames"]) <= self.repositories:
            return 400, json.dumps({"__type": "RepositoryNotFoundException", "message": "no"})
        return 200, json.dumps({"repositories": [{"repositoryName": name} for name in asked["repositoryNames"]]})

    def CreateRepository(self, asked):  # pylint: disable=invalid-name
        if asked["registryId"] != ACCOUNT or asked["repositoryName"] in self.repositories:
            return 400, json.dumps({"__type": "RepositoryAlreadyExistsException", "message": "no"})
        self.repositories.add(asked["repositoryName"])
        return 200, json.dumps({"repository": {"repositoryName": asked["repositoryName"]}})

    def ListImages(self, asked):  # pylint: disable=invalid-name
        if (asked["registryId"], asked["repositoryName"]) != (ACCOUNT, REPOSITORY):
            return 400, json.dumps({"__type": "RepositoryNotFoundException", "message": "no"})
        begin = int(asked.get("nextToken", "0"))
        page = {"imageIds": [{"imageDigest": d, "imageTag": t} for t, d in self.images[begin:begin + 2]]}
        if begin + 2 < len(self.images):
            page["nextToken"] = str(begin + 2)
        return 200, json.dumps(page)


def setUpModule():
    """A real registry at Amazon's name, whose only user is AWS."""
    global ECR, FOLDER
    FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="ecr-"))
    FOLDER.chmod(0o755)
    ECR = Ecr(secrets.token_urlsafe(1200))
    certificate = servers.make_certificate(FOLDER, HOST)
    pathlib.Path(AUTHORITY).write_text(certificate.read_text())
    (FOLDER / "certs").mkdir()
    (FOLDER / "certs/ca.crt").symlink_to(certificate)
    # bcrypt takes 72 bytes: the rest of a longer password is for nobody to compare.
    hashed = crypt.crypt(ECR.password[:72], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))
    (FOLDER / "htpasswd").write_text(f"AWS:{hashed}\n")
    (FOLDER / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {FOLDER}/data}}}}\n"
        f"http: {{addr: '{ADDRESS}:443', tls: {{certificate: {certificate}, key: {certificate.with_suffix('.key')}}}}}\n"
        f"auth: {{htpasswd: {{realm: ecr, path: {FOLDER}/htpasswd}}}}\n")
    with open("/etc/hosts", "a") as hosts:
        hosts.write(f"{ADDRESS} {HOST}\n")
    suite.run("ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo")
    servers.spawn(FOLDER / "out", "docker-registry", "serve", FOLDER / "config.yml")
    source = FOLDER / "program.c"
    source.write_text('#include <stdio.h>\nint main(int argc, char **argv)\n{\n        char path[512];\n'
                      '        FILE *out;\n        snprintf(path, sizeof(path), "%sresults.json", argv[3]);\n'
                      '        out = fopen(path, "w");\n        fputs("{\\"status\\": \\"pass\\"}", out);\n'
                      '        return fclose(out) != 0;\n}\n')
    suite.run("pipelinectl", "push", "test_runners", "ecrtrack", "v1", suite.image_of_program(source))
    servers.wait_for(lambda: copy("v1"))
    for tag in ("v2", "v3"):
        copy(tag)


def copy(tag):
    """Into the registry, with skopeo, as people do."""
    digest_file = FOLDER / "digest"
    suite.run("skopeo", "--insecure-policy", "copy", "--digestfile", digest_file, "--dest-cert-dir", FOLDER / "certs",
              f"--dest-creds=AWS:{ECR.password}", "oci:/var/lib/pipeline/registry/test_runners/ecrtrack:v1",
              f"docker://{HOST}/{REPOSITORY}:{tag}")
    ECR.images.append((tag, digest_file.read_text()))


def tearDownModule():
    ECR.close()
    suite.run("systemctl", "stop", "pipeline-worker@ecrtrack-1.service")


def environment(**more):
    return {"REGISTRY": f"docker://{HOST}/team", "REGISTRY_CA": AUTHORITY, "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN, "AWS_ENDPOINT_URL_ECR": ECR.endpoint, **more}


class Questions(unittest.TestCase):
    def setUp(self):
        ECR.seen, ECR.wrong, ECR.faults = [], [], []

    def ask(self, verb, *arguments, track="ecrtrack", **more):
        done = subprocess.run([PROGRAM, verb, "test_runners", track, *arguments], env=environment(**more), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        for secret in (SECRET, TOKEN, ECR.password):
            self.assertNotIn(secret, done.stdout)
        return json.loads(done.stdout.splitlines()[-1])

    def test_a_version_is_resolved_with_a_password_from_ecr(self):
        self.assertEqual(self.ask("resolve", "v1")["digest"], ECR.images[0][1])
        self.assertEqual((ECR.wrong, ECR.seen.count("GetAuthorizationToken")), ([], 1))

    def test_a_version_that_is_not_there(self):
        self.assertEqual(self.ask("resolve", "v9")["code"], 400)

    def test_images_are_listed_by_ecr_s_own_call(self):
        images = {}
        for tag, digest in ECR.images:
            images.setdefault(digest, []).append(tag)
        self.assertEqual(self.ask("list")["images"], images)
        self.assertEqual(ECR.seen.count("ListImages"), 2)

    def test_a_repository_that_is_not_there(self):
        self.assertEqual(self.ask("list", track="nothing")["code"], 400)

    def push(self, track, *faults):
        layout = "/var/lib/pipeline/registry/test_runners/ecrtrack"
        ECR.seen, ECR.faults = [], list(faults)
        return self.ask("push", layout, ECR.images[0][1], "pushed", track=track)

    def test_a_repository_is_made_where_there_is_none(self):
        for calls in (["DescribeRepositories", "CreateRepository"], ["DescribeRepositories"]):
            self.assertEqual(self.push("made")["digest"], ECR.images[0][1])
            self.assertEqual([name for name in ECR.seen if "Repositor" in name], calls)
        self.assertIn("team/test_runners/made", ECR.repositories)
        self.assertEqual(self.ask("resolve", "pushed", track="made")["digest"], ECR.images[0][1])

    def test_one_that_another_makes_at_the_same_time(self):
        self.assertIn("digest", self.push("raced", (400, "RepositoryNotFoundException"),
                                          (400, "RepositoryAlreadyExistsException")))

    def test_who_may_not_make_one_is_told(self):
        answer = self.push("denied", (400, "RepositoryNotFoundException"), (400, "AccessDeniedException"))
        self.assertEqual((answer["code"], answer["error"]), (503, "ECR answers 400 AccessDeniedException"))

    def test_who_may_not_look_may_push(self):
        self.assertIn("digest", self.push("ecrtrack", (400, "AccessDeniedException")))

    def test_a_wrong_secret(self):
        for name, value in (("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_SESSION_TOKEN", "wrong"), ("AWS_ACCESS_KEY_ID", "wrong")):
            with self.subTest(name=name):
                answer = self.ask("resolve", "v1", **{name: value})
                self.assertEqual((answer["code"], answer["error"]), (503, "ECR answers 400 InvalidSignatureException"))

    def test_what_passes_is_asked_again(self):
        ECR.faults = [(400, "ThrottlingException"), (500, "ServerException")]
        self.assertEqual(self.ask("resolve", "v1")["digest"], ECR.images[0][1])

    def test_what_lasts_is_said(self):
        ECR.faults = [(400, "ExpiredTokenException")]
        self.assertEqual(self.ask("list")["error"], "ECR answers 400 ExpiredTokenException")
        ECR.faults = [(500, "ServerException")] * 4
        self.assertEqual(self.ask("list")["error"], "ECR answers 500 ServerException")

    def test_nobody_there(self):
        self.assertIn("ECR: it cannot be reached", self.ask("list", AWS_ENDPOINT_URL_ECR="http://127.0.0.1:1/")["error"])

    def test_no_credentials(self):
        answer = self.ask("list", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true")
        self.assertEqual(answer["error"], "there are no credentials for ECR: none are configured")


class EndToEnd(unittest.TestCase):
    def test_an_image_from_ecr_runs(self):
        conf = pathlib.Path("/etc/pipeline/worker/ecrtrack-1.conf")
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text("".join(f"{name}={value}\n" for name, value in environment().items()))
        conf.chmod(0o600)
        suite.run("systemctl", "start", "pipeline-worker@ecrtrack-1.service")
        deployed = suite.ctl("deploy", "--wait", "test_runners", "ecrtrack", "v2")
        self.assertEqual(deployed.returncode, 0, deployed.stderr)
        reply = suite.ask(**suite.job("ecrtrack", "two-fer", version="v2"))
        self.assertEqual(reply["response"], {"status": "pass"}, reply)
        self.assertEqual(reply["context"]["digest"], ECR.images[1][1])
        journal = suite.journal("--output=export", errors="replace")
        for secret in (SECRET, TOKEN, ECR.password):
            self.assertNotIn(secret, journal)
