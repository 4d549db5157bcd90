# SPDX-License-Identifier: LGPL-2.1-or-later
"""What profiles/default.json promises for each number of a call, computed from the profile itself, against what a guest
found (guests/surface.c)."""

import functools
import json
import os
import pathlib
import pwd
import re
import shutil
import tempfile

import images
import suite

PROFILE = pathlib.Path("/usr/share/pipeline/profiles/default.json")
N_CALLS = 1024
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h",
           "/usr/include/asm-generic/unistd.h")


# Newer than the header may be: allowed where the library that compiled the profile knows them, else not there.
NEWER = {451: "cachestat", 452: "fchmodat2", 453: "map_shadow_stack", 454: "futex_wake", 455: "futex_wait",
         456: "futex_requeue", 462: "mseal", 463: "setxattrat", 464: "getxattrat", 465: "listxattrat", 466: "removexattrat"}
# The kernel lets them pass every filter, and ends who calls them from elsewhere than its own trampoline.
EXEMPT = {335: {"kill", "38"}, 336: {"6", "38"}}


def numbers():
    """{number: name} of the machine's calls, of the kernel's own header."""
    for header in HEADERS:
        if pathlib.Path(header).exists():
            text = pathlib.Path(header).read_text()
            return {int(n): name for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}
    raise LookupError("no header names the calls")


def matches(arguments):
    """Whether a rule's arguments are met by a call whose arguments are all -1."""
    def one(argument):
        value = (1 << 64) - 1
        wanted, second = argument["value"], argument.get("valueTwo", 0)
        return {"SCMP_CMP_EQ": value == wanted, "SCMP_CMP_NE": value != wanted, "SCMP_CMP_GT": value > wanted,
                "SCMP_CMP_GE": value >= wanted, "SCMP_CMP_LT": value < wanted, "SCMP_CMP_LE": value <= wanted,
                "SCMP_CMP_MASKED_EQ": value & wanted == second}[argument["op"]]
    return all(one(argument) for argument in arguments or [])


def promises():
    """{name: {"allow"} or a set of errnos}: a denial beats, and of several any may answer."""
    profile = json.loads(PROFILE.read_text())
    allowed, denied = set(), {}
    for rule in profile["syscalls"]:
        if not matches(rule.get("args")):
            continue
        for name in rule["names"]:
            if rule["action"] == "SCMP_ACT_ALLOW":
                allowed.add(name)
            else:
                denied.setdefault(name, set()).add(rule.get("errnoRet", 1))
    return {name: denied.get(name) or {"allow"} for name in allowed | set(denied)}, profile["defaultErrnoRet"]


@functools.cache
def unconfined():
    """What the calls come to without a profile: the same program, run by nobody, with no right at all."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        out = pathlib.Path(folder, "out")
        out.mkdir()
        os.chown(out, nobody.pw_uid, nobody.pw_gid)
        program = shutil.copy(images.program(), folder)
        suite.run("unshare", "--ipc", "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
                  "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", program, "E0-native", f"{folder}/", f"{out}/")
        return table(json.loads((out / "results.json").read_text())["calls"])


def table(text):
    """{number: what came}, both texts."""
    return dict(pair.split(":") for pair in text.split())


# What a filter could have said in the place of the kernel.
FILTERED = {"1", "38"}


def wrong(seen, promised, free):
    """`free`: what comes without a profile."""
    if seen == "fork":
        return True
    if promised == {"allow"}:
        return seen == "kill" or (seen in FILTERED and seen != free)
    return seen not in {"ok" if errno == 0 else str(errno) for errno in promised}


# The service itself may not: RestrictRealtime= of its unit goes for all that it starts.
OF_THE_UNIT = {"sched_setscheduler": "1"}
# They end or replace the one who calls, by themselves.
GONE = {"exit", "exit_group", "rt_sigreturn", "vfork", "fork"}


def check(text, entry):
    """None where all is as promised."""
    seen = table(text)
    if len(seen) != N_CALLS:
        return f"{len(seen)} numbers instead of {N_CALLS}"
    if entry == "other":
        alive = [n for n, what in seen.items() if what != "kill"]
        return f"the process lived on after {alive[:20]}" if alive else None
    names, (promised, default) = numbers(), promises()
    bad = []
    for n, what in seen.items():
        name = names.get(int(n)) or NEWER.get(int(n), f"number {n}")
        if what in EXEMPT.get(int(n), ()) or (int(n) in NEWER and what == str(default)) or OF_THE_UNIT.get(name) == what:
            continue
        if name not in GONE and wrong(what, promised.get(name, {default}), unconfined()[n]):
            bad.append(f"{name}: {what}, promised {promised.get(name, default)}; without a profile {unconfined()[n]}")
    return "; ".join(bad[:20]) or None
