# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases that are more than a guest: hostile images, requests, daemons that are killed, and the borders of limits. Each is
a function that returns what is wrong, or None; `hostile` is the running suite."""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
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
MOMENTS = (0, 0.05, 0.3, 1, 2)  # seconds after the request
# Of guests/m.c's ends_somehow, and of one that does not end: the code and the limit.
CODES = [(200, None), (513, None), (403, None), (514, None), (514, None), (402, "output"), (402, "written"),
         (401, "wall_time")]
# docs/PROTOCOL.md, part 3: a frame, what it says, and a code.
RESULT_END, RESULT_OK, RESULT_TOO_LARGE, BAD_INPUT, SETUP_FAILED = 17, 0, 3, 400, 512


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
    pushed = suite.ctl("push", "test_runners", track, "v1", tar, *options)
    if pushed.returncode != 0:
        return None, pushed.stderr
    worker = f"pipeline-worker@{track}-1.service"
    suite.run("systemctl", "start", worker)
    done = suite.ctl("deploy", "--wait", "--timeout", "60s", "test_runners", track, "v1")
    return done.returncode, done.stdout + done.stderr


def forget(track, kept):
    """Takes away all that came with an image, so that the audit finds nothing of it; `kept`: the suite's own."""
    suite.ctl("undeploy", "test_runners", track, "v1")
    suite.run("systemctl", "stop", f"pipeline-worker@{track}-1.service")
    suite.ctl("rm", "test_runners", track, "v1")
    shutil.rmtree(f"/var/lib/pipeline-worker/{track}-1", ignore_errors=True)
    for digest in sandbox.ask(order="images")["images"]:
        if digest != kept:
            sandbox.ask(order="remove", digest=digest)


def image_case(entries=(), run=None, exercise="hello", code=512, refused_with="", found=None):
    """Pushes the image and runs a job in it: the code that must come of it; `refused_with`: a word that must be in why;
    `found`: of the guest, as in cases.py."""
    def case(hostile):
        tar = images.write(entries, run)
        try:
            deployed, text = push("image", tar)
            if deployed is None:
                return f"not pushed: {text}"
            reply = hostile.ask(track="image", exercise=exercise)
            got = suite.code(reply)
            if got != code:
                return f"{got} instead of {code}: {json.dumps(reply)[:400]}"
            if refused_with and (deployed == 0 or refused_with not in text + json.dumps(reply)):
                return f"not refused because of {refused_with}: {text[-400:]}"
            if wrong := list(hostile.judge_found(found, reply.get("response"))):
                return "; ".join(wrong)
        finally:
            forget("image", kept=hostile.digest)
            images.remove(tar)
        return hooks.kernel_settings_are_unchanged() or hooks.passwd_is_unchanged()
    return case


def working_folder(hostile):
    """An image's configuration cannot name one (machine test_images); of a worker's order nothing comes but a refusal."""
    for folder in ("/proc/self/fd/8", "/proc/1/root", "relative", "/opt/../proc/self/fd/8"):
        answer = run_plan(hostile.digest, "hello", b"nothing", {}, folder=folder)[0]
        if answer["code"] not in (BAD_INPUT, SETUP_FAILED) or "folder" not in json.dumps(answer):
            return f"{folder}: {answer}"
    return None


# What a guest finds where its image had put links: devices, and masks that cannot be written through.
DEVICES = {"null": 1, **dict.fromkeys(("core_pattern", "sysrq", "masked", "console", "terminal"), lambda errno: errno != 0)}
PLACES = [Special(f"D11-{place}", f"an image whose /{place} is a link", image_case([(place, LINK, "/proc", 0o777)],
                                                                               refused_with=f"/{place} must be a folder"),
                  cve=("CVE-2026-41579", "CVE-2026-47766", "CVE-2023-28642", "CVE-2019-19921", "CVE-2023-27561",
                       "CVE-2019-16884", "CVE-2019-18837"))
          for place in ("dev", "proc", "sys", "etc", "tmp")]

