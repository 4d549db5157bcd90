# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry that lies, stalls, floods and sends elsewhere: THREATS J6 to J8. `pipeline-registry` is asked directly, for
it is what the services ask with."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import standin
from standin import BASIC, INDEX, MANIFEST, OCI, PASSWORD, Image, digest_of, gzipped, layer

PROGRAM = os.environ.get("PIPELINE_REGISTRY", "/usr/lib/pipeline/pipeline-registry")
TYPE = f"{OCI}.layer.v1.tar+gzip"


def image(**more):
    return Image(gzipped(layer({"a": os.urandom(300000)})), gzipped(layer({"b": os.urandom(200000)})), **more)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="test-liar-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = image()
        self.server = standin.liar(self.image)
        self.addCleanup(self.server.close)
        self.login(self.server.host)

    def login(self, host, password=PASSWORD):
        (self.folder / "auth.json").write_text(standin.auth_file(password, host))

    def environment(self, **more):
        return {"REGISTRY": f"docker://{self.server.host}/team", "REGISTRY_AUTH": str(self.folder / "auth.json"), **more}

    def begin_fetch(self):
        return subprocess.Popen([PROGRAM, "fetch", "test_runners", "tiny", str(self.folder / "images"), self.image.digest],
                                stdout=subprocess.PIPE, text=True, env=self.environment())

    def ask(self, *question, **environment):
        run = subprocess.run([PROGRAM, question[0], "test_runners", "tiny", *question[1:]], check=False, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                             env=self.environment(REGISTRY_STALL_TIME="2", **environment))
        self.assertNotIn(PASSWORD, run.stdout)
        self.assertNotIn(BASIC[6:], run.stdout)
        self.assertNotRegex(run.stdout, "Sanitizer|runtime error")
        return json.loads(run.stdout.splitlines()[-1])

    def fetch(self, digest=None, **environment):
        return self.ask("fetch", str(self.folder / "images"), digest or self.image.digest, **environment)

    def assert_whole(self, answer, wanted=None):
        wanted = wanted or self.image
        self.assertNotIn("error", answer)
        for digest, data in {**wanted.blobs, wanted.digest: wanted.text}.items():
            self.assertEqual(pathlib.Path(answer["layout"], "blobs/sha256", digest[7:]).read_bytes(), data)

    def assert_refused(self, answer, code, why):
        self.assertEqual(answer.get("code"), code, answer)
        self.assertIn(why, answer["error"])
        self.assertEqual([p.name for p in (self.folder / "images").glob("*") if len(p.name) == 64], [])

    def serve(self, manifest, tag="v1", kind=MANIFEST):
        text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        self.server.manifests = {tag: (text, kind), digest_of(text): (text, kind)}
        return digest_of(text)

    def lie_at(self, kind, answer):
        """Answers GETs of a kind (manifests, blobs, tags) that were let in."""
        def lie(handler):
            if f"/{kind}/" not in handler.path or handler.headers.get("Authorization") not in self.server.accepts:
                return False
            return answer(handler) is not False
        self.server.lie = lie


