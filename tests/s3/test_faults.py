# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong between a worker and S3: servers in trouble, connections that end, answers that lie, objects that
change. The answers are Ceph's, but where a proxy on the way bends them."""

import socket
import threading
import time

import harness
import proxy
import servers

BUCKET = "faults"
FILES = {"a.rb": b"one\n" * 5000, "lib/b.rb": b"two\n", "lib/c.rb": b"three\n"}
OBJECT = r"GET /faults/\S+/a\.rb "
LIST = r"GET /faults\?"


class Case(harness.Case):
    server = staticmethod(servers.radosgw)

    def setUp(self):
        super().setUp()
        self.real = type(self).server()
        self.proxy = proxy.Proxy(self.real.port)
        self.addCleanup(self.proxy.close)
        self.environment = self.real.environment(S3_ENDPOINT=self.proxy.endpoint)
        self.uri = self.real.put(BUCKET, f"{self.id().rsplit('.')[-1]}/", FILES)


class Passing(Case):
    """Faults that pass: it is tried again, and nothing of them is left in what comes."""

    def comes_whole(self, pattern, action, times, asked):
        self.proxy.rule(pattern, action, times)
        self.assertEqual(self.fetched(self.uri), FILES)
        self.assertEqual(self.proxy.count(pattern), asked)

    def test_a_truncated_object(self):
        self.comes_whole(OBJECT, proxy.truncate(7000), 2, 3)

    def test_a_truncated_list(self):
        self.comes_whole(LIST, proxy.truncate(300), 2, 3)

    def test_slow_down(self):
        self.comes_whole(OBJECT, proxy.error(503, "SlowDown"), 3, 4)

    def test_slow_down_while_listing(self):
        self.comes_whole(LIST, proxy.error(503, "SlowDown"), 3, 4)

    def test_an_internal_error(self):
        self.comes_whole(OBJECT, proxy.error(500, "InternalError"), 2, 3)

    def test_a_bad_gateway_without_xml(self):
        self.comes_whole(OBJECT, proxy.status(502, "Bad", b"<html>oops"), 1, 2)

    def test_a_request_that_timed_out_there(self):
        self.comes_whole(OBJECT, proxy.error(400, "RequestTimeout"), 1, 2)

    def test_a_connection_that_is_reset(self):
        self.comes_whole(OBJECT, proxy.reset, 2, 3)

    def test_a_slow_object(self):
        self.comes_whole(OBJECT, proxy.trickle, 1, 2)


class Lasting(Case):
    """Faults that stay: a clear end, in time."""

    def test_always_truncated(self):
        self.proxy.rule(OBJECT, proxy.truncate(7000))
        self.refused(self.uri, "a.rb in the input cannot be fetched: S3: the connection ended in the middle of the answer, tried 6 times")
        self.assertEqual(self.proxy.count(OBJECT), 6)

    def test_always_slow_down(self):
        self.proxy.rule(LIST, proxy.error(503, "SlowDown"))
        self.refused(self.uri, "cannot be listed: S3 answers 503 SlowDown: it wants fewer requests, tried 6 times")

    def test_what_is_refused_is_not_tried_again(self):
        for code, name in ((403, "AccessDenied"), (404, "NoSuchKey"), (404, "NoSuchBucket"), (400, "InvalidRequest"),
                           (501, "NotImplemented")):
            with self.subTest(code=code, name=name):
                self.proxy.rules, self.proxy.seen = [], []
                self.proxy.rule(OBJECT, proxy.error(code, name))
                self.refused(self.uri, f"S3 answers {code} {name}")
                self.assertEqual(self.proxy.count(OBJECT), 1)

    def test_an_error_s_text_is_not_shown(self):
        self.proxy.rule(LIST, proxy.status(403, "No", b"<Error><Code>a\x1b[31m/etc/shadow</Code></Error>"))
        self.assertTrue(self.refused(self.uri, "S3 answers 403$").isprintable())

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        self.worker_with(**{**self.environment, "S3_ENDPOINT": f"http://127.0.0.1:{port}"})
        self.refused(self.uri, "S3: it cannot be reached, tried 6 times")

    def test_a_host_that_has_no_address(self):
        self.worker_with(**{**self.environment, "S3_ENDPOINT": "http://nowhere.invalid"})
        self.refused(self.uri, "S3: its name is not known, tried 6 times")

    def test_the_time_for_the_set_up_is_a_limit(self):
        for action in (proxy.stall, proxy.trickle, proxy.error(503, "SlowDown")):
            with self.subTest(action=action.__name__):
                self.proxy.rules = []
                self.proxy.rule(OBJECT, action)
                began = time.monotonic()
                self.refused(self.uri, "not ready after 1500 ms: 2 of the input's 3 files are fetched",
                             setup_usec=1_500_000)
                self.assertGreaterEqual(time.monotonic() - began, 1.5)

    def test_the_time_s_end_says_what_held_it_up(self):
        self.proxy.rule(LIST, proxy.error(503, "SlowDown"))
        self.refused(self.uri, "not ready after 1500 ms: the input is being listed: S3 answers 503 SlowDown",
                     setup_usec=1_500_000)


