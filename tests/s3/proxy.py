# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy between a worker and a real server: passes requests on byte by byte, and does to the answers what a test asks
for. Nothing is checked or signed here: that is the real server's."""

import contextlib
import re
import socket
import struct
import threading
import time


class Answer:
    """What the server said, whole."""

    def __init__(self, head, body):
        self.head, self.body = head, body

    def bytes(self):
        return self.head + self.body

    def replace_body(self, body):
        head = re.sub(rb"(?im)^(content-length|transfer-encoding):.*\r\n", b"", self.head)
        return Answer(head[:-2] + b"Content-Length: %d\r\n\r\n" % len(body), body)


def status(code, text, body=b"", **headers):
    """An action: this answer, without asking the server."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    answer = f"HTTP/1.1 {code} {text}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def act(proxy, client, head):
        client.sendall(answer)
    return act


def error(code, name):
    return status(code, "Error", f"<?xml version='1.0'?><Error><Code>{name}</Code></Error>".encode())


def truncate(size):
    """So many bytes of the body, then the end."""
    def act(proxy, client, head):
        answer = proxy.ask(head)
        client.sendall(answer.head + answer.body[:size])
        return True
    return act


def reset(proxy, client, head):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def stall(proxy, client, head):
    """Not a word, until the other end gives up."""
    with contextlib.suppress(OSError):
        client.recv(1)
    return True


def trickle(proxy, client, head):
    """The head, and then a byte now and then."""
    answer = proxy.ask(head)
    client.sendall(answer.head)
    for byte in answer.body:
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def body(change):
    """Another body, with a length that fits it."""
    def act(proxy, client, head):
        answer = proxy.ask(head)
        client.sendall(answer.replace_body(change(answer.body)).bytes())
    return act


def after(what):
    """Something happens before the request reaches the server."""
    def act(proxy, client, head):
        what()
        client.sendall(proxy.ask(head).bytes())
    return act


class Proxy:
    def __init__(self, port):
        self.upstream = ("127.0.0.1", port)
        self.rules = []             # [pattern of the request line, action, how often]
        self.seen = []              # request lines
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def rule(self, pattern, action, times=10**9):
        self.rules.append([pattern, action, times])
        return self

    def count(self, pattern):
        return sum(1 for line in self.seen if re.search(pattern, line))

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with client, contextlib.suppress(OSError):
            pending = b""
            while True:
                while b"\r\n\r\n" not in pending:
                    data = client.recv(65536)
                    if not data:
                        return
                    pending += data
                head, _, pending = pending.partition(b"\r\n\r\n")
                if self.choose(head + b"\r\n\r\n")(self, client, head + b"\r\n\r\n"):
                    return

    def choose(self, head):
        line = head.split(b"\r\n", 1)[0].decode()
        with self.lock:
            self.seen.append(line)
            for rule in self.rules:
                if rule[2] > 0 and re.search(rule[0], line):
                    rule[2] -= 1
                    return rule[1]
        return lambda proxy, client, head: client.sendall(proxy.ask(head).bytes())

    def ask(self, head):
        """The real server's answer."""
        with socket.create_connection(self.upstream) as server:
            server.sendall(head)
            stream = server.makefile("rb")
            lines = []
            while (line := stream.readline()) not in (b"\r\n", b""):
                lines.append(line)
            fields = {n.strip().lower(): v.strip() for n, _, v in (line.partition(b":") for line in lines[1:])}
            if fields.get(b"transfer-encoding") == b"chunked":
                content = b""
                while size := int(stream.readline(), 16):
                    content += stream.read(size)
                    stream.readline()
                return Answer(b"".join(lines) + b"\r\n", b"").replace_body(content)
            content = stream.read(int(fields.get(b"content-length", b"0")))
            return Answer(b"".join(lines) + b"\r\n", content)

    def close(self):
        self.socket.close()
