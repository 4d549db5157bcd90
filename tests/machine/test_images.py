#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image store, by its orders: good images become root file systems that are fit to be run, and every kind of bad
one is refused with a word about what is wrong, and leaves nothing behind.

Speaks part 3 of docs/PROTOCOL.md as a worker would. By hand, as root:
PIPELINE_SANDBOX=/path/to/sandbox.sock PIPELINE_STORE=/path/to/store test_images.py [NAME…]
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import sandbox
import suite

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
RUN = "opt/test-runner/bin/run.sh"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# Layers


def entry(name, content=b"", kind=tarfile.REGTYPE, mode=0o644, link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def folder(name, mode=0o755):
    return entry(name, kind=tarfile.DIRTYPE, mode=mode)


def link(name, target):
    return entry(name, kind=tarfile.SYMTYPE, link=target)


def layer(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


PROGRAM = layer(folder("opt"), folder("opt/test-runner"), folder("opt/test-runner/bin"),
                entry(RUN, b"#!/bin/sh\n", mode=0o700))


class Image:
    """A good image of these layers, gzipped; members can be changed before it is sent."""

    def __init__(self, *layers, run=None, pack=gzip.compress, layer_type=OCI + "layer.v1.tar+gzip"):
        layers = layers or (PROGRAM,)
        self.packed = [pack(plain) for plain in layers]
        self.config = {"os": "linux", "config": run or {},
                       "rootfs": {"type": "layers", "diff_ids": [digest_of(plain) for plain in layers]}}
        self.layers = [{"mediaType": layer_type, "digest": digest_of(data), "size": len(data)} for data in self.packed]
        self.manifest = {"schemaVersion": 2}
        self.config_type = OCI + "config.v1+json"

    def blobs(self):
        """[manifest, config, layer…] as bytes, the manifest made from what the members are now."""
        config = json.dumps(self.config).encode()
        manifest = {"config": {"mediaType": self.config_type, "digest": digest_of(config), "size": len(config)},
                    "layers": self.layers, **self.manifest}
        return [json.dumps(manifest).encode(), config, *self.packed]


# Orders


def send_blob(order, data, digest=None):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        order.send(sandbox.BLOB, (digest or digest_of(data)).encode(), file.fileno())


def begin_install(image, probe=(), digest=None, blobs=None):
    blobs = image.blobs() if blobs is None else blobs
    order = sandbox.Order({"order": "install", "digest": digest or digest_of(blobs[0]), "probe": list(probe)})
    try:
        for blob in blobs:
            send_blob(order, blob)
        order.send(sandbox.INPUT_END)
    except BrokenPipeError:
        pass  # it has answered already
    return order


def install(image, probe=(), **more):
    with begin_install(image, probe, **more) as order:
        return order.answer()


def remove_all():
    for digest in sandbox.ask(order="images")["images"]:
        sandbox.ask(order="remove", digest=digest)


def limits_of_umoci():
    """/proc/PID/limits of one that runs; None where there is none."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text() == "umoci\n":
                return (folder / "limits").read_text()
    return None


class ImagesTest(unittest.TestCase):
    def setUp(self):
        remove_all()
        self.victim = pathlib.Path(tempfile.mkdtemp(prefix="test-images-"))
        (self.victim / "file").write_text("untouched")
        os.chmod(self.victim, 0o777)

    def tearDown(self):
        self.assertEqual([p.name for p in self.victim.iterdir()], ["file"])
        self.assertEqual((self.victim / "file").read_text(), "untouched")
        shutil.rmtree(self.victim)
        remove_all()
        suite.wait_until(lambda: not any([*(sandbox.STORE / n).iterdir()] for n in ("incoming", "removed")))

    def root(self, image):
        return sandbox.STORE / "images" / digest_of(image.blobs()[0]).replace(":", "-") / "rootfs"

    def assert_installed(self, image, probe=()):
        answer = install(image, probe)
        self.assertEqual(answer["code"], 0, answer)
        return answer

    def assert_refused(self, image, *words, **more):
        answer = install(image, **more)
        self.assertEqual(answer["code"], 512, answer)
        for word in words:
            self.assertIn(word, answer["error"])
        self.assertEqual(sandbox.ask(order="images")["images"], [])


class Good(ImagesTest):
    def test_what_the_answer_says(self):
        run = {"Entrypoint": ["/opt/x", "y"], "Env": ["A=b"], "WorkingDir": "/opt//test-runner", "User": "student"}
        answer = self.assert_installed(Image(run=run), ["/" + RUN, "/run.sh", "/opt", "/etc/passwd"])
        self.assertEqual(answer["config"], {"entrypoint": ["/opt/x", "y"], "environment": ["A=b"],
                                            "folder": "/opt/test-runner", "user": "student"})
        self.assertEqual(answer["probed"], {"/" + RUN: "executable", "/run.sh": None, "/opt": "folder",
                                            "/etc/passwd": "file"})

    def test_links_are_followed_inside_the_image(self):
        image = Image(PROGRAM, layer(link("a", "/opt"), link("out", "../../../../../etc/hostname")))
        answer = self.assert_installed(image, ["/a/test-runner/bin/run.sh", "/out"])
        self.assertEqual(answer["probed"], {"/a/test-runner/bin/run.sh": "executable", "/out": None})

    def test_ways_to_pack_a_layer(self):
        for pack, kind in ((bytes, OCI + "layer.v1.tar"), (gzip.compress, DOCKER + "image.rootfs.diff.tar.gzip")):
            image = Image(pack=pack, layer_type=kind)
            self.assert_installed(image)
            self.assertTrue((self.root(image) / RUN).exists())

    def test_docker_schema_2(self):
        image = Image(layer_type=DOCKER + "image.rootfs.diff.tar.gzip")
        image.manifest["mediaType"] = DOCKER + "distribution.manifest.v2+json"
        image.config_type = DOCKER + "container.image.v1+json"
        self.assert_installed(image)

    def test_layers_and_whiteouts(self):
        image = Image(layer(folder("d"), entry("d/a", b"1"), entry("d/b", b"1"), entry("e", b"1")),
                      layer(entry("d/.wh.a"), entry("e", b"2")),
                      layer(folder("o"), entry("o/.wh..wh..opq"), entry("o/x", b"3")))
        self.assert_installed(image)
        self.assertEqual(sorted(p.name for p in (self.root(image) / "d").iterdir()), ["b"])
        self.assertEqual((self.root(image) / "e").read_text(), "2")

    def test_the_tree_is_settled(self):
        image = Image(layer(entry("suid", b"x", mode=0o6711), entry("secret", b"x", mode=0o600), folder("closed", 0o700),
                            entry("open", b"x", mode=0o666), folder("shared", 0o1777), folder("free", 0o777),
                            entry("pipe", kind=tarfile.FIFOTYPE)), run={"User": "student:x"})
        self.assert_installed(image)
        root = self.root(image)
        modes = {name: stat.S_IMODE(os.lstat(root / name).st_mode)
                 for name in ("suid", "secret", "closed", "open", "shared", "free")}
        self.assertEqual(modes, {"suid": 0o715, "secret": 0o604, "closed": 0o705, "open": 0o664, "shared": 0o1777,
                                 "free": 0o775})
        self.assertFalse((root / "pipe").exists())
        for name in ("dev", "etc", "mnt/exercism-iteration", "proc", "run", "sys", "tmp"):
            self.assertTrue(stat.S_ISDIR(os.lstat(root / name).st_mode), name)
        self.assertEqual(os.lstat(root / ".pipeline-init").st_size, 0)
        self.assertIn("student:x:65536:65536::/tmp:", (root / "etc/passwd").read_text())

    def test_names_of_the_guest(self):
        for user, name in (("", "guest"), ("1000", "guest"), ("root", "guest"), ("a:b", "a"), ("x" * 40, "guest"),
                           ("A/b", "guest"), ("4294967296", "guest"), ("4294967296:4294967296", "guest"), ("-1", "guest")):
            image = Image(run={"User": user})
            self.assert_installed(image)
            self.assertIn(f"\n{name}:x:65536:", (self.root(image) / "etc/passwd").read_text())

    def test_owners_are_mapped(self):
        image = Image(layer(entry("a", b"x", uid=0, gid=0), entry("b", b"x", uid=1000, gid=50)))
        self.assert_installed(image)
        first, second = os.lstat(self.root(image) / "a"), os.lstat(self.root(image) / "b")
        self.assertEqual((second.st_uid - first.st_uid, second.st_gid - first.st_gid), (1000, 50))
        self.assertGreater(first.st_uid, 65535)

    def test_owners_that_cannot_be(self):
        """Ids beyond what a guest has, and beyond 32 bits, where they begin anew: no file is ever one of the host's."""
        for owner in (65536, 2**31):
            self.assert_refused(Image(layer(entry("a", b"x", uid=owner))), "lchown")
            self.assert_refused(Image(layer(entry("a", b"x", gid=owner))), "lchown")
        for owner in (2**32 - 1, 2**32, 2**32 + 1000):
            image = Image(layer(entry("a", b"x"), entry("b", b"x", uid=owner, gid=owner)))
            self.assert_installed(image)
            first, second = os.lstat(self.root(image) / "a"), os.lstat(self.root(image) / "b")
            self.assertGreater(first.st_uid, 65535)
            self.assertIn(second.st_uid - first.st_uid, range(65536))
            self.assertIn(second.st_gid - first.st_gid, range(65536))

    def test_file_capabilities_are_taken_away(self):
        data = struct.pack("<5I", 0x02000000, 1 << 13, 0, 0, 0)
        image = Image(layer(entry("ping", b"x", mode=0o755,
                                  pax_headers={"SCHILY.xattr.security.capability": data.decode("latin-1")})))
        answer = install(image)
        if answer["code"] == 0:
            self.assertEqual(os.listxattr(self.root(image) / "ping"), [])

    def test_an_image_that_is_there_wants_no_blobs(self):
        image = Image()
        self.assert_installed(image)
        self.assertEqual(sandbox.ask(order="install", digest=digest_of(image.blobs()[0]), probe=["/opt"])["probed"],
                         {"/opt": "folder"})

    def test_two_at_once(self):
        image = Image()
        first, second = begin_install(image), begin_install(image)
        with first, second:
            answers = [first.answer(), second.answer()]
        self.assertEqual([answer["code"] for answer in answers], [0, 0], answers)
        self.assertEqual(sandbox.ask(order="images")["images"], [digest_of(image.blobs()[0])])

    def test_removed(self):
        image = Image()
        self.assert_installed(image)
        digest = digest_of(image.blobs()[0])
        self.assertEqual(sandbox.ask(order="remove", digest=digest)["code"], 0)
        self.assertEqual(sandbox.ask(order="images")["images"], [])
        self.assertEqual(sandbox.ask(order="remove", digest=digest)["code"], 511)

    def test_a_worker_that_goes_leaves_nothing(self):
        big = layer(*(entry(f"f{i}", os.urandom(1 << 20)) for i in range(20)))
        begin_install(Image(big)).close()
        time.sleep(0.3)
        remove_all()  # if it was quicker; tearDown looks for the rest


class Collected(ImagesTest):
    """Ages of seconds instead of days."""

    def setUp(self):
        super().setUp()
        self.plain = sandbox.CONFIG.read_text()
        self.set("ImageAge=2s\nImageFreeSpace=0\n")

    def tearDown(self):
        self.set("")
        super().tearDown()

    def set(self, text):
        sandbox.CONFIG.write_text(self.plain + text)
        suite.run("systemctl", "restart", sandbox.SERVICE)

    def test_old_ones_go_held_ones_stay(self):
        held, old = Image(), Image(layer(folder("opt"), entry("opt/other", b"x")))
        digests = [digest_of(image.blobs()[0]) for image in (held, old)]
        self.assertEqual(sandbox.ask(order="hold", digests=["sha256:x"])["code"], 400)
        with sandbox.Order({"order": "hold", "digests": digests[:1]}):
            for image in (held, old):
                self.assert_installed(image)
            began = time.monotonic()
            suite.wait_until(lambda: digests[1] not in sandbox.ask(order="images")["images"], 20)
            self.assertGreaterEqual(time.monotonic() - began, 1.5)
            time.sleep(2.5)
            self.assertEqual(sandbox.ask(order="images")["images"], digests[:1])
            self.assertEqual(sandbox.ask(order="remove", digest=digests[0])["code"], 400)
        suite.wait_until(lambda: not sandbox.ask(order="images")["images"], 20)

    def test_one_that_a_guest_runs_in_stays_to_its_end(self):
        """However old it is, and though it is asked to go; what it reads last is still there."""
        script = b"#!/bin/sh\nsleep 8\nread -r word </opt/late && [ $word = whole ]\n"
        image = Image(layer(folder("bin"), entry("bin/sh", pathlib.Path("/bin/busybox").read_bytes(), mode=0o755),
                            entry("bin/sleep", kind=tarfile.SYMTYPE, link="sh")),
                      layer(folder("opt"), entry("opt/late", b"whole\n"), entry(RUN, script, mode=0o755)))
        digest = digest_of(image.blobs()[0])
        self.assert_installed(image)
        with sandbox.run_order(digest, limits={"wall_usec": 60_000_000}) as job:
            self.assertIn("scope", job.until(sandbox.STARTED))
            answer = sandbox.ask(order="remove", digest=digest)
            self.assertEqual((answer["code"], answer.get("error")), (400, "the image is in use"))
            time.sleep(5)  # more than twice its age: it was looked at
            self.assertEqual(sandbox.ask(order="images")["images"], [digest])
            answer = sandbox.ask(order="remove", digest=digest)
            self.assertEqual((answer["code"], answer.get("error")), (400, "the image is in use"))
            end = job.until(sandbox.ANSWER)
        self.assertEqual((end["code"], end["cause"], end["status"]), (0, "exited", 0), end)
        suite.wait_until(lambda: not sandbox.ask(order="images")["images"], 20)

    def test_without_room_the_oldest_goes_first(self):
        self.set("ImageAge=1h\nImageFreeSpace=8E\n".replace("8E", "8191T"))
        images = [Image(layer(folder("opt"), entry(f"opt/{n}", b"x"))) for n in range(2)]
        for image in images:
            self.assert_installed(image)
        long_ago = time.time() - 7200
        older = digest_of(images[1].blobs()[0])
        os.utime(sandbox.STORE / "images" / older.replace(":", "-"), (long_ago, long_ago))
        suite.run("systemctl", "restart", sandbox.SERVICE)
        suite.wait_until(lambda: older not in sandbox.ask(order="images")["images"], 30)
        self.assertEqual(sandbox.ask(order="images")["images"], [digest_of(images[0].blobs()[0])])  # used within the hour


class Bad(ImagesTest):
    def test_places_that_must_be_folders(self):
        for name in ("dev", "etc", "mnt", "proc", "run", "sys", "tmp"):
            self.assert_refused(Image(layer(link(name, str(self.victim)))), f"/{name} must be a folder")
            self.assert_refused(Image(layer(entry(name, b"x"))), f"/{name} must be a folder")
        self.assert_refused(Image(layer(folder("mnt"), link("mnt/exercism-iteration", "/tmp"))),
                            "/mnt/exercism-iteration must be a folder")

    def test_places_that_must_be_files(self):
        for name in (".pipeline-init", "etc/passwd", "etc/hosts"):
            self.assert_refused(Image(layer(folder(name))), f"/{name} must be a file")

    def test_links_in_the_place_of_files_are_replaced(self):
        image = Image(layer(folder("etc"), link("etc/passwd", f"{self.victim}/file"),
                            link(".pipeline-init", f"{self.victim}/file")))
        self.assert_installed(image)
        self.assertTrue(stat.S_ISREG(os.lstat(self.root(image) / "etc/passwd").st_mode))

    def test_devices(self):
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            self.assert_refused(Image(layer(entry("dev/sda", kind=kind, devmajor=8, devminor=0))), "layer 1", "device dev/sda")

    def assert_contained(self, *entries):
        """Refused or not: nothing is written outside of the image (tearDown looks at the victim)."""
        image = Image(layer(*entries))
        answer = install(image)
        self.assertIn(answer["code"], (0, 512), answer)
        self.assertEqual(sorted(p.name for p in sandbox.STORE.iterdir() if not p.name.startswith(".")),
                         ["images", "incoming", "removed"])
        self.assertFalse(pathlib.Path("/escape").exists())

    def test_names_that_lead_out(self):
        """As CVE-2021-29136 of umoci and GHSA-hpxr-w9w7-g4gv of stereoscope have it: names, and entries for the root."""
        up = "../" * 20
        for name in ("../escape", "/escape", up + "escape", f"{up}{self.victim}/x", f"{self.victim}/x", "a/../../escape",
                     "./.././escape"):
            self.assert_contained(entry(name, b"x"))

    def test_links_that_lead_out(self):
        """CVE-2021-29136 (umoci: a link in the place of the root), CVE-2020-29529 (go-slug: chained links),
        CVE-2026-17106 (moby/go-archive: hard links), GHSA-hpxr-w9w7-g4gv (stereoscope: links, then files through them),
        Nomad PR#23738 (links in an archive)."""
        target = str(self.victim)
        self.assert_contained(link("l", target), entry("l/x", b"x"))
        self.assert_contained(link("l", target), entry("l/file", b"x"))
        self.assert_contained(link("a", "b"), link("b", target), entry("a/x", b"x"))
        self.assert_contained(link(".", target), entry("x", b"x"))
        self.assert_contained(link("/", target), entry("x", b"x"))
        self.assert_contained(link("l", f"{target}/file"), entry("l", b"x"))
        self.assert_contained(entry("h", kind=tarfile.LNKTYPE, link=f"{target}/file"), entry("h", b"x"))
        self.assert_contained(entry("h", kind=tarfile.LNKTYPE, link="../" * 20 + f"{target}/file"), entry("h", b"x"))
        self.assert_contained(link("l", f"{target}/file"), entry("h", kind=tarfile.LNKTYPE, link="l"), entry("h", b"x"))

    def test_whiteouts_that_lead_out(self):
        target = str(self.victim)
        self.assert_refused(Image(layer(entry("n/.wh..."))), "root folder")
        for name in (".wh..", ".wh...", ".wh..wh..opq", f"..{target}/.wh.file"):
            self.assert_contained(entry(name))
        self.assert_contained(link("l", target), entry("l/.wh.file"))
        self.assert_contained(link("l", target), entry("l/.wh..wh..opq"))

    def test_other_images_are_not_seen(self):
        victim = Image()
        self.assert_installed(victim)
        path = self.root(victim) / RUN
        self.assert_contained(link("l", str(self.root(victim) / "opt/test-runner/bin")), entry("l/run.sh", b"evil"))
        self.assertEqual(path.read_text(), "#!/bin/sh\n")

    def test_folders_that_are_too_deep(self):
        name = "/".join("d" * 300)
        self.assert_refused(Image(layer(entry(name, b"x"))), "256 deep")

    def test_memory_of_the_unpacking_is_bounded(self):
        """Names alone make it large: umoci keeps where each entry leads to."""
        with begin_install(Image(layer(*[entry(f"f{i}") for i in range(15_000)]))) as order:
            seen = []
            suite.wait_until(lambda: seen.append(limits_of_umoci()) or seen[-1], 60)
            self.assertEqual(order.answer()["code"], 0)
        self.assertRegex(seen[-1], r"Max data size +2147483648 +2147483648 +bytes")

    def test_names_that_collide(self):
        image = Image(layer(entry("A", b"1"), entry("a", b"2"), entry("e\u0301", b"3"), entry("\u00e9", b"4")))
        self.assert_installed(image)
        self.assertEqual((self.root(image) / "A").read_text(), "1")

    def test_extended_attributes(self):
        """Names and sizes that made apple/container crash."""
        for name in ("user.x" * 60, "trusted.overlay.opaque", "security.selinux", "", "\u00e9", "user."):
            self.assert_contained(entry("f", b"x", pax_headers={f"SCHILY.xattr.{name}": "y"}))

    def test_layers_that_are_not_what_they_are_said_to_be(self):
        image = Image()
        image.layers[0]["size"] += 1
        self.assert_refused(image, "layer 1", "bytes that the manifest says")
        image = Image()
        image.config["rootfs"]["diff_ids"] = [digest_of(b"x")]
        self.assert_refused(image, "layer 1", "diff id")
        image = Image()
        image.config["rootfs"]["diff_ids"] *= 2
        self.assert_refused(image, "1 layers", "2 diff ids")
        image = Image(layer_type=OCI + "layer.v1.tar+zstd")
        self.assert_refused(image, "layer 1", "corrupt")
        self.assert_refused(Image(b"no tar at all" * 100), "layer 1", "no tar")
        image = Image(PROGRAM, layer(entry("a", b"x")))  # the second says that it is the first
        image.config["rootfs"]["diff_ids"][1] = digest_of(PROGRAM)
        self.assert_refused(image, "layer 2", "diff id")

    def test_a_layer_that_comes_again_counts_again(self):
        """It is unpacked again, too."""
        many = layer(*[entry(f"f{i}") for i in range(20_000)])
        image = Image(many)
        for members in (image.packed, image.layers, image.config["rootfs"]["diff_ids"]):
            members *= 101
        blobs = image.blobs()
        self.assert_refused(image, "layer 101", "entries", blobs=blobs[:3])
        self.assert_installed(Image(PROGRAM, layer(entry("a", b"x")), PROGRAM))

    def test_blobs_that_are_not_what_they_are_said_to_be(self):
        image = Image()
        manifest, config, packed = image.blobs()
        with sandbox.Order({"order": "install", "digest": digest_of(manifest), "probe": []}) as order:
            send_blob(order, manifest)
            send_blob(order, config)
            send_blob(order, packed[:-1] + bytes([packed[-1] ^ 1]), digest_of(packed))
            order.send(sandbox.INPUT_END)
            answer = order.answer()
        self.assertEqual(answer["code"], 512, answer)
        self.assert_refused(image, "configuration", "was not sent", blobs=[manifest, packed])
        self.assert_refused(image, "layer", "was not sent", blobs=[manifest, config])
        self.assert_refused(image, "manifest", "was not sent", digest=digest_of(b"y"))

    def test_digests_that_are_none(self):
        """GHSA-f689 of apple/container: a digest that is a path into the host."""
        for digest in ("sha256:../../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 128, "", "sha256:" + "a" * 65):
            self.assertEqual(sandbox.ask(order="install", digest=digest, probe=[])["code"], 400)
            self.assertEqual(sandbox.ask(order="remove", digest=digest)["code"], 400)
        image = Image()
        image.layers[0]["digest"] = "sha256:../../../../" + "a" * 48
        self.assert_refused(image, "layers[0].digest")

    def test_manifests_that_are_none_of_an_image(self):
        """GO-2022-0360: a manifest that is an index, too. CVE-2020-15157, GO-2022-0803: layers with addresses of their
        own, which would be sent the password."""
        image = Image()
        image.manifest["manifests"] = []
        self.assert_refused(image, "index of images")
        image = Image()
        image.manifest["artifactType"] = "application/x"
        self.assert_refused(image, "artefact")
        image = Image()
        image.layers[0]["urls"] = ["https://example.org/layer"]
        self.assert_refused(image, "address of its own")
        image = Image(*[layer(entry(f"f{i}", b"x")) for i in range(129)])
        self.assertIn(install(image)["code"], (400, 512))

    def test_configurations_that_cannot_be(self):
        for run, word in (({"WorkingDir": "/proc/self/fd/8"}, "WorkingDir"), ({"Env": ["A=\0"]}, "Env"),
                          ({"Entrypoint": ["x" * 40000]}, "Entrypoint"), ({"User": "a\nroot:x:0"}, "User"),
                          ({"Env": ["A=" + "x" * 40000]}, "Env"), ({"Env": [f"V{i}=x" for i in range(20000)]}, "Env"),
                          ({"Env": ["=x"]}, "Env"), ({"WorkingDir": "/" + "x" * 5000}, "WorkingDir"),
                          ({"User": "x" * 5000}, "User")):
            self.assert_refused(Image(run=run), word)
        image = Image()
        image.config["architecture"] = "sparc"
        self.assert_refused(image, "architecture")
        image.config["os"] = "windows"
        self.assert_refused(image, "linux")


if __name__ == "__main__":
    unittest.main()
