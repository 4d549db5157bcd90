#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chaos, inside the machine: mixed jobs of clients that send again as they should, while versions are deployed and
unloaded and everything is killed and restarted. Each request counts as one test: it must get one terminal answer, which
is the right result or a code that is documented for what was going on. Prints how many of each.

usage: main.py [NUMBER OF JOBS]
"""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite

N_JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
N_CLIENTS = 16
PATIENCE = 6.0  # seconds without an answer, until a request is sent again
GIVE_UP = 120.0  # a request without an answer is a failure
TRACKS = {"apple": ["apple-1", "apple-2"], "pear": ["pear-1"]}
WORKERS = ["apple-1", "apple-2", "pear-1", "any-1"]
SERVICES = ["pipeline-router.service", "pipeline-sandbox.service", *(f"pipeline-worker@{w}.service" for w in WORKERS)]
RESULT = {"version": 2, "status": "pass", "tests": []}

# What guests do, and the one right code of each; more of the request.
CASES = [
    ("hello", 200, {}, 8), ("slow", 200, {}, 1), ("nonzero", 513, {}, 1), ("missing", 514, {}, 1), ("suicide", 403, {}, 1),
    ("loop", 401, {"execution_timeout": 0.3}, 1), ("output", 402, {}, 1),
    ("hello", 512, {"s3_uri": f"file://{suite.INPUT}/none/"}, 1), ("hello", 505, {"container_version": "never"}, 1),
]
# What may be said instead: nobody free or there in time, no answer in time, a worker that died twice.
BY_CHAOS = {503, 504, 510}
# And of a version that comes and goes.
BY_DEPLOY = {505, 511, 512}

lock = threading.Lock()
codes, events, resends, wrong = collections.Counter(), collections.Counter(), collections.Counter(), []
numbers = iter(range(N_JOBS))
is_over = threading.Event()


def next_number():
    with lock:
        return next(numbers, None)


def make_request(chance, number):
    case, expected, more, _ = chance.choices(CASES, [c[3] for c in CASES])[0]
    allowed = {expected} | BY_CHAOS
    request = suite.job(chance.choice(list(TRACKS)), case, id=f"chaos-{number}", resend=True,
                        **({"execution_timeout": 5} | {k: v for k, v in more.items() if k not in ("s3_uri", "container_version")}))
    request |= more
    if "container_version" not in more and chance.random() < 0.2:
        request["container_version"] = "v2"
        allowed |= BY_DEPLOY
    return request, expected, allowed


class Client:
    """Sends, waits, and sends again on a new connection; counts the answers of each."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.endpoint = self.chance.choice([suite.TCP, suite.UNIX])
        self.socket = None
        self.answered = set()

    def open(self):
        self.close()
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(self.endpoint)

    def close(self):
        if self.socket:
            self.socket.close()

    def wait(self, name, seconds):
        """The reply to what was sent under this name, or None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.socket.poll(int(left * 1000) + 1):
                return None
            reply = json.loads(self.socket.recv_multipart()[1])
            said = reply.get("request_id")
            if said in self.answered:
                raise AssertionError(f"{said} was answered twice: {reply}")
            self.answered.add(said)
            if said == name:
                return reply
        return None

    def ask(self, number, request):
        """Sends again on a new connection, but as the same principal: else it would be another request."""
        began, attempt = time.monotonic(), 0
        while time.monotonic() - began < GIVE_UP:
            if attempt:
                self.open()
            name = f"{number}.{attempt}"
            self.socket.send_multipart([b"", json.dumps({**request, "request_id": name}).encode()])
            reply = self.wait(name, PATIENCE)
            if reply:
                return reply, attempt
            attempt += 1
        return None, attempt

    def check(self, number, request, expected, allowed, reply):
        if not reply:
            return f"{number}: no answer: {request}"
        code, context = suite.code(reply), reply["context"]
        with lock:
            codes[code] += 1
        if code not in allowed:
            return f"{number}: {code}, not {expected}: {json.dumps(request)}: {json.dumps(reply)[:600]}"
        if code == 200 and (reply["response"] != RESULT or context["container_version"] != request["container_version"]
                            or context["worker"] not in [*TRACKS[request["track_slug"]], "any-1"]):
            return f"{number}: a wrong result: {json.dumps(request)}: {json.dumps(reply)[:600]}"
        return None

    def run(self):
        self.open()
        while (number := next_number()) is not None:
            request, expected, allowed = make_request(self.chance, number)
            try:
                reply, attempts = self.ask(number, request)
                fault = self.check(number, request, expected, allowed, reply)
            except Exception as error:  # pylint: disable=broad-except
                fault, attempts = f"{number}: {error!r}", 0
            with lock:
                resends[attempts] += 1
                if fault:
                    wrong.append(fault)
            time.sleep(self.chance.random() * 0.3)


# What happens meanwhile


def quiet(*command):
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def kill(unit):
    pid = suite.main_pid(unit)
    if pid:
        os.kill(pid, signal.SIGKILL)


def order(**members):
    client = suite.Client(suite.UNIX)
    try:
        return suite.code(client.send(**members).receive(15))
    except TimeoutError:
        return None
    finally:
        client.close()


def version(action):
    return order(action=action, channel="test_runners", track_slug=random.choice(list(TRACKS)), new_version="v2")


MISCHIEF = [
    *((f"kill {unit}", lambda unit=unit: kill(unit)) for unit in SERVICES),
    *((f"restart {unit}", lambda unit=unit: quiet("systemctl", "restart", "--no-block", unit)) for unit in SERVICES),
    ("deploy v2", lambda: version("deploy_container_version")), ("deploy v2", lambda: version("deploy_container_version")),
    ("unload v2", lambda: version("unload_container_version")), ("reload", lambda: order(action="reload_config")),
    ("restart_workers", lambda: order(action="restart_workers")), ("restart_router", lambda: order(action="restart_router")),
]


def make_mischief():
    chance = random.Random(7)
    while not is_over.wait(chance.uniform(0.3, 1.5)):
        name, act = chance.choice(MISCHIEF)
        try:
            act()
        except Exception as error:  # pylint: disable=broad-except
            name = f"{name}: {error!r}"
        events[name] += 1


def prepare():
    image = suite.image_of_program(suite.GUESTS / "guest.c")
    other = suite.image_of_program(suite.GUESTS / "guest.c", links=[("/other", "/")])
    for track in TRACKS:
        suite.run("pipelinectl", "push", "test_runners", track, "v1", image)
        suite.run("pipelinectl", "push", "test_runners", track, "v2", other)
    for name in WORKERS:
        conf = pathlib.Path(f"/etc/pipeline/worker/{name}.conf")
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text("SLOTS=2\n")
        suite.run("systemctl", "start", f"pipeline-worker@{name}.service")
    for track in TRACKS:
        suite.run("pipelinectl", "deploy", "--wait", "test_runners", track, "v1")


def check_after():
    """All is back, and works: what is wrong."""
    faults = []
    for track in TRACKS:
        end = time.monotonic() + 60
        while (code := order(**suite.job(track, "hello"))) != 200 and time.monotonic() < end:
            time.sleep(0.5)
        if code != 200:
            faults.append(f"afterwards a job of {track} is answered {code}")
    for unit in SERVICES:
        if quiet("systemctl", "is-active", unit) != 0:
            faults.append(f"{unit} is not active")
    journal = suite.journal(f"--since=@{BEGAN:.0f}")
    for line in journal.splitlines():
        if "dumped" in line or "code=killed, status=6" in line or "Assertion" in line or "Sanitizer" in line:
            faults.append(f"in the journal: {line}")
    return faults


def show(title, counter):
    print(f"{title}:", ", ".join(f"{key} x {n}" for key, n in sorted(counter.items(), key=str)), flush=True)


BEGAN = time.time()


def main():
    prepare()
    suite.empty_input()
    clients = [threading.Thread(target=Client(i).run) for i in range(N_CLIENTS)]
    mischief = threading.Thread(target=make_mischief)
    for thread in [*clients, mischief]:
        thread.start()
    while any(thread.is_alive() for thread in clients):
        time.sleep(5)
        print(f"     {sum(codes.values())} answered, {sum(events.values())} events", flush=True)
    is_over.set()
    mischief.join()
    faults = check_after()
    for fault in [*wrong, *faults]:
        print("FAIL", fault, flush=True)
    show("answers by code", codes)
    show("sent again so often", resends)
    show("what happened", events)
    n_failed = len(wrong) + len(faults)
    print(f"{N_JOBS - len(wrong) + (0 if faults else 1)} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
