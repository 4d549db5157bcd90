# SPDX-License-Identifier: LGPL-2.1-or-later
"""What no package has: the metadata service of an instance (version 2) and the credentials endpoint of a container, at
their real addresses on this machine's loopback; the calls of ECR. Each checks what it is asked as the real one does; the
keys that they hand out are real ones of a real server."""

import http.server
import json
import subprocess
import threading
import time

METADATA, CONTAINER = "169.254.169.254", "169.254.170.2"


def seconds_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Standin:
    """A server whose answers are functions of the test: `answer(method, path, headers, body)` gives (code, text)."""

    def __init__(self, address="127.0.0.1", port=0):
        if address != "127.0.0.1":
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
        standin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                standin.seen.append(f"{self.command} {self.path}")
                code, text, *headers = standin.answer(self.command, self.path, self.headers, body)
                self.send_response(code)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = handle_any

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass

        self.seen = []
        self.server = Server((address, port), Handler)
        self.port = self.server.server_port
        self.endpoint = f"http://{address}:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, path, headers, body):
        raise NotImplementedError

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Keys:
    """Sessions of a real server, as these endpoints write them; a new one each time."""

    def __init__(self, server, seconds=3600):
        self.server, self.seconds = server, seconds
        self.given = []

    def text(self):
        keys = self.server.session(max(self.seconds, 900))
        self.given.append(keys)
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": keys["AccessKeyId"],
                           "SecretAccessKey": keys["SecretAccessKey"], "Token": keys["SessionToken"],
                           "Expiration": seconds_text(time.time() + self.seconds)})


class Metadata(Standin):
    ROLES = "/latest/meta-data/iam/security-credentials/"

    def __init__(self, keys):
        super().__init__(METADATA, 80)
        self.keys, self.token, self.faults = keys, "TOKEN-of-6h==", {}

    def answer(self, method, path, headers, body):
        for fault, answer in list(self.faults.items()):
            if path.startswith(fault):
                return answer()
        if (method, path) == ("PUT", "/latest/api/token"):
            return (200, self.token) if headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "21600" else (400, "")
        if headers.get("X-aws-ec2-metadata-token") != self.token:
            return 401, ""
        if path == self.ROLES:
            return 200, "worker-role"
        return (200, self.keys.text()) if path == self.ROLES + "worker-role" else (404, "")


class Container(Standin):
    def __init__(self, keys, address=CONTAINER, port=80):
        super().__init__(address, port)
        self.keys, self.token = keys, None

    def answer(self, method, path, headers, body):
        if self.token and headers.get("Authorization") != self.token:
            return 401, ""
        return (200, self.keys.text()) if path == "/v2/credentials/x" else (404, "")
