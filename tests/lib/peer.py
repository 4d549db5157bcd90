# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers made by hand: a worker that speaks part 2 of docs/PROTOCOL.md, honestly or not, and a client with many requests
under way. As root on the unix socket they may be both."""

import json

import zmq

import suite

DIGEST = "sha256:" + "5e" * 32


def socket(kind, endpoint=suite.UNIX):
    made = zmq.Context.instance().socket(kind)
    made.linger = 0
    made.connect(endpoint)
    return made


class Client:
    """A DEALER: sends as it likes, and finds the replies by their request_id."""

    def __init__(self, endpoint=suite.UNIX):
        self.socket = socket(zmq.DEALER, endpoint)
        self.replies = {}

    def send(self, request_id, **members):
        self.socket.send_multipart([b"", json.dumps({"request_id": request_id, **members}).encode()])

    def receive(self, request_id, seconds=10):
        while request_id not in self.replies:
            if not self.socket.poll(int(seconds * 1000)):
                raise TimeoutError(f"no reply to {request_id} within {seconds} s")
            reply = json.loads(self.socket.recv_multipart()[1])
            self.replies[reply.get("request_id")] = reply
        return self.replies.pop(request_id)

    def ask(self, **members):
        self.send("ask", **members)
        return self.receive("ask")

    def close(self):
        self.socket.close()


class Worker:
    def __init__(self, name, topics, slots=1, endpoint=suite.UNIX):
        self.name, self.topics, self.slots = name, topics, slots
        self.socket = socket(zmq.DEALER, endpoint)
        self.heard = []

    def say(self, kind, body, *parts):
        self.socket.send_multipart([b"PIPELINE1", kind.encode(), json.dumps(body).encode(), *parts])

    def hello(self, jobs=(), unacknowledged=(), held=()):
        self.say("hello", {"version": 1, "name": self.name, "channel": "test_runners", "topics": self.topics,
                           "slots": self.slots, "held": dict(held), "jobs": list(jobs),
                           "unacknowledged": list(unacknowledged)})

    def hold(self, *versions):
        self.say("configured", {"held": {track: {v: DIGEST for v in versions} for track in self.topics}, "installing": {}})

    def start(self, *versions):
        self.hello()
        self.expect("configure")
        self.hold(*versions)
        return self

    def expect(self, *kinds, seconds=10):
        """The next message of these kinds: its body. Others are remembered."""
        while True:
            for i, (kind, body) in enumerate(self.heard):
                if kind in kinds:
                    del self.heard[i]
                    return body
            if not self.socket.poll(int(seconds * 1000)):
                raise TimeoutError(f"{self.name} heard no {kinds} within {seconds} s")
            frames = self.socket.recv_multipart()
            if frames[0]:  # else it is the reply to what was taken for a request
                self.heard.append((frames[1].decode(), json.loads(frames[2])))

    def hears(self, kind, seconds=0.5):
        try:
            return self.expect(kind, seconds=seconds)
        except TimeoutError:
            return None

    def outcome(self, job, token, response, code=200, **more):
        self.say("outcome", {"job": job, "token": token, "status_code": code, "error": None, "resend_key": None, **more},
                 json.dumps(response).encode(), b"{}", b"")

    def answer(self, job, response, **more):
        """The outcome of a job that was heard."""
        self.outcome(job["job"], job["token"], response, **more)

    def close(self):
        self.socket.close(linger=1000)  # its goodbye is heard


def deploy(client, worker, track, version="v1"):
    """Deploys a version that the worker says is there, and holds."""
    client.send("deploy", action="deploy_container_version", channel="test_runners", track_slug=track, new_version=version)
    worker.say("resolved", {"query": worker.expect("resolve")["query"], "digest": DIGEST})
    assert suite.code(client.receive("deploy")) == 200
    worker.expect("configure")
    worker.hold(version)
