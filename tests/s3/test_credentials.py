# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where credentials come from, in which order, and that they are renewed in time. Whether they are right is Ceph's to say."""

import os
import pathlib
import threading
import time

import harness
import proxy
import servers
import standins

BUCKET = "credentials"
RELATIVE = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = servers.radosgw()
        self.uri = self.server.put(BUCKET, "x/", {"a": b"1"})
        self.environment = {"S3_ENDPOINT": self.server.endpoint}
        self.keys = standins.Keys(self.server)

    def standin(self, kind, *arguments, **more):
        standin = kind(self.keys, *arguments, **more)
        self.addCleanup(standin.close)
        return standin

    def secrets(self):
        return super().secrets() + [k[n] for k in self.keys.given for n in
                                    ("AccessKeyId", "SecretAccessKey", "SessionToken")]

    def works(self):
        self.assertEqual(self.fetched(self.uri), {"a": b"1"})

    def fails(self, pattern):
        return self.refused(self.uri, "this worker has no credentials for S3: " + pattern)

    def files(self, **texts):
        """A folder of credentials, as systemd hands them over."""
        folder = pathlib.Path(self.folder, "credentials")
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / name.replace("_", "-")).write_text(text)
        return str(folder)


class Metadata(Case):
    def test_version_2_at_its_address(self):
        service = self.standin(standins.Metadata)
        self.works()
        self.works()
        roles = standins.Metadata.ROLES
        self.assertEqual(service.seen, ["PUT /latest/api/token", f"GET {roles}", f"GET {roles}worker-role"])

    def test_no_proxy_is_asked(self):
        self.standin(standins.Metadata)
        self.environment.update(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
        self.works()

    def test_a_passing_fault(self):
        service = self.standin(standins.Metadata)
        service.faults["/latest/api"] = lambda: (service.faults.clear(), (503, ""))[1]
        self.works()
        self.assertEqual(service.seen.count("PUT /latest/api/token"), 2)

    def test_an_instance_without_a_role(self):
        service = self.standin(standins.Metadata)
        service.faults[standins.Metadata.ROLES] = lambda: (404, "")
        self.fails("the instance metadata service, asked for the instance's role, answers 404")

    def test_it_is_turned_off(self):
        service = self.standin(standins.Metadata)
        self.environment["AWS_EC2_METADATA_DISABLED"] = "true"
        self.fails("none are configured")
        self.assertEqual(service.seen, [])

    def test_answers_that_are_none(self):
        service = self.standin(standins.Metadata)
        role = standins.Metadata.ROLES + "worker-role"
        for path, answer, pattern in (("/latest/api", "a\x01b", "malformed"), ("/latest/api", "", "malformed"),
                                      (role, "{}", "no key"), (role, "<html>", "no JSON object"),
                                      (role, "x" * 100_000, "too large"),
                                      (role, '{"Code": "Failed"}', "by its own word"),
                                      (role, '{"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": '
                                             '"2020-01-01T00:00:00Z"}', "has expired already"),
                                      (role, '{"AccessKeyId": "a", "SecretAccessKey": "b\\r\\nX: y"}', "malformed")):
            with self.subTest(answer=answer[:40]):
                service.faults = {path: lambda a=answer: (200, a)}
                self.worker_with()
                self.fails(".*" + pattern)
                self.worker.kill()
                self.worker.wait()

    def test_a_redirection_is_not_followed(self):
        service = self.standin(standins.Metadata)
        service.faults["/latest/api"] = lambda: (302, "", ("Location", f"{self.server.endpoint}/"))
        self.fails("the instance metadata service answers 302")

    def test_that_there_are_none_is_remembered_for_a_moment(self):
        service = self.standin(standins.Metadata)
        service.faults["/latest/api"] = lambda: (403, "")
        for _ in range(3):
            self.fails("the instance metadata service answers 403")
        self.assertEqual(len(service.seen), 1)

    def test_a_service_that_says_nothing(self):
        service = self.standin(standins.Metadata)
        quiet = threading.Event()
        self.addCleanup(quiet.set)
        service.faults["/latest/api"] = lambda: (quiet.wait(60), (200, ""))[1]
        self.fails("the instance metadata service: it is too slow")


class Renewal(Case):
    def test_they_are_fetched_before_they_expire(self):
        self.keys.seconds = 6
        service = self.standin(standins.Metadata)
        self.works()
        time.sleep(7)
        asked = len(self.keys.given)
        self.assertGreaterEqual(asked, 2)
        service.faults["/"] = lambda: (500, "")
        self.works()

    def test_jobs_do_not_wait_for_it(self):
        self.keys.seconds = 8
        service = self.standin(standins.Metadata)
        self.works()
        asked, quiet = threading.Event(), threading.Event()
        self.addCleanup(quiet.set)
        service.faults["/"] = lambda: (asked.set(), quiet.wait(60), (200, ""))[2]
        self.assertTrue(asked.wait(10))
        self.works()
        self.assertFalse(quiet.is_set())

    def test_the_storage_says_that_they_have_expired(self):
        service = self.standin(standins.Metadata)
        between = proxy.Proxy(self.server.port)
        self.addCleanup(between.close)
        self.environment["S3_ENDPOINT"] = between.endpoint
        self.works()
        between.rule("GET", proxy.error(400, "ExpiredToken"), 1)
        self.works()
        self.assertEqual(len(self.keys.given), 2)
        between.rule("GET", proxy.error(400, "ExpiredToken"))
        self.refused(self.uri, "S3 answers 400 ExpiredToken: the credentials have expired")
        self.assertEqual(len(service.seen), 9)


class Container(Case):
    def test_a_relative_address(self):
        service = self.standin(standins.Container)
        self.worker_with(**self.environment, **RELATIVE)
        self.works()
        self.assertEqual(service.seen, ["GET /v2/credentials/x"])

    def test_a_full_address_with_a_token_in_a_file(self):
        self.keys.seconds = 4
        service = self.standin(standins.Container, "127.0.0.1", 0)
        token = pathlib.Path(self.folder, "token")
        token.write_text("first\n")
        service.token = "first"
        self.worker_with(**self.environment, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token),
                         AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.endpoint}/v2/credentials/x")
        self.works()
        service.token = "second"
        token.write_text("second\n")
        time.sleep(5)
        self.works()
        self.assertGreaterEqual(len(self.keys.given), 2)

    def test_a_token_in_the_environment(self):
        service = self.standin(standins.Container)
        service.token = "secret of the container"
        self.worker_with(**self.environment, **RELATIVE, AWS_CONTAINER_AUTHORIZATION_TOKEN=service.token)
        self.works()

    def test_a_wrong_token(self):
        service = self.standin(standins.Container)
        service.token = "right"
        self.worker_with(**self.environment, **RELATIVE, AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong")
        self.fails("the container's credentials endpoint answers 401")

    def test_a_token_file_that_is_not_there(self):
        self.worker_with(**self.environment, **RELATIVE, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/nowhere/token")
        self.assertNotIn("/nowhere", self.fails("the container endpoint's token file cannot be read"))

    def test_another_host_is_not_asked(self):
        for uri in ("http://169.254.169.254/latest/x", "http://example.com/x", "http://u@127.0.0.1/x", "file:///etc/passwd"):
            with self.subTest(uri=uri):
                self.worker_with(**self.environment, AWS_CONTAINER_CREDENTIALS_FULL_URI=uri)
                self.fails("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor at an address of this host")
                self.worker.kill()
                self.worker.wait()


class Order(Case):
    """Files, then the environment, then a container, then the metadata service; a place that is configured counts."""

    def test_files_come_first(self):
        self.standin(standins.Metadata)
        keys = self.server.session()
        folder = self.files(aws_access_key_id=keys["AccessKeyId"] + "\n", aws_session_token=keys["SessionToken"] + "\n",
                            aws_secret_access_key=keys["SecretAccessKey"] + "\n")
        self.worker_with(**self.environment, **RELATIVE, CREDENTIALS_DIRECTORY=folder, AWS_ACCESS_KEY_ID="no",
                         AWS_SECRET_ACCESS_KEY="no")
        self.works()

    def test_the_environment_before_a_container(self):
        service = self.standin(standins.Container)
        self.worker_with(**self.server.environment(), **RELATIVE)
        self.works()
        self.assertEqual(service.seen, [])

    def test_a_container_before_the_metadata_service(self):
        service = self.standin(standins.Metadata)
        self.standin(standins.Container)
        self.worker_with(**self.environment, **RELATIVE)
        self.works()
        self.assertEqual(service.seen, [])

    def test_a_place_that_is_configured_and_broken_is_an_error(self):
        service = self.standin(standins.Metadata)
        for more, pattern in (({"AWS_ACCESS_KEY_ID": "a"}, "the environment: the access key's id and its secret"),
                              ({"CREDENTIALS_DIRECTORY": self.files(aws_access_key_id="a")},
                               "the service's credentials: the access key's id and its secret"),
                              ({"AWS_ACCESS_KEY_ID": "a b", "AWS_SECRET_ACCESS_KEY": "x"}, "the environment: .* malformed"),
                              ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "x"}, ".* is no path")):
            with self.subTest(pattern=pattern):
                self.worker_with(**self.environment, **more)
                self.fails(pattern)
                self.worker.kill()
                self.worker.wait()
        self.assertEqual(service.seen, [])

    def test_a_folder_of_other_credentials(self):
        self.standin(standins.Metadata)
        self.worker_with(**self.environment, CREDENTIALS_DIRECTORY=self.files(pipeline_registry="{}"))
        self.works()

    def test_nothing_of_it_in_the_process_list(self):
        worker = self.worker_with(**self.server.environment())
        self.works()
        line = pathlib.Path(f"/proc/{worker.pid}/cmdline").read_text()
        self.assertNotIn(self.server.secret, line)
        self.assertEqual(os.stat(f"/proc/{worker.pid}/environ").st_mode & 0o077, 0)
