# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inputs in Ceph's object gateway: what keys there may be, how many, how large; sessions."""

import os
import pathlib
import time
import urllib.parse

import harness
import servers

BUCKET = "submissions"

# For one process: what libcurl dates its signatures with is two hours late.
CLOCK = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
time_t time(time_t *ret)
{
        struct timespec now;
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
        now.tv_sec -= 7200;
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}
"""


class Case(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = servers.radosgw()
        cls.environment = cls.server.environment()

    def put(self, files):
        """Objects in a folder of this test's own; its URI."""
        return self.server.put(BUCKET, f"{self.id().rsplit('.')[-1]}/", files)


class Files(Case):
    def test_nested_files_come_as_they_are(self):
        files = {"two_fer.rb": b"puts 1\n", "lib/a/b/c.rb": b"\x00\xff" * 50000, "empty": b"", ".hidden": b"x",
                 "lib.rb": b"between lib and lib/", "lib-": b"too"}
        self.assertEqual(self.fetched(self.put(files)), files)

    def test_the_slash_at_the_end_may_be_missing(self):
        uri = self.put({"a": b"1"})
        self.server.put(BUCKET, uri.split("/", 3)[3].rstrip("/") + "2/", {"sibling": b"no"})
        self.assertEqual(self.fetched(uri.rstrip("/")), {"a": b"1"})

    def test_odd_names_are_names(self):
        names = ["a b", "a+b", "x=1", "p(q)", "what?", "a&b", "100%", "na\u00efve", "%41", "~", "a'b\"c", "\U0001f600",
                 "a;b:c,d@e", "[x]{y}|z\\", "-rf", "*"]
        files = {name: name.encode() for name in names}
        self.assertEqual(self.fetched(self.put(files)), files)

    def test_a_plus_in_the_folder_s_name(self):
        self.server.put(BUCKET, "a+b c/", {"x": b"1"})
        self.assertEqual(self.fetched(f"s3://{BUCKET}/a+b c/"), {"x": b"1"})

    def test_marks_of_folders_are_passed_over(self):
        self.assertEqual(self.fetched(self.put({"": b"", "lib/": b"", "lib/a": b"1"})), {"lib/a": b"1"})

    def test_the_longest_key(self):
        prefix = f"{self.id().rsplit('.')[-1]}/"
        left = 1024 - len(prefix)
        name = "/".join(["d" * 200] * (left // 201)) + "/" + "f" * (left - 201 * (left // 201))
        self.assertEqual(len(prefix + name), 1024)
        self.assertEqual(self.fetched(self.put({name: b"1"})), {name: b"1"})

    def test_more_than_a_page(self):
        files = {f"dir{i % 7}/file+{i:04} x": str(i).encode() for i in range(1, 1203)}
        self.assertEqual(self.fetched(self.put(files), limits={**harness.LIMITS, "inodes": 5000}), files)

    def test_large_objects(self):
        files = {f"f{i}": os.urandom(2 * harness.MIB) for i in range(3)}
        self.assertEqual(self.fetched(self.put(files)), files)


class Refused(Case):
    def refuse_key(self, key, pattern, data=b"x"):
        prefix = f"{self.id().rsplit('.')[-1]}-{urllib.parse.quote(key, safe='')[:20]}/"
        uri = self.server.put(BUCKET, prefix, {"fine": b"1", key: data})
        return self.refused(uri, pattern)

    def test_keys_that_are_no_paths(self):
        for key, pattern in (("../up", "is . or .."), ("a/../b", "is . or .."), ("./a", "is . or .."),
                             ("a/.", "is . or .."), ("a//b", "empty part"), ("/absolute", "empty part"),
                             ("line\nbreak", "control character"), ("esc\x1b[1m", "control character"),
                             ("del\x7f", "control character"), ("folder/", "is a folder's, and has content"),
                             ("s" * 256, "longer than 255"), ("d/" * 40 + "x", "too deep")):
            with self.subTest(key=key):
                said = self.refuse_key(key, pattern)
                self.assertTrue(said.isprintable(), said)

    def test_collisions(self):
        self.refused(self.put({"lib": b"1", "lib-x": b"2", "lib/a": b"3"}), "lib.* is a file and a folder")

    def test_nothing_is_there(self):
        self.put({"a": b"1"})
        self.refused(f"s3://{BUCKET}/nothing-here/", "no files")

    def test_only_marks_of_folders(self):
        self.server.put(BUCKET, "marks/", {"": b"", "lib/": b""})
        self.refused(f"s3://{BUCKET}/marks/", "no files")

    def test_no_such_bucket(self):
        self.refused("s3://no-such-bucket/x/", "404 NoSuchBucket: there is no such bucket")

    def test_too_many_objects(self):
        uri = self.put({f"f{i}": b"" for i in range(30)})
        self.refused(uri, "more than 20 files", limits={**harness.LIMITS, "inodes": 20})

    def test_too_large_altogether(self):
        uri = self.put({f"f{i}": bytes(harness.MIB) for i in range(3)})
        self.refused(uri, "larger than 2097152 bytes", limits={**harness.LIMITS, "written_bytes": 2 * harness.MIB})

    def test_one_object_is_too_large(self):
        self.worker_with(**self.environment, S3_OBJECT_SIZE_MAX="1M")
        self.refused(self.put({"huge": bytes(harness.MIB + 1)}), "huge.* is larger than this worker allows")

    def test_uris(self):
        for uri, pattern in (("s3://", "looks like"), (f"s3://{BUCKET}", "looks like"), (f"s3://{BUCKET}/", "looks like"),
                             ("s3:///x/", "no name of a bucket"), ("s3://user@host/x/", "no name of a bucket"),
                             ("s3://127.0.0.1:80/x/", "no name of a bucket"), ("s3://a..b/x/", "no name of a bucket"),
                             (f"s3://{BUCKET}/../x/", "part"), (f"s3://{BUCKET}//x/", "part"), (f"s3://{BUCKET}/x//", "part"),
                             (f"s3://{BUCKET}/a/./b/", "part"), (f"s3://{BUCKET}/{'k' * 1100}/", "too long|part"),
                             ("S3://x/y/", "not known"), ("https://h/x/", "not known"), ("s3:/x/y", "not known")):
            with self.subTest(uri=uri):
                self.refused(uri, pattern)

    def test_only_what_is_allowed(self):
        uri = self.server.put(BUCKET, "open/a/", {"x": b"1"})
        self.server.put(BUCKET, "open2/a/", {"x": b"1"})
        self.worker_with(**self.environment, S3_ALLOW=f"other s3://{BUCKET}/open/")
        self.assertEqual(self.fetched(uri), {"x": b"1"})
        for other in (f"s3://{BUCKET}/open2/a/", f"s3://{BUCKET}/", f"s3://{BUCKET}x/open/a/", "s3://othe/x/"):
            self.refused(other, "may not read inputs there|looks like")


class Credentials(Case):
    def refuse_with(self, pattern, **more):
        self.worker_with(**{**self.environment, **more})
        self.refused(self.put({"a": b"1"}), pattern)

    def test_a_wrong_secret(self):
        self.refuse_with("S3 answers 403 (SignatureDoesNotMatch|AccessDenied): ", AWS_SECRET_ACCESS_KEY="wrong")

    def test_an_unknown_key(self):
        self.refuse_with("S3 answers 403 (InvalidAccessKeyId|AccessDenied): ", AWS_ACCESS_KEY_ID="NOBODY")

    def test_a_token_that_is_none(self):
        self.refuse_with("S3 answers 40[03]", AWS_SESSION_TOKEN="bogus")

    def test_another_s_bucket(self):
        self.server.admin("user", "create", "--uid=stranger", "--display-name=stranger", "--access-key=STRANGER",
                          "--secret-key=strangersecret")
        self.worker_with(**{**self.environment, "AWS_ACCESS_KEY_ID": "STRANGER",
                            "AWS_SECRET_ACCESS_KEY": "strangersecret"})
        self.refused(self.put({"a": b"1"}), "403 AccessDenied: these credentials may not read it")

    def session_environment(self, seconds):
        keys = self.server.session(seconds)
        return self.server.environment(AWS_ACCESS_KEY_ID=keys["AccessKeyId"], AWS_SESSION_TOKEN=keys["SessionToken"],
                                       AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"])

    def test_a_session(self):
        self.worker_with(**self.session_environment(900))
        self.assertEqual(self.fetched(self.put({"a": b"1"})), {"a": b"1"})

    def test_an_expired_session(self):
        uri = self.put({"a": b"1"})
        self.worker_with(**self.session_environment(1))
        time.sleep(2)
        self.refused(uri, "expired|AccessDenied")

    def test_the_host_s_clock_is_wrong(self):
        library = pathlib.Path(self.folder, "clock.so")
        source = library.with_suffix(".c")
        source.write_text(CLOCK)
        servers.run("gcc", "-shared", "-fPIC", "-o", library, source)
        self.worker_with(**self.environment, LD_PRELOAD=str(library))
        self.refused(self.put({"a": b"1"}), "RequestTimeTooSkewed: the clock of the worker's host is wrong")
