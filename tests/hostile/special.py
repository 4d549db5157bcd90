# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases that are more than a guest: hostile images, requests, daemons that are killed, and the borders of limits. Each is
a function that returns what is wrong, or None; `hostile` is the running suite."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tarfile
import time
import typing

import hooks
import images
import sandbox
import suite

LINK, DEVICE, FILE = tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.REGTYPE
INFRASTRUCTURE = {500, 503, 504, 505, 510, 511, 512}
BORDER_RUNS = 1000


@dataclasses.dataclass
class Special:
    number: str
    what: str
    run: typing.Callable
    where: str = "both"  # "machine": only there
    cve: tuple = ()
    ends_daemons: bool = False


# Images


def push(track, tar, *options):
    """The exit status and the words of the deploy; or of the push, where not even that is done."""
    pushed = subprocess.run(["pipelinectl", "push", "test_runners", track, "v1", str(tar), *options], capture_output=True,
                            text=True, check=False)
    if pushed.returncode != 0:
        return None, pushed.stderr
    worker = f"pipeline-worker@{track}-1.service"
    suite.run("systemctl", "start", worker)
    done = subprocess.run(["pipelinectl", "deploy", "--wait", "--timeout", "60s", "test_runners", track, "v1"],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def forget(track):
    subprocess.run(["pipelinectl", "undeploy", "test_runners", track, "v1"], capture_output=True, check=False)
    suite.run("systemctl", "stop", f"pipeline-worker@{track}-1.service")
    subprocess.run(["pipelinectl", "rm", "test_runners", track, "v1"], capture_output=True, check=False)


def image_case(entries=(), run=None, options=(), exercise="hello", codes=(511, 512), refused_with=""):
    """Pushes the image and runs a job in it: the codes that may come of it; `refused_with`: a word that must be in why."""
    def case(hostile):
        tar = images.write(entries, run)
        try:
            code, text = push("image", tar, *options)
            if code is None:
                return None if "--folder" in options else f"not pushed: {text}"
            reply = hostile.ask(track="image", exercise=exercise)
            got = reply["status"]["status_code"]
            if got not in codes:
                return f"{got} instead of {codes}: {json.dumps(reply)[:400]}"
            if refused_with and (code == 0 or refused_with not in text + json.dumps(reply)):
                return f"not refused because of {refused_with}: {text[-400:]}"
        finally:
            forget("image")
            images.remove(tar)
        return hooks.kernel_settings_are_unchanged() or hooks.passwd_is_unchanged()
    return case


PLACES = [Special(f"D11-{place}", f"an image whose /{place} is a link", image_case([(place, LINK, "/proc", 0o777)],
                                                                               refused_with=f"/{place} must be a folder"),
                  cve=("CVE-2026-41579", "CVE-2026-47766", "CVE-2023-28642", "CVE-2019-19921", "CVE-2023-27561",
                       "CVE-2019-16884"))
          for place in ("dev", "proc", "sys", "etc", "tmp")]

IMAGES = [
    Special("D10-null", "an image whose /dev/null is a link to a setting of the kernel",
            image_case([("dev/null", LINK, "/proc/sys/kernel/core_pattern", 0o777)], codes=(200, 511, 512)),
            cve=("CVE-2025-31133",)),
    Special("D10-console", "an image whose /dev/pts/0 and /dev/console are links",
            image_case([("dev/pts/0", LINK, "/proc/sysrq-trigger", 0o777), ("dev/console", LINK, "/proc/sysrq-trigger", 0o777)],
                       codes=(200, 511, 512)), cve=("CVE-2025-52565",)),
    *PLACES,
    Special("D12", "an image whose working folder is a descriptor",
            image_case(options=("--folder", "/proc/self/fd/8", "--entrypoint", "/" + images.RUN), codes=(511, 512)),
            cve=("CVE-2024-21626",)),
    Special("D13-script", "an image whose program is run by /proc/self/exe",
            image_case(run=b"#!/proc/self/exe\n", codes=(512, 513, 514)), cve=("CVE-2019-5736",)),
    Special("D16-layer", "an image with a device node",
            image_case([("opt/null", DEVICE, "", 0o666)], refused_with="device"), cve=("CVE-2025-24965",)),
]


# Requests


def other_addresses(hostile):
    """Addresses of inputs that name another place; nothing may be asked for it."""
    for uri in ("http://169.254.169.254/latest/meta-data/", "https://127.0.0.1:5555/", "ftp://127.0.0.1/", "gopher://x/",
                "file:///etc/", "file:///proc/self/environ", f"file://{suite.INPUT}/../", f"file://{suite.INPUT}/hostile/../../",
                "file://169.254.169.254/share/", "s3://169.254.169.254/x/", "dict://127.0.0.1:6379/info"):
        reply = hostile.ask(exercise="hello", uri=uri)
        if reply["status"]["status_code"] not in (400, 512) or "root:" in json.dumps(reply):
            return f"{uri}: {json.dumps(reply)[:300]}"
    return None


# Whose fault it was


def killed(unit):
    def case(hostile):
        """The job may be given out once more, or end with the suite's fault; never with the guest's."""
        client = suite.Client().send(**hostile.job("M2", execution_timeout=10))
        time.sleep(1)
        os.kill(suite.main_pid(unit.format(hostile.track)), signal.SIGKILL)
        reply = client.receive(90)
        client.close()
        code = reply["status"]["status_code"]
        hostile.wait_until_good()
        return None if code == 200 or code in INFRASTRUCTURE else f"{code}: {json.dumps(reply)[:300]}"
    return case


# Borders: many runs straight at sandboxd, so that one takes a few milliseconds


@dataclasses.dataclass
class Border:
    """A value around a limit: what each run is given, and what the answer to it must be."""

    name: str
    given: typing.Callable  # of the run's number: the guest's number
    right: typing.Callable  # of (given, answer, results): None or what is wrong
    limits: dict = dataclasses.field(default_factory=dict)


def run_border(image, border, number):
    given = border.given(number)
    body = {"order": "run", "plan": sandbox.plan(image, f"M1-{border.name}", limits=border.limits)}
    text = str(given).encode()
    with sandbox.Order(body) as order:
        order.send(sandbox.FILE, len(text).to_bytes(8, "little") + b"solution")
        order.send(sandbox.DATA, text)
        order.send(sandbox.INPUT_END)
        answers, results = [], []
        try:
            while True:
                kind, payload = order.receive()
                if kind == sandbox.ANSWER:
                    answers.append(json.loads(payload))
                elif kind == 17:
                    results.append(payload[0])
        except EOFError:
            pass
    if len(answers) != 1:
        return None, f"{len(answers)} answers"
    if answers[0]["code"] != 0:
        return None, f"an infrastructure code for a guest: {answers[0]}"
    return answers[0]["cause"], border.right(given, answers[0], results)


def border_case(border):
    def case(hostile):
        seen = {}
        for number in range(BORDER_RUNS):
            cause, wrong = run_border(hostile.digest, border, number)
            if wrong:
                return f"run {number}: {wrong}"
            seen[cause] = seen.get(cause, 0) + 1
        hostile.say(f"     {BORDER_RUNS} runs, one verdict each: {seen}")
        return None
    return case


def right_time(given, answer, results):
    """Not before its limit; and who made it in time has a result."""
    wall = answer["usage"]["wall_usec"]
    if answer["cause"] == "wall_time":
        return None if wall >= TIME_LIMIT else f"ended after {wall} us of {TIME_LIMIT}"
    if answer["cause"] == "exited":
        return None if given < TIME_LIMIT + 20000 and answer["status"] == 0 else f"exited, given {given}: {answer}"
    return f"neither: {answer}"


def exact(limit, cause):
    """At the limit it is well, one beyond it is not: never the other."""
    def right(given, answer, results):
        wanted = cause if given > limit else "exited"
        return None if answer["cause"] == wanted else f"{answer['cause']} for {given} of {limit}"
    return right


def right_result(given, answer, results):
    wanted = 3 if given > RESULT_LIMIT else 0  # RESULT_TOO_LARGE, RESULT_OK
    return None if answer["cause"] == "exited" and results == [wanted] else f"{answer['cause']}, {results} for {given}"


def right_signal(given, answer, results):
    if given > OUTPUT_LIMIT:
        return None if answer["cause"] == "output" else f"{answer['cause']} for {given}"
    return None if answer["cause"] == "signaled" and answer["signal"] == 9 else f"{answer} for {given}"


TIME_LIMIT, OUTPUT_LIMIT, RESULT_LIMIT, WRITTEN_LIMIT = 15000, 4096, 4096, 1 << 20
# What else is written: the input's page, the result's page.
WRITTEN_BESIDE = 2 * 4096

BORDERS = [
    Border("time", lambda i: i * 37 % (TIME_LIMIT + 4000), right_time, {"wall_usec": TIME_LIMIT}),
    Border("output", lambda i: OUTPUT_LIMIT + i % 2, exact(OUTPUT_LIMIT, "output"), {"output_bytes": OUTPUT_LIMIT}),
    Border("written", lambda i: WRITTEN_LIMIT - WRITTEN_BESIDE + i % 2,
           exact(WRITTEN_LIMIT - WRITTEN_BESIDE, "written"), {"written_bytes": WRITTEN_LIMIT}),
    Border("result", lambda i: RESULT_LIMIT + i % 2, right_result, {"result_bytes": RESULT_LIMIT}),
    Border("signal", lambda i: OUTPUT_LIMIT + i % 2, right_signal, {"output_bytes": OUTPUT_LIMIT}),
]

PROCESS_LIMIT, MEMORY_LIMIT = 8, 16 << 20


def right_processes(given, answer, results):
    """The container's own take a few: well at the limit, over it by more than those not."""
    wanted = {True: ("exited",), False: ("processes",)}[given < PROCESS_LIMIT]
    return None if answer["cause"] in wanted else f"{answer['cause']} for {given} of {PROCESS_LIMIT}"


def right_memory(given, answer, results):
    wanted = "exited" if given <= MEMORY_LIMIT else "memory"
    return None if answer["cause"] == wanted else f"{answer['cause']} for {given} of {MEMORY_LIMIT}"


KERNEL_BORDERS = [
    Border("processes", lambda i: PROCESS_LIMIT - 1 if i % 2 else PROCESS_LIMIT + 8, right_processes,
           {"processes": PROCESS_LIMIT, "memory_bytes": 64 << 20}),
    Border("memory", lambda i: MEMORY_LIMIT if i % 2 else MEMORY_LIMIT * 6, right_memory, {"memory_bytes": MEMORY_LIMIT}),
]

SPECIAL = [
    *IMAGES,
    Special("G7", "addresses of inputs that name another place", other_addresses, cve=("CVE-2024-29021",)),
    *[Special(f"M1-{b.name}", f"the border of {b.name}, {BORDER_RUNS} times", border_case(b), where="machine") for b in BORDERS],
    *[Special(f"M1-{b.name}", f"the border of {b.name}, {BORDER_RUNS} times", border_case(b), where="vm")
      for b in KERNEL_BORDERS],
    Special("M2-sandboxd", "sandboxd is killed meanwhile", killed("pipeline-sandbox.service"), ends_daemons=True),
    Special("M2-worker", "the worker is killed meanwhile", killed("pipeline-worker@{}-1.service"), ends_daemons=True),
    Special("M2-router", "the router is killed meanwhile", lambda hostile: router_killed(hostile), ends_daemons=True),
]


def router_killed(hostile):
    """The client asks anew, as clients do; the next answer is a good one."""
    client = suite.Client().send(**hostile.job("M2", execution_timeout=10))
    time.sleep(0.5)
    os.kill(suite.main_pid("pipeline-router.service"), signal.SIGKILL)
    client.close()
    return None if hostile.wait_until_good() else "no good answer"