class Lies(Case):
    """Answers that are not what they should be."""

    def test_a_longer_object(self):
        self.proxy.rule(OBJECT, proxy.body(lambda b: b + b"more"))
        self.refused(self.uri, "another size than its listing says")

    def test_a_shorter_object(self):
        self.proxy.rule(OBJECT, proxy.body(lambda b: b[:-1]))
        self.refused(self.uri, "another size than its listing says")

    def test_a_flood(self):
        self.proxy.rule(LIST, proxy.body(lambda b: b"<ListBucketResult>" + b" " * 20_000_000))
        self.refused(self.uri, "its answer is too large")

    def test_a_list_that_is_none(self):
        for answer, pattern in ((b"", "no XML"), (b"<html/>", "no listing"), (b"\x00\xff", "no XML"),
                                (b"<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult/>", "document type"),
                                (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "goes on")):
            with self.subTest(answer=answer):
                self.proxy.rules = []
                self.proxy.rule(LIST, proxy.body(lambda _, a=answer: a))
                self.refused(self.uri, f"answer is malformed: .*{pattern}")

    def test_a_list_without_end(self):
        page = (b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
                b"</ListBucketResult>")
        self.proxy.rule(LIST, proxy.status(200, "OK", page))
        self.refused(self.uri, "listing has no end")
        self.assertEqual(self.proxy.count(LIST), 100)

    def test_a_list_of_a_million(self):
        def page(_):
            keys = "".join(f"<Contents><Key>{self.uri.split('/', 3)[3]}{self.proxy.count(LIST)}-{i}</Key><Size>0</Size>"
                           "</Contents>" for i in range(1000))
            return (f"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
                    f"{keys}</ListBucketResult>").encode()
        self.proxy.rule(LIST, proxy.body(page))
        self.refused(self.uri, "more than 10000 files", limits={**harness.LIMITS, "inodes": 1_000_000})
        self.assertEqual(self.proxy.count(LIST), 11)

    def test_another_folder_s_keys(self):
        page = b"<ListBucketResult><Contents><Key>elsewhere/x</Key><Size>1</Size></Contents></ListBucketResult>"
        self.proxy.rule(LIST, proxy.status(200, "OK", page))
        self.refused(self.uri, "is not below the folder that was asked for")

    def test_the_same_key_twice(self):
        key = self.uri.split("/", 3)[3].encode() + b"x"
        page = b"<ListBucketResult>" + (b"<Contents><Key>%s</Key><Size>0</Size></Contents>" % key) * 2 + \
            b"</ListBucketResult>"
        self.proxy.rule(LIST, proxy.status(200, "OK", page))
        self.refused(self.uri, "is listed twice")

    def test_keys_that_are_no_text(self):
        for encoded in ("%FF", "%C0%AF", "%00", "%0A", "%ED%A0%80", "..%2Fx", "a%2F..%2Fx"):
            with self.subTest(encoded=encoded):
                self.proxy.rules = []
                key = self.uri.split("/", 3)[3] + encoded
                page = (f"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>{key}</Key><Size>1</Size>"
                        "</Contents></ListBucketResult>")
                self.proxy.rule(LIST, proxy.status(200, "OK", page.encode()))
                self.assertTrue(self.refused(self.uri, "UTF-8|control|part").isprintable())

    def test_no_answer_leads_elsewhere(self):
        """CVE-2024-29021 of Judge0: an address that is asked for somebody leads to where he may not go."""
        with socket.create_server(("127.0.0.1", 0)) as trap:
            trap.settimeout(0.5)
            place = f"http://127.0.0.1:{trap.getsockname()[1]}/"
            for code in (301, 302, 303, 307, 308):
                with self.subTest(code=code):
                    self.proxy.rules = []
                    self.proxy.rule(LIST, proxy.status(code, "Elsewhere", Location=place))
                    self.refused(self.uri, f"S3 answers {code}")
                    with self.assertRaises(TimeoutError):
                        trap.accept()


class Changes(Case):
    """Objects that change between the list and the fetching: what comes is what was listed, or an error."""

    def test_one_is_replaced(self):
        key = self.uri.split("/", 3)[3] + "a.rb"
        self.proxy.rule(OBJECT, proxy.after(
            lambda: self.real.s3.put_object(Bucket=BUCKET, Key=key, Body=b"not\n" * 5000)))
        self.refused(self.uri, "S3 answers 412.*changed while it was fetched")

    def test_one_is_removed(self):
        key = self.uri.split("/", 3)[3] + "a.rb"
        self.proxy.rule(OBJECT, proxy.after(lambda: self.real.s3.delete_object(Bucket=BUCKET, Key=key)))
        self.refused(self.uri, "S3 answers 404 NoSuchKey: an object is gone")


class Others(Case):
    """One slow input is nobody else's trouble."""

    def test_another_job_runs_meanwhile(self):
        self.environment["SLOTS"] = "2"
        self.proxy.rule(OBJECT, proxy.stall)
        self.worker_with()
        self.router.job(job=7, input=self.uri, setup_usec=20_000_000)
        self.assertEqual(self.fetched(self.solution({"x": b"1"})), {"x": b"1"})
        self.router.send("cancel", job=f"{7:032x}", token=harness.test_worker.TOKEN, reason="enough")
        outcome, _, _, _ = self.router.outcome()
        self.assertEqual((outcome["status_code"], outcome["job"]), (403, f"{7:032x}"))

    def test_a_job_s_end_ends_its_transfers(self):
        ended = threading.Event()

        def wait(_, client, __):
            client.recv(1)
            ended.set()
            return True
        self.proxy.rule(OBJECT, wait)
        self.refused(self.uri, "not ready", setup_usec=1_000_000)
        self.assertTrue(ended.wait(10))
        self.assertEqual(self.fetched(self.solution({"x": b"1"})), {"x": b"1"})