class Honest(Case):
    def test_an_image_comes_whole_by_its_digest(self):
        self.assertEqual(self.ask("resolve", "v1"), {"digest": self.image.digest})
        self.assert_whole(self.fetch())

    def test_blobs_from_elsewhere_come_without_the_password(self):
        other = standin.elsewhere(self.image.blobs)
        self.addCleanup(other.close)
        self.lie_at("blobs", lambda h: h.say(307, Location=f"http://{other.host}{h.path}?X-Signature=secret"))
        self.assert_whole(self.fetch())
        self.assertEqual({authorization for _, _, authorization, _ in other.seen}, {None})

    def test_a_token_is_asked_for_at_the_registry_and_anew_when_it_runs_out(self):
        tokens = []

        def lie(handler):
            if not handler.path.startswith("/token"):
                return False
            if handler.headers.get("Authorization") != BASIC:
                handler.say(401)
                return True
            tokens.append(handler.path)
            self.server.accepts = {f"Bearer t{len(tokens)}"}
            handler.say(200, json.dumps({"token": f"t{len(tokens)}"}).encode())
            return True

        blob = standin.Liar.blob

        def expire(handler, name):  # each token is good for one blob
            blob(handler, name)
            self.server.accepts = set()

        self.server.challenge = f'Bearer realm="http://{self.server.host}/token",service="test"'
        self.server.accepts, self.server.lie = set(), lie
        standin.Liar.blob = expire
        self.addCleanup(setattr, standin.Liar, "blob", blob)
        self.assert_whole(self.fetch())
        self.assertEqual(len(tokens), 3)
        self.assertIn("scope=repository%3Ateam%2Ftest_runners%2Ftiny%3Apull", tokens[0])

    def test_a_list_of_images_is_resolved_to_one(self):
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        self.serve({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": digest_of(b"x"), "size": 1,
             "platform": {"os": "linux", "architecture": "vax"}},
            {"mediaType": MANIFEST, "digest": self.image.digest, "size": len(self.image.text),
             "platform": {"os": "linux", "architecture": machine}}]}, kind=INDEX)
        self.assertEqual(self.ask("resolve", "v1"), {"digest": self.image.digest})

    def test_busy_for_a_moment_is_waited_for(self):
        n_busy = []

        def busy(handler):
            n_busy.append(handler.path)
            if len(n_busy) > 2:
                return False
            handler.say(429 if len(n_busy) == 1 else 503, Retry_After="1")
            return True

        self.lie_at("manifests", busy)
        began = time.monotonic()
        self.assertEqual(self.ask("resolve", "v1"), {"digest": self.image.digest})
        self.assertGreaterEqual(time.monotonic() - began, 2)

    def test_tags_come_in_pages(self):
        self.server.manifests["v2"] = self.server.manifests["v1"]

        def page(handler):
            if "last=" in handler.path:
                handler.say(200, b'{"tags":["v2","../x","-bad"]}')
            else:
                handler.say(200, b'{"tags":["v1"]}',
                            Link=f'</v2/team/test_runners/tiny/tags/list?last=v1&n=1>; rel="next"')

        self.lie_at("tags", page)
        self.assertEqual(self.ask("list"), {"images": {self.image.digest: ["v1", "v2"]}})