IMAGES = [
    Special("D10-null", "an image whose /dev/null is a link to a setting of the kernel",
            image_case([("dev/null", LINK, "/proc/sys/kernel/core_pattern", 0o777)], exercise="D10", code=200, found=DEVICES),
            cve=("CVE-2025-31133",)),
    Special("D10-console", "an image whose /dev/pts/0 and /dev/console are links",
            image_case([("dev/pts/0", LINK, "/proc/sysrq-trigger", 0o777), ("dev/console", LINK, "/proc/sysrq-trigger", 0o777)],
                       exercise="D10", code=200, found=DEVICES), cve=("CVE-2025-52565",)),
    *PLACES,
    Special("D11-krun", "an image with links in the places of another handler's files",
            image_case([(name, LINK, "/etc/passwd", 0o777) for name in (".krun_config.json", ".krun_vm.json")], code=200),
            cve=("CVE-2025-24965",)),
    Special("D12", "a working folder that is a descriptor", working_folder, cve=("CVE-2024-21626",)),
    Special("D13-script", "an image whose program is run by /proc/self/exe",
            image_case(run=b"#!/proc/self/exe\n", code=513), cve=("CVE-2019-5736", "CVE-2026-7474")),
    Special("D16-layer", "an image with a device node",
            image_case([("opt/null", DEVICE, "", 0o666)], refused_with="device")),
]


# Requests


def other_addresses(hostile):
    """Addresses of inputs that name another place; nothing may be asked for it. What is there and what is not are
    answered alike."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    here = f"127.0.0.1:{listener.getsockname()[1]}"
    answers = set()
    for uri in (f"http://{here}/", f"s3://{here}/x/", f"file://{here}/x/", f"gopher://{here}/x",
                "http://169.254.169.254/latest/meta-data/", "https://127.0.0.1:5555/", "ftp://127.0.0.1/", "gopher://x/",
                "file:///etc/", "file:///proc/self/environ", f"file://{suite.INPUT}/../", f"file://{suite.INPUT}/hostile/../../",
                "file://169.254.169.254/share/", "s3://169.254.169.254/x/", "dict://127.0.0.1:6379/info"):
        reply = hostile.ask(exercise="hello", uri=uri)
        if suite.code(reply) not in (400, 512) or "root:" in json.dumps(reply):
            return f"{uri}: {json.dumps(reply)[:300]}"
    for folder in ("root", "no-such-folder"):
        reply = hostile.ask(exercise="hello", uri=f"file:///{folder}/")
        answers.add(json.dumps([reply["status"], reply["context"].get("error_detail")]).replace(folder, ""))
    if len(answers) != 1:
        return f"what is there can be told from what is not: {answers}"
    with contextlib.suppress(BlockingIOError):
        return f"connected from {listener.accept()[1]}"
    return None


def endless_programs(hostile):
    """No request can ask for a run without an end, nor for a longer one than the track's."""
    for asked in (0, -1, 1e9, "3", 1e-400):
        reply = hostile.ask(exercise="hello", execution_timeout=asked)
        if suite.code(reply) != 400:
            return f"{asked}: {json.dumps(reply)[:300]}"
    value = hostile.ask(exercise="hello", execution_timeout=80000)["context"]["limits"]["wall_milliseconds"]
    return None if value == 60000 else f"a limit of {value} ms"


def levels(hostile):
    """A hundred thousand folders in each other; the audit shows that they went, and that nobody had to walk them."""
    answer = run_plan(hostile.digest, "A14-levels", b"0", {"wall_usec": 300_000_000, "inodes": 200_000,
                                                          "written_bytes": 256 << 20, "memory_bytes": 512 << 20})[0]
    return None if answer.get("cause") == "exited" and answer["status"] == 0 else f"{answer}"


# Whose fault it was


def kill_meanwhile(hostile, unit, moment):
    """A service is killed when a job has been under way for a moment: the job's client."""
    client = suite.Client().send(**hostile.job("M2", execution_timeout=10))
    time.sleep(moment)
    os.kill(suite.main_pid(unit), signal.SIGKILL)
    return client


def killed(unit):
    def case(hostile):
        """The job may be given out once more, or end with the suite's fault; never with the guest's."""
        for moment in MOMENTS:
            client = kill_meanwhile(hostile, unit.format(hostile.track), moment)
            reply = client.receive(90)
            client.close()
            code = suite.code(reply)
            if not hostile.wait_until_good():
                return f"killed after {moment} s: no good answer came any more"
            if code != 200 and code not in INFRASTRUCTURE:
                return f"killed after {moment} s: {json.dumps(reply)[:300]}"
        return None
    return case


def router_killed(hostile):
    """The client asks anew, as clients do; the next answer is a good one."""
    for moment in MOMENTS:
        kill_meanwhile(hostile, "pipeline-router.service", moment).close()
        if not hostile.wait_until_good():
            return f"killed after {moment} s: no good answer came any more"
    return None


