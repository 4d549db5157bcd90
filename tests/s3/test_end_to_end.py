# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a client to a container and back with an input in S3, by the installed packages; the ways to S3 that need a host's
own set-up: certificates, buckets in hosts' names, the version of libcurl."""

import pathlib
import re
import sys
import unittest

import harness
import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite  # noqa: E402

TRACK = "s3main"
WORKER = f"pipeline-worker@{TRACK}-1.service"
CREDENTIALS = pathlib.Path("/etc/pipeline/aws")
DROP_IN = pathlib.Path(f"/etc/systemd/system/{WORKER}.d/aws.conf")
PROGRAM = """
#include <dirent.h>
#include <stdio.h>
#include <string.h>
/* SLUG IN/ OUT/: says what is in IN/code */
int main(int argc, char **argv)
{
        char path[512], text[256] = "";
        FILE *in, *out;
        snprintf(path, sizeof(path), "%slib/code", argv[2]);
        in = fopen(path, "r");
        if (!in || !fgets(text, sizeof(text), in))
                return 1;
        snprintf(path, sizeof(path), "%sresults.json", argv[3]);
        out = fopen(path, "w");
        fprintf(out, "{\\"version\\": 2, \\"status\\": \\"pass\\", \\"message\\": \\"%s\\"}", text);
        return fclose(out) != 0;
}
"""


def setUpModule():
    server = servers.radosgw()
    keys = server.session()
    CREDENTIALS.mkdir(mode=0o700)
    for name, text in (("access-key-id", keys["AccessKeyId"]), ("secret-access-key", keys["SecretAccessKey"]),
                       ("session-token", keys["SessionToken"])):
        (CREDENTIALS / name).write_text(text + "\n")
        (CREDENTIALS / name).chmod(0o600)
    DROP_IN.parent.mkdir()
    DROP_IN.write_text("[Service]\n" + "".join(f"LoadCredential=aws-{path.name}:{path}\n" for path in CREDENTIALS.iterdir()))
    suite.run("systemctl", "daemon-reload")
    source = pathlib.Path("/tmp/s3-program.c")
    source.write_text(PROGRAM)
    suite.install(TRACK, suite.image_of_program(source),
                  settings=f"S3_ENDPOINT={server.endpoint}\nS3_ALLOW=endtoend\n")


def tearDownModule():
    suite.run("systemctl", "stop", WORKER)


class EndToEnd(unittest.TestCase):
    def ask(self, uri, action="test_solution"):
        return suite.ask(suite.TCP, **suite.job(TRACK, "two-fer", uri=uri, action=action))

    def test_a_solution_in_s3(self):
        uri = servers.radosgw().put("endtoend", "submissions/96/", {"lib/code": b"it came from S3", "other": b"x" * 100_000})
        reply = self.ask(uri)
        self.assertEqual(suite.code(reply), 200, reply)
        self.assertEqual(reply["response"]["message"], "it came from S3")

    def test_a_solution_that_is_not_there(self):
        reply = self.ask("s3://endtoend/nothing/")
        self.assertEqual(suite.code(reply), 512)
        self.assertEqual(reply["context"]["error_detail"]["error"], "the input has no files")

    def test_a_bucket_that_is_not_allowed(self):
        reply = self.ask("s3://elsewhere/x/")
        self.assertEqual((suite.code(reply), reply["context"]["error_detail"]["error"]),
                         (512, "this worker may not read inputs there"))

    def test_no_secret_is_in_the_journal_or_the_process_list(self):
        self.test_a_solution_in_s3()
        journal = suite.journal("--output=export", f"--unit={WORKER}", errors="replace")
        pid = suite.main_pid(WORKER)
        seen = [journal, pathlib.Path(f"/proc/{pid}/cmdline").read_text(), pathlib.Path(f"/proc/{pid}/environ").read_text()]
        for path in CREDENTIALS.iterdir():
            for text in seen:
                self.assertNotIn(path.read_text().strip(), text)

    def test_the_unit_is_as_closed_as_ever(self):
        said = suite.run("systemd-analyze", "security", "--no-pager", "--threshold=100", WORKER)
        exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])
        self.assertLessEqual(exposure, 1.5)