class Broken(Case):
    def say_half(self, handler, digest):
        """The beginning of a blob, and then the end of the connection."""
        blob = self.image.blobs[digest]
        handler.begin(len(blob), blob[:100000])
        handler.close_connection = True
        return True

    def test_broken_off_it_goes_on_where_it_stopped(self):
        big = self.image.layers[0]["digest"]

        def half(handler):
            if big not in handler.path or handler.headers.get("Range"):
                return False
            return self.say_half(handler, big)

        self.lie_at("blobs", half)
        self.assert_whole(self.fetch())
        self.assertEqual([r for _, path, _, r in self.server.seen if big in path and r], ["bytes=100000-"])

    def test_a_killed_fetch_is_gone_on_with(self):
        big = self.image.layers[1]["digest"]

        def stop(handler):
            if big not in handler.path:
                return False
            self.say_half(handler, big)
            time.sleep(30)
            return True

        self.lie_at("blobs", stop)
        fetch = self.begin_fetch()
        part = self.folder / f"images/{self.image.digest[7:]}.partial/blobs/sha256/{big[7:]}.part"
        while not part.exists() or part.stat().st_size < 100000:
            time.sleep(0.05)
        fetch.kill()
        fetch.communicate()
        self.assertFalse((self.folder / "images" / self.image.digest[7:]).exists())
        self.server.lie = None
        first = self.image.layers[0]["digest"]
        n_before = sum(first in path for _, path, _, _ in self.server.seen)
        self.assert_whole(self.fetch())
        self.assertEqual(sum(first in path for _, path, _, _ in self.server.seen), n_before)
        self.assertIn("bytes=100000-", [r for _, path, _, r in self.server.seen if big in path])

    def test_a_registry_without_offsets_sends_all_again(self):
        big = self.image.layers[0]["digest"]

        def half(handler):
            if big not in handler.path:
                return False
            if handler.headers.get("Range"):
                handler.say(200, self.image.blobs[big])
                return True
            return self.say_half(handler, big)

        self.lie_at("blobs", half)
        self.assert_whole(self.fetch())

    def test_two_who_want_it_fetch_it_once(self):
        blob = standin.Liar.blob

        def slowly(handler, name):
            time.sleep(0.3)
            blob(handler, name)

        standin.Liar.blob = slowly
        self.addCleanup(setattr, standin.Liar, "blob", blob)
        both = [self.begin_fetch() for _ in range(2)]
        answers = [json.loads(p.communicate()[0].splitlines()[-1]) for p in both]
        for answer in answers:
            self.assert_whole(answer)
        for descriptor in [self.image.config, *self.image.layers]:
            self.assertEqual(sum(descriptor["digest"] in path and authorization == BASIC
                                 for _, path, authorization, _ in self.server.seen), 1)

    def test_silence_ends_it(self):
        def stall(handler):
            handler.begin(1000000, b"x")
            time.sleep(20)

        for kind in ("blobs", "manifests"):
            with self.subTest(kind=kind):
                self.lie_at(kind, stall)
                began = time.monotonic()
                self.assert_refused(self.fetch(), 503, "nothing came from the registry")
                self.assertGreaterEqual(time.monotonic() - began, 2)

    def test_a_drip_ends_at_the_time_for_an_image(self):
        def drip(handler):
            handler.begin(self.image.layers[0]["size"])
            for _ in range(100):
                handler.wfile.write(b"xxxxx")
                handler.wfile.flush()
                time.sleep(0.2)

        self.lie_at("blobs", drip)
        self.assert_refused(self.fetch(REGISTRY_TIME_MAX="3"), 503, "in time")

    def test_always_busy_is_said(self):
        for status in (429, 502, 503, 504):
            with self.subTest(status=status):
                self.lie_at("manifests", lambda h, status=status: h.say(status, Retry_After="3600"))
                self.assert_refused(self.ask("resolve", "v1"), 503, f"too much to do (HTTP {status})")

    def test_other_answers_are_said(self):
        for status, code, why in ((404, 400, "has no team/test_runners/tiny:v1"), (403, 503, "does not let us in"),
                                  (500, 503, "HTTP 500"), (418, 503, "HTTP 418")):
            with self.subTest(status=status):
                self.lie_at("manifests", lambda h, status=status: h.say(status, b"<html>"))
                self.assert_refused(self.ask("resolve", "v1"), code, why)

    def test_nobody_there(self):
        self.server.close()
        self.assert_refused(self.ask("resolve", "v1"), 503, "cannot be reached")
        self.assert_refused(self.ask("resolve", "v1", REGISTRY="docker://no-such-host.invalid"), 503, "cannot be reached")

    def test_no_tls_where_it_must_be(self):
        self.assert_refused(self.ask("resolve", "v1", REGISTRY_TLS="yes"), 503, "cannot be reached")

    def test_the_password_is_wrong_or_missing(self):
        self.login(self.server.host, "wrong")
        self.assert_refused(self.ask("resolve", "v1"), 503, "does not take the password")
        self.login("other.example")
        self.assert_refused(self.ask("resolve", "v1"), 503, "wants a password, and none is set")

    def test_room_and_sizes_have_limits(self):
        self.assert_refused(self.fetch(REGISTRY_SIZE_MAX="100K"), 512, "REGISTRY_SIZE_MAX")
        huge = [{**descriptor, "size": 10 << 30} for descriptor in self.image.layers]
        digest = self.serve({**self.image.manifest, "layers": huge * 60})
        self.assert_refused(self.fetch(digest, REGISTRY_SIZE_MAX="100T"), 503, "disk has")