def codes(hostile):
    """Runs that end in every way, by the router, four at a time: each is answered by its own code."""
    uris = [suite.write_input(f"hostile-end-{n}", {"solution": str(n)}) for n in range(len(CODES) - 1)]
    order = [n % len(CODES) for n in range(BORDER_RUNS)]
    random.Random(BORDER_RUNS).shuffle(order)
    for first in range(0, BORDER_RUNS, 4):
        ends = order[first:first + 4]
        clients = [suite.Client().send(**(hostile.job("M1-codes", uri=uris[n]) if n < len(uris) else
                                          hostile.job("B1", execution_timeout=0.05))) for n in ends]
        for n, client in zip(ends, clients):
            reply = client.receive()
            client.close()
            got = suite.code(reply), reply["context"].get("error_detail", {}).get("limit")
            if got != CODES[n]:
                return f"{got} instead of {CODES[n]}: {json.dumps(reply)[:400]}"
    hostile.say(f"     {BORDER_RUNS} runs, each answered by its own code")
    for n in range(len(uris)):
        shutil.rmtree(suite.INPUT / f"hostile-end-{n}")
    return None


# Borders: many runs straight at sandboxd, so that one takes a few milliseconds


@dataclasses.dataclass
class Border:
    """A value around a limit: what each run is given, and what the answer to it must be."""

    name: str
    given: typing.Callable  # of the run's number: the guest's number
    right: typing.Callable  # of (given, answer, results): None or what is wrong
    causes: tuple  # that must come, each in a tenth of the runs at least
    limits: dict = dataclasses.field(default_factory=dict)


def run_plan(image, exercise, text, limits, **more):
    """What sandboxd answers to a run whose input is `text`, and the verdicts of its results."""
    with sandbox.Order({"order": "run", "plan": sandbox.plan(image, exercise, limits=limits, **more)}) as order:
        order.send(sandbox.FILE, len(text).to_bytes(8, "little") + b"solution")
        order.send(sandbox.DATA, text)
        order.send(sandbox.INPUT_END)
        answers, results = [], []
        try:
            while True:
                kind, payload = order.receive()
                if kind == sandbox.ANSWER:
                    answers.append(json.loads(payload))
                elif kind == RESULT_END:
                    results.append(payload[0])
        except EOFError:
            pass
    if len(answers) != 1:
        return {"code": None, "cause": f"{len(answers)} answers"}, results
    return answers[0], results


