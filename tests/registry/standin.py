# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry of this test's own, which can lie in one point at a time, and images for it and for the real one."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
import time

OCI = "application/vnd.oci.image"
MANIFEST = f"{OCI}.manifest.v1+json"
INDEX = f"{OCI}.index.v1+json"
USER, PASSWORD = "ci", "s3cret-of-the-test"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def auth_file(password, *hosts):
    """A containers-auth.json(5)."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth} for host in hosts}})


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(files, mode=0o755):
    """An uncompressed layer: {path: text}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


class Image:
    """Blobs and a manifest; `layers` are (bytes as they are sent, bytes uncompressed, media type)."""

    def __init__(self, *layers, config=None, **more):
        self.blobs = {}
        diffs = [digest_of(plain) for _, plain, _ in layers]
        text = json.dumps({"os": "linux", "architecture": "amd64", "config": config or {},
                           "rootfs": {"type": "layers", "diff_ids": diffs}}).encode()
        self.layers = [self.add(data, kind) for data, _, kind in layers]
        self.config = self.add(text, f"{OCI}.config.v1+json")
        self.manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config, "layers": self.layers,
                         **more}

    def add(self, data, kind):
        self.blobs[digest_of(data)] = data
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    @property
    def text(self):
        return json.dumps(self.manifest).encode()

    @property
    def digest(self):
        return digest_of(self.text)

    def write_layout(self, folder, tag="v1"):
        (folder / "blobs/sha256").mkdir(parents=True)
        for digest, data in {**self.blobs, self.digest: self.text}.items():
            (folder / "blobs/sha256" / digest[7:]).write_bytes(data)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": MANIFEST, "digest": self.digest, "size": len(self.text),
             "annotations": {"org.opencontainers.image.ref.name": tag}}]}))
        return folder


def gzipped(plain, level=1):
    return gzip.compress(plain, level, mtime=0), plain, f"{OCI}.layer.v1.tar+gzip"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler, port=0):
        super().__init__(("127.0.0.1", port), handler)
        self.port = self.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.seen = []  # (method, path, Authorization, Range)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # who is lied to hangs up

    def close(self):
        self.shutdown()
        self.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def note(self):
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization"),
                                 self.headers.get("Range")))

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


    def begin(self, size, data=b""):
        """A body that is said to have this size, and how it begins."""
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(data)


class Elsewhere(Quiet):
    """Another host: says what was asked of it, and serves the blobs it was given."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.note()
        self.say(200, self.server.blobs.get(self.path.split("?")[0].rsplit("/", 1)[-1], b'{"token":"stolen"}'))


class Liar(Quiet):
    """One repository's part of the protocol. `server.lie` is a method name of the test's choice, called first; what
    it returns as true was an answer."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.note()
        if self.server.lie and self.server.lie(self):
            return
        if not self.is_let_in():
            return
        kind, name = self.path.split("?")[0].rsplit("/", 2)[1:]
        {"manifests": self.manifest, "blobs": self.blob, "tags": self.tags}.get(kind, self.missing)(name)

    def is_let_in(self):
        if self.server.challenge is None or self.headers.get("Authorization") in self.server.accepts:
            return True
        self.say(401, WWW_Authenticate=self.server.challenge)
        return False

    def missing(self, name=None):
        self.say(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    def manifest(self, name):
        found = self.server.manifests.get(name)
        if not found:
            return self.missing()
        text, kind = found
        return self.say(200, text, Content_Type=kind, Docker_Content_Digest=digest_of(text))

    def blob(self, name):
        data = self.server.blobs.get(name)
        if data is None:
            return self.missing()
        offset = int(self.headers["Range"][6:-1]) if self.headers.get("Range") else 0
        if offset:
            return self.say(206, data[offset:], Content_Range=f"bytes {offset}-{len(data) - 1}/{len(data)}")
        return self.say(200, data)

    def tags(self, name):
        self.say(200, json.dumps({"name": "x", "tags": [t for t in self.server.manifests if ":" not in t]}).encode())


def liar(image, tag="v1", port=0):
    server = Server(Liar, port)
    server.manifests = {tag: (image.text, MANIFEST), image.digest: (image.text, MANIFEST)}
    server.blobs = dict(image.blobs)
    server.lie = None
    server.challenge, server.accepts = 'Basic realm="test"', {BASIC}
    return server


def elsewhere(blobs=None):
    server = Server(Elsewhere)
    server.blobs = blobs or {}
    return server


class Gate:
    """A port that leads to another, at a speed: bytes a second, 0 for none; counts connections."""

    def __init__(self, target, speed=None):
        self.target, self.speed = target, speed
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pass_on, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(far, near, self), daemon=True).start()

    @staticmethod
    def pass_on(source, sink, gate):
        try:
            while data := source.recv(65536 if not gate or gate.speed is None else 16384):
                while gate and gate.speed == 0:
                    time.sleep(0.05)
                if gate and gate.speed:
                    time.sleep(len(data) / gate.speed)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                end.close()

    def close(self):
        self.socket.close()
