# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inputs in Swift by its s3api, a second opinion: it wants the right region and every header, and its access keys hold a
colon."""

import harness
import proxy
import servers

BUCKET = "submissions"


class Case(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = servers.swift()
        cls.environment = cls.server.environment(S3_REGION=servers.REGION)

    def put(self, files):
        return self.server.put(BUCKET, f"{self.id().rsplit('.')[-1]}/", files)


class Files(Case):
    def test_files_with_odd_names(self):
        names = ["a", "lib/a/b", "a b", "a+b", "x=1", "p(q)", "what?", "a&b", "100%", "na\u00efve", "%41", "a'b\"c"]
        files = {name: name.encode() for name in names}
        self.assertEqual(self.fetched(self.put(files)), files)

    def test_tokens_of_pages_with_a_plus(self):
        """Its tokens are base64 of a key, and three tildes become a plus there: signed wrongly, that page would fail."""
        files = {f"~~~{i:04}": b"" for i in range(1001)}
        self.assertEqual(self.fetched(self.put(files), limits={**harness.LIMITS, "inodes": 5000}), files)

    def test_refused_keys(self):
        self.refused(self.put({"a/../b": b"1"}), "is . or ..")
        self.refused(self.put({"x//y": b"1"}), "is . or ..|empty part")

    def test_nothing_there(self):
        self.put({"a": b"1"})
        self.refused(f"s3://{BUCKET}/nothing/", "no files")
        self.refused("s3://no-such-bucket/x/", "404 NoSuchBucket")

    def test_a_wrong_secret(self):
        self.worker_with(**{**self.environment, "AWS_SECRET_ACCESS_KEY": "wrong"})
        self.refused(self.put({"a": b"1"}), "403 SignatureDoesNotMatch: the secret access key is wrong")

    def test_an_unknown_key(self):
        self.worker_with(**{**self.environment, "AWS_ACCESS_KEY_ID": "test:nobody"})
        self.refused(self.put({"a": b"1"}), "S3 answers 403 ")


class Region(Case):
    def test_the_server_says_which(self):
        self.worker_with(**{**self.environment, "S3_REGION": "eu-west-1"})
        self.assertEqual(self.fetched(self.put({"a": b"1", "b": b"2"})), {"a": b"1", "b": b"2"})

    def test_it_is_remembered(self):
        between = proxy.Proxy(self.server.port)
        self.addCleanup(between.close)
        self.worker_with(**{**self.environment, "S3_REGION": "eu-west-1", "S3_ENDPOINT": between.endpoint})
        uri = self.put({"a": b"1"})
        self.fetched(uri)
        self.assertEqual(len(between.seen), 3)
        self.fetched(uri)
        self.assertEqual(len(between.seen), 5)

    def test_redirections_are_signed_anew(self):
        for code in (301, 307):
            with self.subTest(code=code):
                between = proxy.Proxy(self.server.port)
                self.addCleanup(between.close)
                between.rule("GET", proxy.status(code, "Elsewhere", x_amz_bucket_region=servers.REGION), 1)
                self.worker_with(**{**self.environment, "S3_REGION": "eu-west-1", "S3_ENDPOINT": between.endpoint})
                self.assertEqual(self.fetched(self.put({"a": b"1"})), {"a": b"1"})
                self.assertEqual(len(between.seen), 3)
                self.worker.terminate()
                self.worker.wait(20)

    def test_a_circle_of_redirections_ends(self):
        between = proxy.Proxy(self.server.port)
        self.addCleanup(between.close)
        regions = iter(f"region-{i}" for i in range(100))

        def elsewhere(*arguments):
            return proxy.status(301, "Elsewhere", x_amz_bucket_region=next(regions))(*arguments)
        between.rule("GET", elsewhere)
        self.worker_with(**{**self.environment, "S3_ENDPOINT": between.endpoint})
        self.refused(self.put({"a": b"1"}), "S3 answers 301")
        self.assertEqual(len(between.seen), 3)
