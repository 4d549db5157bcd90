# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of hostile guests: what each tries is in guests/LETTER.c, what must come of it is here. A case's number is
that of the list of threats in docs/SECURITY.md; `-WORD` behind it is a variant."""

import dataclasses
import errno
import typing

MIB = 1 << 20
ENOSYS, EPERM, ENOENT, EACCES, EROFS = errno.ENOSYS, errno.EPERM, errno.ENOENT, errno.EACCES, errno.EROFS
LIMITS = {"memory": "64M", "processes": 32, "written": "16M", "inodes": 1000, "output": "64K", "result": "1200K",
          "open_files": 256, "execution_timeout": "20s"}

VM, BOTH = "vm", "both"


@dataclasses.dataclass
class Case:
    number: str
    what: str
    code: typing.Any = 200  # or several that are all right
    limit: typing.Any = None  # that the answer names, likewise
    found: dict = None  # each: a value, several in a tuple, or a function of it
    response: typing.Any = None  # the exact bytes' value, or a function of it
    seconds: float = None  # execution_timeout
    where: str = BOTH  # VM: it needs limits of the kernel
    signal: int = None
    status: int = None
    before: str = None  # functions of hooks.py: of the host, before and after
    after: str = None
    check: typing.Callable = None  # a function of the whole reply: what is wrong, or None
    twice: bool = False  # two at the same time, in the place of the known-good job beside it
    input: str = "nothing\n"
    cve: tuple = ()


def any_of(*values):
    return values


def at_most(n):
    return lambda value: isinstance(value, int) and 0 <= value <= n


def not_allowed(value):
    return isinstance(value, int) and value != 0


def kept(*names, by=EPERM):
    return dict.fromkeys(names, by)


REFUSED = not_allowed

A = [
    Case("A1", "fork bomb", 403, "processes", where=VM),
    Case("A2", "forks in sessions of their own", 403, "processes", where=VM),
    Case("A3", "thread bomb", 403, "processes", where=VM),
    Case("A4", "zombies that nobody reaps", 403, "processes", where=VM),
    Case("A4-chains", "vfork in vfork, and zombies of them", 403, "processes", where=VM),
    Case("A5", "heap without end", 403, "memory", where=VM),
    Case("A6", "static memory", 403, "memory", where=VM),
    Case("A7", "forks that each take memory", 403, "memory", where=VM),
    Case("A8", "endless recursion", 403, signal=11),
    Case("A9", "fills /tmp and /dev/shm, and ends", 402, "written"),
    Case("A9-shm", "fills /dev/shm alone", 402, "written"),
    Case("A10", "dirty pages of a mapped file", 402, "written"),
    Case("A11", "memory of the kernel: unread sockets", 403, "memory", where=VM),
    Case("A11-pipes", "memory of the kernel: unread pipes", found={"mib": at_most(72)}),
    Case("A11-streams", "memory of the kernel: unread connections", 403, "memory", where=VM),
    Case("A12", "a sealed memory file without end", 403, "memory", where=VM),
    Case("A12-shm", "shared memory segments without end", 403, "memory", where=VM),
    Case("A12-mq", "message queues, large pages", found={"queues": at_most(100), "large_pages": not_allowed}),
    Case("A13", "one big file", 402, "written"),
    Case("A14", "files without end", 402, "written"),
    Case("A14-deep", "folders in folders with long names", 402, "written"),
    Case("A15", "sparse file of 8 EiB", found={"allocate": not_allowed, "blocks": 0}),
    Case("A16", "descriptors without end", found={"raise": EPERM, "kept": at_most(256)}),
    Case("A17", "inotify, timers, epoll, eventfd without end",
         found={"inotify": at_most(16), "timers": at_most(1024), "epolls": at_most(256), "events": at_most(256)}),
    Case("A18", "three spinning processes, and ranks", where=VM,
         found={"fifo": EPERM, "nice": any_of(EACCES, EPERM), "ioprio": EPERM, "affinity": 0},
         check=lambda reply: cpu_is_bounded(reply)),
    Case("A19", "flushing without end", found={"direct": any_of(0, errno.EINVAL)}),
    Case("A20", "names that are not there"),
    Case("A21", "a control group of its own", found={"mounted": 0, "make": not_allowed, "mount": EPERM, "kill": ENOENT},
         cve=("CVE-2023-25809",)),
    Case("A22", "floods the journal", found={"kmsg": ENOENT, "log": ENOENT, "journal": ENOENT}, after="journal_is_clean"),
    Case("A23", "terminals without end", found={"terminals": at_most(64), "at_all": 1}, twice=True),
]


def cpu_is_bounded(reply):
    usage = reply["context"]["usage"]
    if usage["cpu_milliseconds"] > usage["wall_milliseconds"] * 1.15 + 200:
        return f"more than one processor: {usage}"
    return None


B = [
    Case("B1", "sleeps for ever", 401, "wall_time", seconds=1),
    Case("B2", "waits in select", 401, "wall_time", seconds=1),
    Case("B3", "stops itself", 401, "wall_time", seconds=1),
    Case("B4", "ignores every signal", 401, "wall_time", seconds=1),
    Case("B5", "daemon left behind"),
    Case("B6", "a child holds the output open"),
    Case("B7", "a child goes on writing the result", response=lambda r: r in ({"by": "parent"}, {"by": "child"})),
    Case("B8", "signals to pipeline-init", found=kept("stop", "kill", "parent", "queue", "pidfd", by=not_allowed)),
    Case("B9", "kills all it can", 403, signal=9),
    Case("B10", "stopped and traced children", found=kept("attach", "seize")),
    Case("B11", "a parent that cannot be interrupted", 401, "wall_time", seconds=1),
    Case("B12", "freezes its control group", found=kept("freeze", "procs", by=ENOENT)),
    Case("B13", "forks faster than it is killed", (401, 403), ("wall_time", "processes"), seconds=1.5),
    Case("B15", "threads spin, on whatever clock", 401, "wall_time", seconds=1),
    Case("B16", "a reaper of its own", found={"subreaper": 0, "death_signal": 0}),
    Case("B17", "sets the clock", found=kept("settime", "settimeofday", "adjust")),
    Case("B17-jump", "the host's clock jumps meanwhile", 401, "wall_time", seconds=2, where=VM, before="clock_will_jump",
         after="clock_is_back", check=lambda reply: None if reply["context"]["usage"]["wall_milliseconds"] < 60000 else
         "an hour was counted"),
]

C = [
    Case("C1", "floods its output", 402, "output", cve=("GO-2022-0482",)),
    Case("C1-stderr", "floods its error output", 402, "output"),
    Case("C1-both", "floods both", 402, "output"),
    Case("C2", "drips", check=lambda reply: None if reply["context"]["invocation"]["stdout"] == "drip" * 10 else "not all came"),
    Case("C3", "a line without end", 402, "output"),
    Case("C4", "bytes that are no text", check=lambda reply: output_is_safe(reply)),
    Case("C5", "a result that is too large", 514),
    Case("C6-deep", "a deep result", 514),
    Case("C6-digits", "a number of 1,000,000 digits, as it is", response=lambda r: r["n"] == "1" + "7" * 1000000),
    Case("C6-twice", "a member twice, a large number, as they are"),
    Case("C6-nan", "NaN", 514),
    Case("C6-surrogate", "half a surrogate pair", 514),
    Case("C7-missing", "no result", 514),
    Case("C7-empty", "an empty result", 514),
    Case("C7-truncated", "half a result", 514),
    Case("C7-text", "a result that is no JSON", 514),
    Case("C7-array", "a result that is no object", 514),
    *[Case(f"C8-{name}", f"result: {what}", 514, cve=cve) for name, what, cve in (
        ("passwd", "a link to a file of the host", ("go-judge#176", "Compile Explorer#6026", "kelvin PR#759")),
        ("urandom", "a link to a device", ()), ("nothing", "a link to nothing", ()), ("magic", "a magic link", ()),
        ("root", "a link through /proc", ()), ("loop", "a link to itself", ()), ("fifo", "a pipe", ()),
        ("folder", "a folder", ()), ("socket", "a socket", ()), ("device", "a device", ()),
        ("hardlink", "a file with two names", ()))],
    Case("C8-parent", "a link in the place of the folder"),
    Case("C8-swapped", "a link that takes turns with the result", (200, 514), cve=("CVE-2026-6959",)),
    Case("C9-growing", "a result that grows while it is read", 514),
    Case("C9-sparse", "a sparse result of 1 TiB", 514),
    Case("C10", "a result without a mode", found={"owner": not_allowed}),
    Case("C11", "odd names"),
    Case("C12", "closes its output, gives it to a child"),
    Case("C13-exit", "exit status 137", 513, status=137),
    Case("C13-kill", "kills itself", 403, signal=9),
    Case("C13-xcpu", "SIGXCPU to itself", 403, signal=24),
    Case("C14", "writes to each descriptor", found={"open": 0}),
]


def output_is_safe(reply):
    for stream in ("stdout", "stderr"):
        if not isinstance(reply["context"]["invocation"][stream], str):
            return f"{stream} is no text"
    return None


D = [
    Case("D1", "links in the place of the input", found={"rename": not_allowed, "remove": not_allowed, "over": not_allowed,
                                                         "file": 0, "script": 0},
         after="input_is_unchanged", cve=("CVE-2024-28185",)),
    Case("D2", "links for who changes owners", found={"link": 0, "link_folder": 0, "hard": not_allowed,
                                                      "hard_own": not_allowed, "chown": not_allowed},
         after="passwd_is_unchanged", cve=("CVE-2024-28189",)),
    Case("D3", "folders become links while all is taken down", after="passwd_is_unchanged",
         cve=("CVE-2024-45310", "CVE-2021-30465", "GHSA-vp62-88p7-qqf5", "CVE-2026-14896")),
    Case("D4", "folders that cannot be entered", found={"immutable": 1}),
    Case("D5", "writes everywhere", found=kept("root", "etc", "passwd", "opt", "own", "init", "dev", "run", "sys", "remount",
                                               by=not_allowed)),
    Case("D6", "changes its input", found={"write": 0, "delete": 0}, after="input_is_unchanged"),
    Case("D7", "the old way out of a chroot", found={"chroot": EPERM, "host": ENOENT, "again": EPERM}),
    Case("D8", "others in /proc", found={**kept("root", "root/etc", "cwd/etc", "fd", "mem", "environ", "maps", "exe",
                                               "map_files", by=not_allowed), "others": 0, "host": ENOENT, "tests": ENOENT}),
    Case("D9", "writes to /proc", found=kept("sysrq", "core_pattern", "hostname", "modprobe", "overcommit", "forward",
                                             "namespaces", "inotify", "oom", "oom_lower", "init_oom", "uid_map", "kcore", "label", "label_init",
                                             by=not_allowed),
         after="kernel_settings_are_unchanged", cve=("CVE-2025-52881",)),
    Case("D13", "overwrites who started it", found=kept("self", "truncate", "init", "init_read", by=not_allowed),
         cve=("CVE-2019-5736",)),
    Case("D14", "mounts that spread", found={"shared": 0, **kept("tmpfs", "bind", "propagate")}),
    Case("D15", "set-user-id programs", found={"copy": 1, "image": 1, "image_bits": 0}),
    Case("D16", "device nodes", found=kept("null", "disk", "memory", "fuse", "kvm", "net", by=not_allowed)),
    Case("D17", "runs what it wrote to /tmp (it may)", found={"status": 7}),
    Case("D18", "leaves files everywhere", found={"found": 0, "left": at_most(3)}),
    Case("D18-again", "finds none of them", found={"found": 0, "left": at_most(3)}),
]

NEW = ("mount", "cgroup", "uts", "ipc", "user", "pid", "net", "nested")
E = [
    Case("E0-native", "every number, natively", seconds=60, check=lambda reply: surface(reply, "native")),
    Case("E0-i386", "every number by int 0x80", seconds=60, check=lambda reply: surface(reply, "other")),
    Case("E0-x32", "every number of x32", seconds=60, check=lambda reply: surface(reply, "other")),
    Case("E1", "other processes' memory", found=kept("ptrace", "readv", "writev", "getfd", "kcmp", "madvise")),
    Case("E2", "namespaces", found={**kept(*[f"{how}_{name}" for name in NEW for how in ("unshare", "clone", "high")]),
                                    "unshare_time": EPERM, "clone3": ENOSYS, "setns": EPERM},
         cve=("CVE-2020-5291", "CVE-2026-14891")),
    Case("E3", "mounts", found=kept("mount", "umount", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount",
                                    "setattr", "pivot_root", "chroot")),
    Case("E4", "bpf, perf, userfaultfd, io_uring", found={**kept("bpf", "perf", "userfaultfd", "userfaultfd_user",
                                                                 "uring_setup", "uring_enter", "uring_register",
                                                                 "filter", "filter_high", "filter_bpf",
                                                                 "reuseport", "reuseport_bpf"),
                                                          "aio": ENOSYS}),
    Case("E5", "keys", found=kept("keyctl", "add", "request")),
    Case("E6", "the machine", found=kept("kexec", "kexec_file", "init_module", "finit_module", "delete_module", "reboot",
                                         "swapon", "swapoff", "acct", "quotactl", "syslog", "sethostname", "iopl", "ioperm",
                                         "modify_ldt")),
    Case("E7", "file handles", found=kept("name", "open", "cookie")),
    Case("E8", "socket families", found={**{f"family_{n}": errno.EAFNOSUPPORT for n in range(64) if n not in (1, 2, 10)},
                                         "family_1": 0, "family_2": 0, "raw": EPERM, "raw6": EPERM, "packet": not_allowed,
                                         "sctp": errno.EPROTONOSUPPORT, "mptcp": errno.EPROTONOSUPPORT,
                                         "high_family": not_allowed, "pair_netlink": errno.EAFNOSUPPORT}),
    Case("E9", "personalities", found={"ask": 0, "linux": 0, "no_randomize": not_allowed, "read_implies_exec": not_allowed,
                                       "mmap_page_zero": not_allowed, "high": not_allowed}),
    Case("E10", "pushes characters into terminals", found=kept("tiocsti", "tiocsti_high", "tiocsti_top", "tioclinux",
                                                               "tioclinux_high"),
         cve=("CVE-2017-5226", "CVE-2019-10063", "GHSA-4q85-33p6-j5g6")),
    Case("E11", "its own process", found={"layer": 0, "still": EPERM, "mm": EPERM, "dumpable": errno.EINVAL,
                                          "keepcaps": EPERM, "securebits": EPERM, "no_new_privs": errno.EINVAL,
                                    "cycles": any_of(0, EPERM, errno.EINVAL)}),
    Case("E12", "a supervisor of its own", found={"listener": any_of(0, EPERM), "mount": EPERM, "trace": any_of(0, EPERM),
                                                  "mount_traced": any_of(EPERM, ENOSYS)}),
    Case("E13", "calls that are newer than all", found=kept("600", "1000", "huge", "clone3", by=ENOSYS)),
    Case("E13-negative", "a call whose number is negative", 403, signal=31),
    Case("E14", "oddities of the processor", found={"arch_prctl": 0, "map_x32": not_allowed, "base_of_kernel": EPERM,
                                                    "shadow_stack": any_of(ENOSYS, errno.EOPNOTSUPP), "vsyscall": 0, "clock": 0}),
    Case("E15", "watches what others do", found={"fanotify": EPERM, "fanotify_fid": EPERM}),
]


def surface(reply, entry):
    import profile_promise  # pylint: disable=import-outside-toplevel
    return profile_promise.check(reply["response"]["calls"], entry)


ENVIRONMENT = {"PATH", "HOME"}


def environment_is_clean(reply):
    names = {text.split("=", 1)[0] for text in reply["response"]["found"].values()}
    return None if names <= ENVIRONMENT else f"more than a guest needs: {sorted(names - ENVIRONMENT)}"


CAPABILITIES = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0000000000000000")
F = [
    Case("F1", "root inside", found={"uid": 65536, "euid": 65536, "setuid": EPERM, "setresuid": EPERM, "user_namespace": EPERM},
         cve=("CVE-2026-30892",)),
    Case("F2", "groups", found={"groups": 0, "setgroups": EPERM, "setgid": EPERM, "fsuid": 65536}),
    Case("F3", "capabilities, also by executing root's program", found=CAPABILITIES, cve=("CVE-2022-29162", "CVE-2022-27650")),
    Case("F4", "new privileges", found={"NoNewPrivs": "1", "Seccomp": "2"}),
    Case("F5", "keyrings and the audit's identity", found={"keys": any_of("", "none"), "keyctl": EPERM}),
    Case("F6", "environment", check=environment_is_clean),
    Case("F7", "descriptors", found={"open": 3, "0": "/dev/null", "1": "pipe", "2": "pipe"}, cve=("CVE-2024-21626", "go-judge")),
    Case("F8", "terminals", found={"tty": not_allowed, "console": not_allowed, "session": 1}),
    Case("F9-limit", "the limit that keeps cores from the host", found={"soft": 1, "hard": 1}),
    Case("F9", "core dumps, also through a pipe", 403, signal=6, where=VM, before="cores_are_caught", after="no_core_was_caught"),
]

G = [
    Case("G1", "the network", found={"tcp": errno.ENETUNREACH, "udp": errno.ENETUNREACH, "tcp6": not_allowed,
                                     "udp6": not_allowed, "ping": EPERM, "local_net": errno.ENETUNREACH, "links": 1}),
    Case("G2", "metadata of clouds", found={"ipv4": errno.ENETUNREACH, "containers": errno.ENETUNREACH, "ipv6": not_allowed}),
    Case("G3", "abstract sockets of the host", before="abstract_listener", after="abstract_listener_ends",
         found={"host": errno.ECONNREFUSED, "x11": errno.ECONNREFUSED, "seen": at_most(3)}),
    Case("G4", "loopback of the host and of other runs", before="host_listener", after="host_listener_ends",
         found={"router": errno.ECONNREFUSED, "other_run": errno.ECONNREFUSED, "router6": not_allowed}),
    Case("G5", "sockets of services", found=kept("/run/systemd/private", "/run/dbus/system_bus_socket", "/run/docker.sock",
                                                 "/run/pipeline/router.sock", "/run/pipeline/sandbox.sock", "/run/user",
                                                 "/var/run/docker.sock", by=ENOENT)),
    Case("G4-both", "two at once listen at one port", found={"bind": 0, "listen": 0, "own": 0}, twice=True),
    Case("G6", "a listener left behind", found={"bind": 0, "listen": 0, "own": 0}),
    Case("G6-again", "the port is free again", found={"bind": 0, "listen": 0, "own": 0}),
]

SYSTEM_V = dict.fromkeys(("found_memory", "found_semaphores", "found_queue", "memory", "semaphores", "queue"), 0)
H = [
    Case("H1", "keyrings", found=kept("session", "user", "persistent")),
    Case("H2", "vsock", found={"socket": errno.EAFNOSUPPORT}, cve=("isolate 2.6",)),
    Case("H3", "locks on what all share", found={"write_lock": not_allowed, "lease": not_allowed, "notify": EPERM,
                                                 "flock": 0, "read_lock": 0, "namespace": 0}),
    Case("H4", "io_uring", found={"setup": EPERM}),
    Case("H5", "shared memory and queues by name", found={"found_shm": 0, "found_queue": 0, "shm": 0, "queue": 0}),
    Case("H5-again", "found by the next", found={"found_shm": 0, "found_queue": 0, "shm": 0, "queue": 0}, cve=("isolate 2.6",)),
    Case("H6", "/tmp", found={"found": 0, "leave": 0}),
    Case("H6-again", "found by the next", found={"found": 0, "leave": 0}),
    Case("H7", "two at once have one abstract name", found={"bind": 0}, twice=True),
    Case("H8", "what of the image is in memory", found={"mincore": 0, "absent": 0}),
    Case("H10", "figures of the host", found={"cgroup": ENOENT, "interrupts": not_allowed, "timers": not_allowed,
                                              "sched": not_allowed, "pressure_cpu": not_allowed,
                                              "pressure_memory": not_allowed}),
    Case("H11", "System V memory, semaphores, queues", found=SYSTEM_V),
    Case("H11-again", "found by the next", found=SYSTEM_V),
    Case("H11-both", "and by one beside it", found=SYSTEM_V, twice=True),
    Case("H12", "what the last one left", found={"found": 0, "processes": 0}),
    Case("H12-again", "and again", found={"found": 0, "processes": 0}),
]

M = [
    Case("M1-processes", "one process below its limit", input="20", where=VM),
    Case("M1-memory", "a little below its limit", input=str(40 * MIB), where=VM),
    Case("M3", "figures of half a second", input="500000", check=lambda reply: figures(reply)),
]

# The stated errors of pipeline-limits(7).
CPU_ERROR, MEMORY_ERROR, WALL_ERROR = 250, 24 << 20, 1000


def figures(reply):
    """What the guest says it used is used at least, and not much more is said."""
    found, usage = reply["response"]["found"], reply["context"]["usage"]
    said = [("wall", found["wall_usec"] // 1000, usage["wall_milliseconds"], WALL_ERROR)]
    if reply["context"]["limits_enforced"]:
        said += [("CPU", found["cpu_usec"] // 1000, usage["cpu_milliseconds"], CPU_ERROR),
                 ("memory", found["memory_bytes"], usage["memory_peak_bytes"], MEMORY_ERROR)]
    for name, least, shown, error in said:
        if not least - 20 <= shown <= least + error:
            return f"{name}: the guest used {least}, {shown} is said"
    return None


CASES = A + B + C + D + E + F + G + H + M