class Hosts(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = servers.radosgw()
        self.uri = self.server.put("buckets-name", "x/", {"a b+c": b"1"})

        hosts = pathlib.Path("/etc/hosts")
        before = hosts.read_text()
        self.addCleanup(hosts.write_text, before)
        hosts.write_text(before + f"127.0.0.1 {servers.DOMAIN} buckets-name.{servers.DOMAIN}\n")

    def test_a_bucket_in_the_host_s_name(self):
        self.environment = self.server.environment(S3_ENDPOINT=f"http://{servers.DOMAIN}:{self.server.port}")
        for style in ("virtual", "path"):
            with self.subTest(style=style):
                self.worker_with(**self.environment, S3_ADDRESSING=style)
                self.assertEqual(self.fetched(self.uri), {"a b+c": b"1"})
                self.worker.kill()
                self.worker.wait()

    def test_certificates_are_checked(self):
        self.environment = self.server.environment(S3_ENDPOINT=f"https://{servers.DOMAIN}:{servers.TLS_PORT}")
        self.refused(self.uri, "S3: its certificate is not trusted$")
        authority = pathlib.Path("/usr/local/share/ca-certificates/s3-test.crt")
        authority.write_text(self.server.certificate.read_text())
        suite.run("update-ca-certificates")
        self.addCleanup(suite.run, "update-ca-certificates", "--fresh")
        self.addCleanup(authority.unlink)
        self.worker.kill()
        self.worker_with(**self.environment)
        self.assertEqual(self.fetched(self.uri), {"a b+c": b"1"})
        self.environment["S3_ENDPOINT"] = f"https://127.0.0.1:{servers.TLS_PORT}"
        self.worker.kill()
        self.worker_with(**self.environment)
        self.refused(self.uri, "S3: its certificate is not trusted$")


VERSION = """
#define _GNU_SOURCE
#include <dlfcn.h>
typedef int CURLversion;
/* The part of it that is here is as it has ever been. */
typedef struct {
        CURLversion age;
        const char *version;
        unsigned int version_num;
        char rest[128];
} curl_version_info_data;
/* This libcurl, but for the number that it says. */
curl_version_info_data *curl_version_info(CURLversion age)
{
        curl_version_info_data *(*real)(CURLversion) = dlsym(RTLD_NEXT, "curl_version_info");
        static curl_version_info_data data;
        data = *real(age);
        data.version_num = NUMBER;
        return &data;
}
"""


class Libcurl(harness.Case):
    """A libcurl that signs wrongly is refused where S3 is to be used, and only there."""

    def library(self, number):
        library = pathlib.Path(self.folder, f"version-{number}.so")
        source = library.with_suffix(".c")
        source.write_text(VERSION)
        servers.run("gcc", "-shared", "-fPIC", f"-DNUMBER={number}", "-o", library, source, "-ldl")
        return str(library)

    def test_at_the_start(self):
        for number in ("0x080e01", "0x081203", "0x075600"):
            with self.subTest(number=number):
                worker = self.start(LD_PRELOAD=self.library(number), S3_REGION="us-east-1")
                self.assertEqual(worker.wait(20), 2)
                self.assertIn("sign requests for S3 wrongly", worker.stderr.read().replace("signs", "sign"))
                self.workers.remove(worker)

    def test_inputs_of_this_host_are_none_of_its_business(self):
        self.worker_with(LD_PRELOAD=self.library("0x080e01"))
        self.assertEqual(self.fetched(self.solution({"x": b"1"})), {"x": b"1"})
        self.refused("s3://bucket/x/", "libcurl 8.14.0 to 8.18 sign requests for S3 wrongly")
