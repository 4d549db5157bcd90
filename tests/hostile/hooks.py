# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the host does before a case, and looks at after it. An `after` returns what is wrong, or None."""

import os
import pathlib
import socket
import threading
import time

import audit
import suite

KEPT = {}
CORES = pathlib.Path("/var/tmp/hostile-cores")
CATCHER = pathlib.Path("/usr/local/sbin/hostile-core")
CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")
SETTINGS = ("kernel/core_pattern", "kernel/hostname", "kernel/modprobe", "vm/overcommit_memory", "net/ipv4/ip_forward")
NETWORK = pathlib.Path("/proc/sys")


def settings():
    return {name: (NETWORK / name).read_text() for name in SETTINGS if (NETWORK / name).exists()}


HOST_SETTINGS = settings()
PASSWD = pathlib.Path("/etc/passwd").read_bytes(), os.stat("/etc/passwd")


def kernel_settings_are_unchanged():
    return None if settings() == HOST_SETTINGS else f"{settings()} instead of {HOST_SETTINGS}"


def passwd_is_unchanged():
    now = os.stat("/etc/passwd")
    same = pathlib.Path("/etc/passwd").read_bytes() == PASSWD[0] and (now.st_uid, now.st_mode) == (
        PASSWD[1].st_uid, PASSWD[1].st_mode)
    return None if same else "/etc/passwd changed"


def input_is_unchanged():
    files = sorted(p for p in (suite.INPUT / "hostile").rglob("*"))
    same = [p.name for p in files] == ["solution"] and files[0].read_text() == "nothing\n" and not files[0].is_symlink()
    return None if same else f"the input on the host is now {files}"


def journal_is_clean():
    return "the guest wrote to the journal" if audit.journal_has("hostile-guest-was-here") else None


def clock_will_jump():
    def jump():
        time.sleep(0.7)
        time.clock_settime(time.CLOCK_REALTIME, time.time() + 3600)
        KEPT["jumped"] = True
    KEPT["jumped"] = False
    KEPT["jump"] = threading.Thread(target=jump)
    if may_set_clock():
        KEPT["jump"].start()


def may_set_clock():
    """Not in a container, whose clock is that of the machine around it."""
    return not pathlib.Path("/run/host").exists() and not pathlib.Path("/run/systemd/container").exists()


def clock_is_back():
    if KEPT["jump"].ident is not None:
        KEPT["jump"].join()
        time.clock_settime(time.CLOCK_REALTIME, time.time() - 3600)
    return None if KEPT["jumped"] or not may_set_clock() else "the clock did not jump"


def cores_are_caught():
    """Every core dump of the host goes to a program, as with systemd-coredump; only where the setting is our own."""
    CORES.unlink(missing_ok=True)
    CATCHER.write_text(f"#!/bin/sh\necho caught >>{CORES}\ncat >/dev/null\n")
    CATCHER.chmod(0o755)
    if may_set_clock():
        CORE_PATTERN.write_text(f"|{CATCHER} %P")


def no_core_was_caught():
    if may_set_clock():
        CORE_PATTERN.write_text(HOST_SETTINGS["kernel/core_pattern"])
    CATCHER.unlink()
    if CORES.exists():
        CORES.unlink()
        return "a program of the host was given the core"
    return None


def abstract_listener():
    KEPT["listener"] = socket.socket(socket.AF_UNIX)
    KEPT["listener"].bind("\0hostile-host")
    KEPT["listener"].listen()


def abstract_listener_ends():
    KEPT["listener"].close()


def host_listener():
    KEPT["listener"] = socket.socket()
    KEPT["listener"].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    KEPT["listener"].bind(("127.0.0.1", 7777))
    KEPT["listener"].listen()


def host_listener_ends():
    KEPT["listener"].close()