def border_case(border):
    def case(hostile):
        seen = {}
        for number in range(BORDER_RUNS):
            given = border.given(number)
            answer, results = run_plan(hostile.digest, f"M1-{border.name}", str(given).encode(), border.limits)
            if answer["code"] != 0:
                return f"run {number}: an infrastructure code for a guest: {answer}"
            if wrong := border.right(given, answer, results):
                return f"run {number}: {wrong}"
            seen[answer["cause"]] = seen.get(answer["cause"], 0) + 1
        hostile.say(f"     {BORDER_RUNS} runs, one verdict each: {seen}")
        rare = [cause for cause in border.causes if seen.get(cause, 0) < BORDER_RUNS // 10]
        return f"hardly ever {rare}" if rare else None
    return case


def right_time(given, answer, results):
    """Not before its limit; and who made it in time has a result. Who would go on for ever never makes it."""
    wall = answer["usage"]["wall_usec"]
    if answer["cause"] == "wall_time":
        return None if wall >= TIME_LIMIT else f"ended after {wall} us of {TIME_LIMIT}"
    if answer["cause"] == "exited":
        return None if given < FOR_EVER and answer["status"] == 0 and results == [RESULT_OK] and wall >= given else \
            f"exited, given {given}: {answer}, {results}"
    return f"neither: {answer}"


def one_of(*causes):
    def right(given, answer, results):
        return None if answer["cause"] in causes else f"{answer['cause']} for {given}: {answer}"
    return right


def exact(limit, cause):
    """At the limit it is well, one beyond it is not: never the other."""
    def right(given, answer, results):
        wanted = cause if given > limit else "exited"
        return None if answer["cause"] == wanted else f"{answer['cause']} for {given} of {limit}"
    return right


def right_result(given, answer, results):
    wanted = RESULT_TOO_LARGE if given > RESULT_LIMIT else RESULT_OK
    return None if answer["cause"] == "exited" and results == [wanted] else f"{answer['cause']}, {results} for {given}"


def right_signal(given, answer, results):
    if given > OUTPUT_LIMIT:
        return None if answer["cause"] == "output" else f"{answer['cause']} for {given}"
    return None if answer["cause"] == "signaled" and answer["signal"] == 9 else f"{answer} for {given}"


TIME_LIMIT, OUTPUT_LIMIT, RESULT_LIMIT, WRITTEN_LIMIT = 15000, 4096, 4096, 1 << 20
# What else is written: the input's page, the result's page.
WRITTEN_BESIDE = 2 * 4096
FOR_EVER = 10_000_000

BORDERS = [
    Border("time", lambda i: FOR_EVER if i % 50 == 0 else i * 37 % (TIME_LIMIT + 4000), right_time, ("exited", "wall_time"),
           {"wall_usec": TIME_LIMIT}),
    Border("output", lambda i: OUTPUT_LIMIT + i % 2, exact(OUTPUT_LIMIT, "output"), ("exited", "output"),
           {"output_bytes": OUTPUT_LIMIT}),
    Border("written", lambda i: WRITTEN_LIMIT - WRITTEN_BESIDE + i % 2,
           exact(WRITTEN_LIMIT - WRITTEN_BESIDE, "written"), ("exited", "written"), {"written_bytes": WRITTEN_LIMIT}),
    Border("result", lambda i: RESULT_LIMIT + i % 2, right_result, ("exited",), {"result_bytes": RESULT_LIMIT}),
    Border("signal", lambda i: OUTPUT_LIMIT + i % 2, right_signal, ("signaled", "output"), {"output_bytes": OUTPUT_LIMIT}),
    Border("time-output", lambda i: i * 37 % (TIME_LIMIT + 4000), one_of("wall_time", "output"), ("wall_time", "output"),
           {"wall_usec": TIME_LIMIT, "output_bytes": OUTPUT_LIMIT}),
]

PROCESS_LIMIT, MEMORY_LIMIT, LITTLE = 8, 16 << 20, 1 << 20
# What a container's scope may have beyond the guest's limit: its own processes and memory.
OWN_PROCESSES, OWN_MEMORY = 4, 32 << 20
TOO_LARGE = MEMORY_LIMIT + LITTLE + OWN_MEMORY


def right_processes(given, answer, results):
    """The container's own take a few: well at the limit, over it by more than those not."""
    wanted = {True: ("exited",), False: ("processes",)}[given < PROCESS_LIMIT]
    return None if answer["cause"] in wanted else f"{answer['cause']} for {given} of {PROCESS_LIMIT}"


def right_memory(given, answer, results):
    wanted = "exited" if given <= MEMORY_LIMIT else "memory"
    return None if answer["cause"] == wanted else f"{answer['cause']} for {given} of {MEMORY_LIMIT}"


def right_killed(given, answer, results):
    if given > MEMORY_LIMIT:
        return None if answer["cause"] == "memory" else f"{answer['cause']} for {given}"
    return None if answer["cause"] == "signaled" and answer["signal"] == 9 else f"{answer} for {given}"


KERNEL_BORDERS = [
    Border("processes", lambda i: PROCESS_LIMIT - 1 if i % 2 else PROCESS_LIMIT + OWN_PROCESSES, right_processes,
           ("exited", "processes"), {"processes": PROCESS_LIMIT, "memory_bytes": 64 << 20}),
    Border("memory", lambda i: MEMORY_LIMIT if i % 2 else TOO_LARGE, right_memory, ("exited", "memory"),
           {"memory_bytes": MEMORY_LIMIT, "written_bytes": LITTLE}),
    Border("killed", lambda i: 0 if i % 2 else TOO_LARGE, right_killed, ("signaled", "memory"),
           {"memory_bytes": MEMORY_LIMIT, "written_bytes": LITTLE}),
]

SPECIAL = [
    *IMAGES,
    Special("A14-levels", "100,000 folders in each other", levels),
    Special("B15-endless", "requests for programs without an end", endless_programs, cve=("Judge0 v1.13.0",)),
    Special("G7", "addresses of inputs that name another place", other_addresses, cve=("CVE-2024-29021", "isolate 2.5")),
    Special("M1-codes", f"{BORDER_RUNS} runs that end in all ways, four at once", codes, where="machine"),
    *[Special(f"M1-{b.name}", f"the border of {b.name}, {BORDER_RUNS} times", border_case(b), where="machine") for b in BORDERS],
    *[Special(f"M1-{b.name}", f"the border of {b.name}, {BORDER_RUNS} times", border_case(b), where="vm")
      for b in KERNEL_BORDERS],
    Special("M2-sandboxd", "sandboxd is killed meanwhile", killed("pipeline-sandbox.service"), ends_daemons=True),
    Special("M2-worker", "the worker is killed meanwhile", killed("pipeline-worker@{}-1.service"), ends_daemons=True),
    Special("M2-router", "the router is killed meanwhile", router_killed, ends_daemons=True),
]
