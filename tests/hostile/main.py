#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The adversarial suite, inside a machine with the packages installed: every case of cases.py and special.py, a known-good
job beside each and after it, and an audit.

usage: main.py [--enforced] [NAME…]        NAME: a letter, a number, or a CVE; --enforced: fail where limits are not
"""

import json
import pathlib
import statistics
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
sys.dont_write_bytecode = True
import audit
import cases
import hooks
import images
import sandbox
import special
import suite

TRACK = "hostile"


def matches(case, names):
    """A letter, a number with all its variants, one variant, or what it is a regression case of."""
    if not names:
        return True
    number = case.number
    return any(name == number[0] or name == number or number.startswith(name + "-") or name in case.cve for name in names)


def choices(value):
    """A case may have one code or limit, or several that are all right."""
    return value if isinstance(value, tuple) else (value,)


class Hostile:
    track = TRACK

    def __init__(self):
        self.n_passed = self.n_failed = 0
        suite.set_limits(times={"queue": "60s", "setup": "60s", "dead": "30s"}, **cases.LIMITS)
        sandbox.configure(Parked=2, ParkedAge="3h")
        tar = images.write()
        suite.install(TRACK, tar, settings="SLOTS=2\n")
        self.input = suite.write_input("hostile", {"solution": "nothing\n"})
        self.wait_for_worker()
        images.remove(tar)
        self.good = self.ask(exercise="hello")
        assert suite.code(self.good) == 200, self.good
        self.good_beside = self.ask(exercise="beside")
        self.enforced = self.good["context"]["limits_enforced"]
        self.digest = self.good["context"]["digest"]
        for _ in range(2):
            self.together("beside", "beside")
        self.audit = audit.Audit([f"{TRACK}-1"])
        self.seconds = []  # what each known-good job took after a case, and before the first
        self.seconds_before = statistics.median(self.timed()[1] for _ in range(5))

    def timed(self):
        began = time.monotonic()
        return self.ask(exercise="hello"), time.monotonic() - began

    @staticmethod
    def say(text):
        print(text, flush=True)

    def job(self, exercise, track=TRACK, uri=None, **more):
        return suite.job(track, exercise, uri=uri or self.input, **more)

    def ask(self, exercise, **more):
        return suite.ask(**self.job(exercise, **more))

    def together(self, *exercises):
        clients = [suite.Client().send(**self.job(exercise)) for exercise in exercises]
        replies = [client.receive() for client in clients]
        for client in clients:
            client.close()
        return replies

    def wait_until_good(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                reply = self.ask(exercise="hello", timeout=20)
            except TimeoutError:
                continue
            if suite.code(reply) == 200:
                return reply["response"] == self.good["response"]
            time.sleep(0.3)
        return False

    def wait_for_worker(self):
        """The first answer takes its time where all is emulated."""
        for _ in range(30):
            reply = self.ask(exercise="hello")
            if suite.code(reply) == 200:
                return
            time.sleep(1)
        raise TimeoutError(f"{reply}\n{suite.run('systemctl', 'status', f'pipeline-worker@{TRACK}-1')}")

    # One case

    def judge(self, case, reply):
        """What is wrong with a reply."""
        code, detail = suite.code(reply), reply["context"].get("error_detail", {})
        invocation = reply["context"].get("invocation", {})
        if code not in choices(case.code):
            yield f"{code} instead of {case.code}: {json.dumps(detail)[:300]}"
            return
        if detail.get("limit") not in choices(case.limit):
            yield f"limit {detail.get('limit')} instead of {case.limit}"
        if case.limit and not detail["used"] >= detail["value"] > 0:
            yield f"{detail['used']} used of {detail['value']}"
        if case.signal and invocation.get("signal") != case.signal:
            yield f"signal {invocation.get('signal')} instead of {case.signal}"
        if case.status and invocation.get("exit_status") != case.status:
            yield f"exit status {invocation.get('exit_status')} instead of {case.status}"
        if "root:" in json.dumps(reply):
            yield "a file of the host is in the reply"
        yield from self.judge_found(case.found, reply.get("response"))
        if case.response and not case.response(reply.get("response")):
            yield f"response: {json.dumps(reply.get('response'))[:200]}"

    @staticmethod
    def judge_found(all_wanted, response):
        found = (response or {}).get("found", {}) if isinstance(response, dict) else {}
        for name, wanted in (all_wanted or {}).items():
            got = found.get(name)
            if callable(wanted):
                good = wanted(got)
            else:
                good = got in wanted if isinstance(wanted, tuple) else got == wanted
            if not good:
                yield f"{name}: {got}"

    def run_guest(self, case):
        if case.input != "nothing\n":
            uri = suite.write_input("hostile-given", {"solution": case.input})
        else:
            uri = self.input
        if case.before:
            getattr(hooks, case.before)()
        more = {"execution_timeout": case.seconds} if case.seconds else {}
        exercise = case.number.replace("-again", "")
        beside = suite.Client().send(**self.job(exercise if case.twice else "beside"))
        reply = self.ask(exercise=exercise, uri=uri, **more)
        wrong = list(self.judge(case, reply))
        beside_wrong = self.judge_beside(case, beside)
        if case.after:
            wrong += filter(None, [getattr(hooks, case.after)()])
        if case.check and not wrong:
            wrong += filter(None, [case.check(reply)])
        wrong += beside_wrong
        limit = reply["context"].get("error_detail", {}).get("limit")
        return f"{reply['status']['status_code']}{f' {limit}' if limit else ''}", wrong

    def judge_beside(self, case, client):
        """What is wrong with the job that ran at the same time: a known-good one, or the case once more."""
        reply = client.receive()
        client.close()
        if getattr(case, "twice", False):
            return [f"the one beside it: {text}" for text in self.judge(case, reply)]
        if reply.get("response") != self.good_beside["response"]:
            return [f"the one beside it: {json.dumps(reply)[:300]}"]
        return []

    def run_special(self, case):
        beside = None if case.ends_daemons else suite.Client().send(**self.job("beside"))
        wrong = [text for text in [case.run(self)] if text]
        if beside:
            wrong += self.judge_beside(case, beside)
        for _ in range(2):  # as many sandboxes are parked again as there were
            self.together("beside", "beside")
        if case.ends_daemons:
            self.audit.accept_daemons()
        return "as expected" if not wrong else "not as expected", wrong

    def run(self, case):
        began = time.monotonic()
        try:
            got, wrong = self.run_guest(case) if isinstance(case, cases.Case) else self.run_special(case)
        except Exception:  # pylint: disable=broad-except
            got, wrong = "broken", [traceback.format_exc()]
        found = self.audit.run()
        after, seconds = self.timed()
        self.seconds.append(seconds)
        if after.get("response") != self.good["response"]:
            found.append(f"the next job: {json.dumps(after)[:300]}")
        if not suite.scopes() or after["context"].get("scope") == self.good["context"]["scope"]:
            found.append("no new scope")
        expected = self.expected(case)
        verdict = "FAIL" if wrong or found else "ok"
        self.say(f"{verdict:4} {case.number:13} {case.what[:46]:46} {expected:16} {got:16} "
                 f"{'audit: FAIL' if found else 'audit: clean'} {time.monotonic() - began:5.1f} s"
                 f"{'  ' + ' '.join(case.cve) if case.cve else ''}")
        for text in wrong + found:
            self.say("     " + text[:2000].replace("\n", "\n     "))
        self.n_failed += bool(wrong or found)
        self.n_passed += not (wrong or found)

    @staticmethod
    def expected(case):
        if isinstance(case, special.Special):
            return "as expected"
        code, limit = ("/".join(map(str, choices(value))) for value in (case.code, case.limit or ""))
        return f"{code} {limit}".rstrip()


def chosen(names, enforced):
    """Those that can be shown here: limits of the kernel need a kernel that holds them."""
    here = ("both", "vm") if enforced else ("both", "machine")
    return [case for case in cases.CASES + special.SPECIAL if case.where in here and matches(case, names)]


def main():
    names = [name for name in sys.argv[1:] if name != "--enforced"]
    hostile = Hostile()
    if "--enforced" in sys.argv and not hostile.enforced:
        print("limits are not enforced, and here they must be\n0 passed, 1 failed")
        return 1
    hostile.say(f"== hostile guests, limits {'enforced' if hostile.enforced else 'not enforced'} by the kernel")
    hostile.say(f"     {'case':13} {'what is tried':46} {'expected':16} {'got':16}")
    for case in chosen(names, hostile.enforced):
        hostile.run(case)
    hostile.say(f"     the known-good job after a case: at the median {statistics.median(hostile.seconds) / hostile.seconds_before:.2f}"
                f" times what it took before all, at most {max(hostile.seconds) / hostile.seconds_before:.1f} times")
    print(f"{hostile.n_passed} passed, {hostile.n_failed} failed")
    return 1 if hostile.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