class Lies(Case):
    def test_another_manifest_than_asked_for(self):
        other = image()
        self.server.manifests[self.image.digest] = (other.text, MANIFEST)
        self.assert_refused(self.fetch(), 503, "another manifest")

    def test_blobs_that_are_not_what_they_are_called(self):
        first = self.image.layers[0]
        for what, data, why in (
                ("other content", b"x" * first["size"], "something else than blob"),
                ("too short", b"x" * 10, "10 bytes of"),
                ("empty", b"", "0 bytes of"),
                ("one byte too long", self.image.blobs[first["digest"]] + b"x", "more than it said")):
            with self.subTest(what):
                self.server.blobs[first["digest"]] = data
                self.assert_refused(self.fetch(), 503, why)
        self.server.blobs = dict(self.image.blobs)
        self.assert_whole(self.fetch())

    def test_an_endless_blob(self):
        def endless(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

        self.lie_at("blobs", endless)
        self.assert_refused(self.fetch(), 503, "more than it said")

    def test_sizes_in_the_manifest_that_are_wrong(self):
        for change in (-1, 1):
            layers = [{**self.image.layers[0], "size": self.image.layers[0]["size"] + change}, self.image.layers[1]]
            with self.subTest(change=change):
                digest = self.serve({**self.image.manifest, "layers": layers})
                self.assert_refused(self.fetch(digest), 503, "")

    def test_descriptors_that_are_none(self):
        for what, descriptor in (
                ("a path", {"digest": "sha256:../../../../etc/passwd"}),
                ("a path of the right length", {"digest": "sha256:" + "../" * 21 + "x"}),
                ("sha512", {"digest": "sha512:" + "0" * 128}), ("md5", {"digest": "md5:" + "0" * 32}),
                ("upper case", {"digest": "sha256:" + "A" * 64}), ("no digest", {"digest": None}),
                ("a negative size", {"size": -1}), ("a huge size", {"size": 1 << 63}), ("no size", {"size": None}),
                ("an address of its own", {"urls": ["http://127.0.0.1:1/layer"]}),
                ("another media type", {"mediaType": "text/html"})):
            with self.subTest(what):
                broken = {k: v for k, v in {**self.image.layers[0], **descriptor}.items() if v is not None}
                digest = self.serve({**self.image.manifest, "layers": [broken]})
                self.assert_refused(self.fetch(digest), 512, "")
        self.assertEqual([p for _, p, _, _ in self.server.seen if "/blobs/" in p], [])

    def test_manifests_that_are_something_else(self):
        both = {**self.image.manifest, "manifests": []}
        for what, manifest, kind, why in (
                ("image and list at once", both, MANIFEST, "at once"),
                ("called a list", self.image.manifest, INDEX, "something else than it calls itself"),
                ("a list called an image", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, MANIFEST,
                 "something else than it calls itself"),
                ("no JSON", b"<html></html>", MANIFEST, "not JSON"),
                ("two objects", b"{}{}", MANIFEST, "not JSON"),
                ("empty", b"", MANIFEST, "not JSON"),
                ("an empty list", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, INDEX, "none of them"),
                ("of nobody's platform", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
                    {"digest": self.image.digest, "platform": {"os": "linux", "architecture": "vax"}}]}, INDEX,
                 "none of them")):
            with self.subTest(what):
                self.serve(manifest, kind=kind)
                self.assert_refused(self.ask("resolve", "v1"), 512, why)

    def test_a_list_by_digest_is_no_image(self):
        digest = self.serve({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, kind=INDEX)
        self.assert_refused(self.fetch(digest), 512, "index of images")

    def test_an_artefact_is_no_image(self):
        artefact = Image(gzipped(layer({"a": "b"})), artifactType="application/vnd.example")
        digest = self.serve(artefact.text)
        self.assert_refused(self.fetch(digest), 512, "artefact")

    def test_a_manifest_that_is_too_large(self):
        self.serve(b"{" + b" " * (5 << 20) + b"}")
        self.assert_refused(self.ask("resolve", "v1"), 503, "more than it said")

    def test_a_blob_that_is_missing(self):
        del self.server.blobs[self.image.layers[1]["digest"]]
        self.assert_refused(self.fetch(), 512, "not its blob")

    def test_tags_without_an_end(self):
        self.lie_at("tags", lambda h: h.say(200, b'{"tags":[]}', Link=f'<{h.path}>; rel="next"'))
        self.assert_refused(self.ask("list"), 503, "without an end")

    def test_more_tags_than_can_be(self):
        many = json.dumps({"tags": [f"v{n}" for n in range(20000)]}).encode()
        self.lie_at("tags", lambda h: h.say(200, many))
        self.assert_refused(self.ask("list"), 503, "more than 10000 tags")

    def test_lists_of_tags_that_are_none(self):
        for body in (b"", b"[]", b'{"tags":"v1"}', b"x" * 100):
            with self.subTest(body=body[:10]):
                self.lie_at("tags", lambda h, body=body: h.say(200, body))
                self.assertEqual(self.ask("list")["code"], 503)


class Elsewhere(Case):
    """Who would like to have the password, and where a registry would like to send us."""

    def setUp(self):
        super().setUp()
        self.other = standin.elsewhere(self.image.blobs)
        self.addCleanup(self.other.close)

    def assert_not_shown(self):
        self.assertEqual([a for _, _, a, _ in self.other.seen if a], [])

    def test_a_realm_elsewhere_gets_no_password(self):
        """CVE-2026-65388: who is sent elsewhere for a token took the password along."""
        for realm in (f"http://{self.other.host}/token", "https://evil.example/token",
                      f"http://{self.server.host}@{self.other.host}/token"):
            with self.subTest(realm=realm):
                self.server.challenge = f'Bearer realm="{realm}",service="x"'
                self.assert_refused(self.ask("resolve", "v1"), 503, "")
        self.assertEqual(self.other.seen, [])

    def test_a_realm_that_the_administrator_named_does(self):
        self.server.challenge = f'Bearer realm="https://{self.other.host}/token"'
        answer = self.ask("resolve", "v1", REGISTRY_TOKEN_HOSTS=self.other.host)
        self.assertIn("cannot be reached", answer["error"])  # it was gone to, and speaks no TLS

    def test_redirects_do_not_take_the_password_along(self):
        """CVE-2020-15157 (GO-2022-0803) of containerd: it was sent to where a registry pointed."""
        self.lie_at("manifests", lambda h: h.say(302, Location=f"http://{self.other.host}/x"))
        self.assertIn("error", self.ask("resolve", "v1"))
        self.assert_not_shown()
        self.assertNotEqual(self.other.seen, [])

    def test_redirects_to_where_nobody_goes(self):
        for location, why in (("http://169.254.169.254/latest/meta-data/", "address of this machine or its link"),
                              ("http://[fd00:ec2::254]/", "address of this machine or its link"),
                              ("http://[fe80::1]/", "address of this machine or its link"),
                              ("file:///etc/passwd", "cannot be reached"), ("gopher://127.0.0.1:1/x", "cannot be reached"),
                              ("ftp://127.0.0.1/x", "cannot be reached")):
            with self.subTest(location=location):
                self.lie_at("blobs", lambda h, location=location: h.say(302, Location=location))
                self.assert_refused(self.fetch(), 503, why)

    def test_redirects_in_a_circle(self):
        self.lie_at("blobs", lambda h: h.say(302, Location=h.path))
        self.assert_refused(self.fetch(), 503, "cannot be reached")

    def test_uploads_go_to_the_registry_alone(self):
        layout = self.image.write_layout(self.folder / "layout")
        posts = []

        def do_other(handler):
            handler.note()
            if handler.command == "HEAD":
                handler.say(404)
            elif handler.command == "POST":
                posts.append(handler.path)
                handler.say(202, Location=f"http://{self.other.host}/upload")

        standin.Liar.do_HEAD = standin.Liar.do_POST = do_other
        self.addCleanup(delattr, standin.Liar, "do_HEAD")
        self.addCleanup(delattr, standin.Liar, "do_POST")
        self.server.challenge = None
        answer = self.ask("push", str(layout), self.image.digest, "v1")
        self.assert_refused(answer, 503, "does not say where to send to")
        self.assertEqual(self.other.seen, [])
        self.assertNotEqual(posts, [])


if __name__ == "__main__":
    unittest.main()
