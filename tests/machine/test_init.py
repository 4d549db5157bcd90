#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipeline-init as PID 1 of a real container, spoken to frame by frame.

By hand: PIPELINE_INIT=/path/to/pipeline-init test_init.py [NAME…]

Wants root, crun and python3, as the machine has them. Every case starts a container of its own, whose image is an
empty root with the host's /usr below it, and plays sandboxd's part of docs/PROTOCOL.md part 4.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

FILE, DATA, INPUT_END, SETUP, ARGUMENTS, ENVIRONMENT, FOLDER, FILTER, WANTED, START = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
READY, STARTED, STDOUT, STDERR, RESULT, EXIT, FAILED, ENDED = 13, 14, 15, 16, 17, 18, 19, 21
EXITED, SIGNALED, WALL_TIME, OUTPUT, WRITTEN = range(5)
OK, MISSING, NOT_REGULAR, TOO_LARGE, UNREADABLE = range(5)
FLAG_PROGRAM = 1
GUEST = 65536
IN = "/mnt/exercism-iteration"
MIB = 1 << 20
CAPABILITIES = ["CAP_" + c for c in ("SYS_ADMIN SYS_RESOURCE SETUID SETGID KILL CHOWN DAC_OVERRIDE SETPCAP").split()]
INIT = os.environ.get("PIPELINE_INIT", "/usr/lib/pipeline/pipeline-init")
IMAGE = "/tmp/test-init-image"


def setUpModule():
    shutil.rmtree(IMAGE, ignore_errors=True)
    for folder in ("proc", "dev", "sys", "tmp", "usr", "etc", "run/pipeline", IN[1:]):
        os.makedirs(f"{IMAGE}/{folder}")
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink(f"usr/{name}", f"{IMAGE}/{name}")
    open(f"{IMAGE}/run/pipeline/init", "w").close()


def tearDownModule():
    shutil.rmtree(IMAGE)


def config():
    flags = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/run/pipeline/init"], "cwd": "/", "env": [],
            "noNewPrivileges": True,
            "capabilities": {k: CAPABILITIES for k in ("bounding", "effective", "permitted")},
        },
        "root": {"path": IMAGE, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": flags},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*flags, "size=64k"]},
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
            {"destination": "/run/pipeline/init", "type": "bind", "source": INIT, "options": ["bind", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": t} for t in "pid ipc uts mount network user".split()],
            "uidMappings": [{"containerID": 0, "hostID": 200000, "size": 65536},
                            {"containerID": GUEST, "hostID": 300000, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": 200000, "size": 65536},
                            {"containerID": GUEST, "hostID": 300000, "size": 1}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"],
        },
    }


class Answer:
    """All that came until EXIT or FAILED."""

    def __init__(self):
        self.order, self.results = [], {}
        self.stdout = self.stderr = b""
        self.failed = self.flags = self.cause = self.status = None


class Container:
    def __init__(self):
        self.bundle = tempfile.mkdtemp(prefix="test-init-")
        with open(f"{self.bundle}/config.json", "w") as f:
            json.dump(config(), f)
        self.socket, inner = socket.socketpair()
        self.socket.settimeout(60)
        self.buffer = b""
        self.name = os.path.basename(self.bundle)
        fd = inner.fileno()
        os.set_inheritable(fd, True)
        self.crun = subprocess.Popen(
            ["sh", "-c", f'exec 3<&{fd} {fd}<&-; exec crun --cgroup-manager=disabled run --preserve-fds=1 "$0"',
             self.name], cwd=self.bundle, close_fds=True, pass_fds=[fd], stdin=subprocess.DEVNULL)
        inner.close()

    def close(self):
        self.socket.close()

    def done(self):
        self.close()
        try:
            self.crun.wait(20)
        except subprocess.TimeoutExpired:
            subprocess.run(["crun", "delete", "--force", self.name], check=False)
            raise
        finally:
            subprocess.run(["crun", "delete", "--force", self.name], check=False, stderr=subprocess.DEVNULL)
            shutil.rmtree(self.bundle)

    def send(self, kind, payload=b"", flags=0):
        self.socket.sendall(struct.pack("<IHH", len(payload), kind, flags) + payload)

    def receive(self):
        while True:
            if len(self.buffer) >= 8:
                size, kind, flags = struct.unpack("<IHH", self.buffer[:8])
                if len(self.buffer) >= 8 + size:
                    payload, self.buffer = self.buffer[8:8 + size], self.buffer[8 + size:]
                    return kind, flags, payload
            more = self.socket.recv(1 << 18)
            if not more:
                raise EOFError
            self.buffer += more

    def say(self, arguments, files=(), wanted=(), folder="/", environment=("PATH=/usr/bin:/bin",), filters=(), **limits):
        limit = {"wall": 20.0, "output": MIB, "result": 500 * 1024, "written": 64 * MIB, "inodes": 10000,
                 "files": 1024, "guest": GUEST, **limits}
        self.send(SETUP, struct.pack("<7Q", int(limit["wall"] * 1e6), limit["output"], limit["result"],
                                     limit["written"], limit["inodes"], limit["files"], limit["guest"]))
        self.send(ARGUMENTS, b"".join(os.fsencode(a) + b"\0" for a in arguments))
        self.send(ENVIRONMENT, b"".join(os.fsencode(e) + b"\0" for e in environment))
        self.send(FOLDER, os.fsencode(folder))
        for program in filters:
            self.send(FILTER, program)
        for name in wanted:
            self.send(WANTED, os.fsencode(name))
        for path, content, executable in files:
            self.send(FILE, struct.pack("<Q", len(content)) + os.fsencode(path), executable)
            for i in range(0, len(content), 65536):
                self.send(DATA, content[i:i + 65536])
        self.send(INPUT_END)
        self.send(START)

    def hear(self):
        answer, result = Answer(), None
        while True:
            kind, flags, payload = self.receive()
            if not answer.order or answer.order[-1] != kind:
                answer.order.append(kind)
            if kind == STDOUT:
                answer.stdout += payload
            elif kind == STDERR:
                answer.stderr += payload
            elif kind == RESULT:
                result = os.fsdecode(payload[9:])
                answer.results[result] = [payload[0], struct.unpack("<Q", payload[1:9])[0], b""]
            elif kind == DATA:
                answer.results[result][2] += payload
            elif kind == FAILED:
                answer.failed, answer.flags = payload.decode(), flags
                answer.cause = f"FAILED: {answer.failed}"
                return answer
            elif kind == EXIT:
                (answer.cause, answer.status, answer.wall, answer.user, answer.system, answer.written,
                 answer.inodes, answer.n_stdout, answer.n_stderr) = struct.unpack("<9Q", payload)
                return answer


@contextlib.contextmanager
def container():
    c = Container()
    try:
        yield c
    finally:
        c.done()


def run(arguments, **more):
    with container() as c:
        assert c.receive()[0] == READY
        c.say(arguments, **more)
        return c.hear()


def python(code, **more):
    return run(["python3", "-c", code], **more)


def shell(code, **more):
    return run(["sh", "-c", code], **more)


class Ends(unittest.TestCase):
    def test_exit_status(self):
        a = shell("exit 7")
        self.assertEqual((a.cause, a.status), (EXITED, 7))
        self.assertEqual(a.order, [STARTED, ENDED, EXIT])

    def test_signal_of_its_own(self):
        a = shell("kill -KILL $$")
        self.assertEqual((a.cause, a.status), (SIGNALED, signal.SIGKILL))

    def test_exit_137_is_no_signal(self):
        a = shell("exit 137")
        self.assertEqual((a.cause, a.status), (EXITED, 137))

    def test_output_of_both_streams(self):
        a = shell("echo out; echo err >&2")
        self.assertEqual((a.stdout, a.stderr, a.n_stdout, a.n_stderr), (b"out\n", b"err\n", 4, 4))

    def test_wall_time(self):
        for code in ("sleep 60", "trap '' TERM INT; while :; do :; done", "kill -STOP $$"):
            a = shell(code, wall=0.5)
            self.assertEqual(a.cause, WALL_TIME, code)
            self.assertGreaterEqual(a.wall, 500000)

    def test_daemon_left_behind_is_killed(self):
        a = shell("(setsid sh -c 'sleep 30; echo late' &) ; echo now; exit 3")
        self.assertEqual((a.cause, a.status, a.stdout), (EXITED, 3, b"now\n"))

    def test_fork_storm_ends_with_its_parent(self):
        a = python("import os, time\nfor i in range(300):\n  if os.fork() == 0:\n"
                   "    os.setsid()\n    while True:\n      if os.fork() == 0: time.sleep(0.01); os._exit(0)\n"
                   "      try: os.waitpid(-1, os.WNOHANG)\n      except OSError: pass\n"
                   "  if i == 30: break\ntime.sleep(0.5)\nos._exit(5)")
        self.assertEqual((a.cause, a.status), (EXITED, 5))

    def test_orphans_are_reaped_while_it_runs(self):
        a = python("import os, time\nfor i in range(50):\n  p = os.fork()\n  if p == 0:\n    os.fork()\n    os._exit(0)\n"
                   "  os.waitpid(p, 0)\ntime.sleep(0.3)\n"
                   "print(sum(1 for d in os.listdir('/proc') if d.isdigit()))")
        self.assertEqual(a.stdout, b"2\n")

    def test_cpu_time(self):
        a = python("import time\nt = time.process_time()\nwhile time.process_time() - t < 0.5: pass")
        self.assertGreaterEqual(a.user + a.system, 500000)
        self.assertGreaterEqual(a.wall, 500000)

    def test_close_of_the_socket_ends_everything(self):
        for parked in (True, False):
            c = Container()
            self.assertEqual(c.receive()[0], READY)
            if not parked:
                c.say(["sleep", "60"])
                self.assertEqual(c.receive()[0], STARTED)
            c.done()  # which waits for less than a minute

    def test_it_stays_until_the_socket_closes(self):
        with container() as c:
            c.receive()
            c.say(["true"])
            c.hear()
            time.sleep(0.5)
            self.assertIsNone(c.crun.poll())


class OutputStreams(unittest.TestCase):
    def test_flood(self):
        for stream in ("stdout", "stderr"):
            a = python(f"import sys\nwhile True: sys.{stream}.write('x' * 65536)", output=300000)
            self.assertEqual(a.cause, OUTPUT)
            self.assertEqual(len(getattr(a, stream)), 300000)
            self.assertGreater(getattr(a, f"n_{stream}"), 300000)

    def test_exactly_the_limit(self):
        a = python("import sys; sys.stdout.write('x' * 300000)", output=300000)
        self.assertEqual((a.cause, len(a.stdout), a.n_stdout), (EXITED, 300000, 300000))

    def test_one_byte_more_though_it_exits_at_once(self):
        a = python("import os; os.write(1, b'x' * 4097)", output=4096)
        self.assertEqual((a.cause, len(a.stdout)), (OUTPUT, 4096))

    def test_bytes_as_they_are(self):
        a = python("import os; os.write(1, bytes(range(256)))")
        self.assertEqual(a.stdout, bytes(range(256)))

    def test_a_pipe_full_when_it_exits(self):
        a = python("import fcntl, os\nfcntl.fcntl(1, 1031, 1 << 20)\nos.write(1, b'y' * (1 << 20))", output=2 * MIB)
        self.assertEqual((a.cause, len(a.stdout)), (EXITED, MIB))

    def test_a_slow_reader_does_not_move_the_deadline(self):
        with container() as c:
            c.receive()
            c.say(["python3", "-c", "while True: print('x' * 65536)"], output=100 * MIB, wall=1.0)
            time.sleep(5)
            a = c.hear()
        self.assertEqual(a.cause, WALL_TIME)
        self.assertGreaterEqual(a.wall, 1000000)
        self.assertLess(a.wall, 5000000)

    def test_a_slow_reader_of_both_streams(self):
        """A byte more or less of one is all the room that the other has."""
        with container() as c:
            c.receive()
            c.say(["sh", "-c", "head -c 2M /dev/zero & head -c 2M /dev/zero >&2; wait"], output=100 * MIB)
            for _ in range(400):
                c.buffer += c.socket.recv(3000)
                time.sleep(0.002)
            a = c.hear()
        self.assertEqual((a.cause, a.status, len(a.stdout), len(a.stderr)), (EXITED, 0, 2 * MIB, 2 * MIB))

    def test_closed_streams(self):
        a = shell("exec >&- 2>&-; sleep 0.2; exit 4")
        self.assertEqual((a.cause, a.status), (EXITED, 4))


class Writes(unittest.TestCase):
    def test_filling_any_place_by_bytes(self):
        for place in ("/tmp", "/dev/shm", IN):
            a = shell(f"head -c 20M /dev/zero > {place}/f; exit 0", written=8 * MIB)
            self.assertEqual(a.cause, WRITTEN, place)
            self.assertGreater(a.written, 8 * MIB)
            self.assertLessEqual(a.written, 8 * MIB + 4096)

    def test_filling_and_waiting_is_noticed_before_the_deadline(self):
        a = shell("head -c 20M /dev/zero > /tmp/f; sleep 60", written=8 * MIB)
        self.assertEqual(a.cause, WRITTEN)

    def test_filling_by_inodes(self):
        a = python("import os\ntry:\n  for i in range(1000): os.mkdir(f'/tmp/{i}')\nexcept OSError: pass", inodes=100)
        self.assertEqual((a.cause, a.inodes), (WRITTEN, 101))

    def test_exactly_the_limits(self):
        a = shell("head -c 8M /dev/zero > /tmp/f", written=8 * MIB)
        self.assertEqual((a.cause, a.status, a.written), (EXITED, 0, 8 * MIB))
        a = python("import os\nfor i in range(100): os.mkdir(f'/tmp/{i}')", inodes=100)
        self.assertEqual((a.cause, a.status, a.inodes), (EXITED, 0, 100))

    def test_places_share_one_limit(self):
        a = shell(f"for d in /tmp /dev/shm {IN}; do head -c 3M /dev/zero > $d/f; done", written=8 * MIB)
        self.assertEqual(a.cause, WRITTEN)

    def test_modes_and_owners(self):
        a = shell(f"stat -c '%a %u' /tmp /dev/shm {IN}; cp /usr/bin/true /tmp/x; /tmp/x && echo runs; touch /usr/x /x /etc/x")
        self.assertEqual(a.stdout, f"1777 0\n1777 0\n755 {GUEST}\nruns\n".encode())
        self.assertEqual(a.stderr.count(b"Read-only file system"), 3)

    def test_a_huge_sparse_file(self):
        a = shell(f"truncate -s 7E {IN}/r", wanted=["r"])
        self.assertEqual((a.cause, a.results["r"][0]), (EXITED, TOO_LARGE))

    def test_no_way_out_of_the_places(self):
        a = shell("cat /proc/self/mountinfo")
        mounts = [line.split() for line in a.stdout.decode().splitlines()]
        ours = next(m[2] for m in mounts if m[4] == "/tmp")
        self.assertEqual(sorted((m[3], m[4]) for m in mounts if m[2] == ours),
                         [("/iteration", IN), ("/shm", "/dev/shm"), ("/tmp", "/tmp")])


class Input(unittest.TestCase):
    def test_files(self):
        big = os.urandom(300000)
        files = [("a", b"1", 0), ("deep/er/b.sh", b"#!/bin/sh\necho hi\n", 1), ("deep/c", b"", 0), ("big", big, 0),
                 (os.fsdecode(b"odd \n\xff name"), b"x", 0)]
        a = shell("deep/er/b.sh; stat -c '%n %a %u %g %s' a deep deep/er deep/er/b.sh deep/c; ls | wc -l",
                  files=files, folder=IN, wanted=["big"])
        g = f"{GUEST} {GUEST}"
        lines = a.stdout.decode().splitlines()
        self.assertEqual([line.rsplit(" ", 1)[0] for line in lines[1:6]],
                         [f"a 644 {g}", f"deep 755 {g}", f"deep/er 755 {g}", f"deep/er/b.sh 755 {g}",
                          f"deep/c 644 {g}"])
        self.assertEqual(lines[0], "hi")
        self.assertEqual(a.results["big"], [OK, 300000, big])

    def test_paths_that_leave_are_refused(self):
        for path in ("../x", "/x", "a/../b", "a//b", "./a", "a/.", "", "a/", "x" * 1025):
            with container() as c:
                c.receive()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    c.say(["true"], files=[(path, b"", 0)])
                self.assertIn("FILE", c.hear().failed, path)

    def test_more_input_than_fits(self):
        a = run(["true"], files=[("a", b"x" * 100000, 0)], written=8192)
        self.assertIn("cannot write the input file 'a': No space left on device", a.failed)
        self.assertEqual(a.flags, 0)

    def test_one_name_twice(self):
        a = run(["true"], files=[("a", b"", 0), ("a", b"", 0)])
        self.assertIn("'a': File exists", a.failed)

    def test_nonsense(self):
        for junk in (b"\xff" * 100, struct.pack("<IHH", 0, START, 0), struct.pack("<IHH", 0, READY, 0),
                     struct.pack("<IHH", 56, SETUP, 0) + bytes(56)):
            with container() as c:
                c.receive()
                c.socket.sendall(junk)
                self.assertIsNotNone(c.hear().failed)

    def test_talk_after_the_start_ends_it(self):
        with container() as c:
            c.receive()
            c.say(["sleep", "60"])
            self.assertEqual(c.receive()[0], STARTED)
            c.send(START)
            with self.assertRaises((EOFError, ConnectionResetError)):
                c.receive()


class Programs(unittest.TestCase):
    def test_what_cannot_be_executed(self):
        for program, error in (("/nowhere", "No such file"), ("nowhere", "No such file"), ("/etc", "Permission denied"),
                               (f"{IN}/plain", "Permission denied"), (f"{IN}/odd", "Exec format error")):
            a = run([program], files=[("plain", b"x", 0), ("odd", b"\x7fELF nonsense", 1)])
            self.assertIn(f"cannot execute the program '{program}': {error}", a.failed)
            self.assertEqual(a.flags, FLAG_PROGRAM)
            self.assertEqual(a.order, [ENDED, FAILED])

    def test_folders(self):
        a = run(["true"], folder="/nowhere")
        self.assertIn("cannot enter the working folder '/nowhere': No such file", a.failed)
        self.assertEqual(a.flags, FLAG_PROGRAM)
        self.assertIsNotNone(run(["true"], folder="relative").failed)

    def test_the_search_uses_the_guests_path(self):
        a = run(["prog", "1"], files=[("d/prog", b"#!/bin/sh\necho $1 $PATH\n", 1)], environment=[f"PATH=/x:{IN}/d"])
        self.assertEqual(a.stdout, f"1 /x:{IN}/d\n".encode())
        self.assertEqual(run(["true"], environment=[]).status, 0)

    def test_environment_and_arguments_as_given(self):
        a = run(["python3", "-c", "import os, sys; print(sys.argv[1:], sorted(os.environ.items()))", "a b", ""],
                environment=["PATH=/usr/bin", "X=1=2", "LC_ALL=C.UTF-8"])
        self.assertEqual(a.stdout.decode(), "['a b', ''] [('LC_ALL', 'C.UTF-8'), ('PATH', '/usr/bin'), ('X', '1=2')]\n")

    def test_a_filter_is_loaded(self):
        # mkdir answers EPERM, mkdirat too; all else is allowed.
        program = b"".join(struct.pack("<HBBI", *i) for i in (
            (0x20, 0, 0, 0), (0x15, 1, 0, 83), (0x15, 0, 1, 258), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)))
        count = "grep Seccomp_filters /proc/self/status | cut -f2"
        a = shell(f"{count}; mkdir /tmp/x", filters=[program, program])
        self.assertEqual(int(a.stdout), int(shell(count).stdout or 0) + 2)
        self.assertIn(b"Operation not permitted", a.stderr)

    def test_a_filter_that_is_none(self):
        self.assertIn("cannot load the seccomp filters", run(["true"], filters=[b"\xff" * 16]).failed)


class Results(unittest.TestCase):
    def case(self, code, state, content=b"", name="r"):
        a = shell(f"cd {IN} && {code}", wanted=[name])
        self.assertEqual((a.cause, a.status, a.stderr), (EXITED, 0, b""))
        self.assertEqual(a.results[name], [state, len(content), content], code)

    def test_states(self):
        for code, state in (("true", MISSING), ("ln -s /etc/passwd r", NOT_REGULAR), ("mkdir r", NOT_REGULAR),
                            ("ln -s nowhere r", NOT_REGULAR), ("ln -s r r", NOT_REGULAR),
                            ("ln -s /dev/zero r", NOT_REGULAR), ("mkfifo r", NOT_REGULAR),
                            ("echo x > a; ln a r", NOT_REGULAR), ("truncate -s 600K r", TOO_LARGE),
                            ("ln -s /proc/self/exe r", NOT_REGULAR),
                            ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"r\")'", NOT_REGULAR)):
            self.case(code, state)

    def test_parents(self):
        self.case("mkdir d; printf x > d/r", OK, b"x", "d/r")
        self.case("mkdir e; printf x > e/r; ln -s e d", NOT_REGULAR, b"", "d/r")
        self.case("ln -s /usr/lib d", NOT_REGULAR, b"", "d/os-release")
        self.case("touch d", MISSING, b"", "d/r")

    def test_contents(self):
        self.case("printf '{}' > r", OK, b"{}")
        self.case(": > r", OK)
        self.case("printf '{}' > r; chmod 0 r; chmod 0 .", OK, b"{}")
        self.case("head -c 200000 /dev/zero > r", OK, bytes(200000))
        self.case("truncate -s 512000 r", OK, bytes(512000))

    def test_several_in_order_also_after_a_limit(self):
        a = shell(f"cd {IN}; echo 1 > a; echo 2 > b; sleep 60", wanted=["b", "nowhere", "a"], wall=0.5)
        self.assertEqual(a.cause, WALL_TIME)
        self.assertEqual(list(a.results.items()), [("b", [OK, 2, b"2\n"]), ("nowhere", [MISSING, 0, b""]),
                                                   ("a", [OK, 2, b"1\n"])])


class Confinement(unittest.TestCase):
    def test_identity(self):
        a = shell("grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; cat /proc/self/oom_score_adj; "
                  "ls -l /proc/self/fd | wc -l; tty; ps -o sid= $$; cut -d' ' -f1 /proc/self/limits >/dev/null; umask")
        status = dict(line.split(":", 1) for line in a.stdout.decode().splitlines() if ":" in line)
        self.assertEqual(status["Uid"].split(), [str(GUEST)] * 4)
        self.assertEqual(status["Gid"].split(), [str(GUEST)] * 4)
        self.assertEqual(status["Groups"].split(), [])
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertEqual(int(status["SigBlk"], 16), 0)
        self.assertEqual(int(status["SigIgn"], 16), 0)
        self.assertIn("\n1000\n", a.stdout.decode())
        self.assertIn("not a tty", a.stdout.decode())
        self.assertTrue(a.stdout.endswith(b"0022\n"))

    def test_descriptors(self):
        a = python("import os; print([fd for fd in range(256) if os.path.exists(f'/proc/self/fd/{fd}')], "
                   "os.readlink('/proc/self/fd/0'))")
        self.assertEqual(a.stdout, b"[0, 1, 2] /dev/null\n")

    def test_init_itself(self):
        a = shell("grep -E '^Cap' /proc/1/status; ls /proc/1/fd; cat /proc/1/environ /proc/1/maps; kill -9 1; kill -STOP 1")
        status = dict(line.split(":", 1) for line in a.stdout.decode().splitlines())
        kept = 1 << 5 | 1 << 1
        self.assertEqual([int(status[c], 16) for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
                         [0, kept, kept, 0, 0])
        self.assertEqual(a.stderr.count(b"Permission denied"), 3)
        self.assertEqual(a.stderr.count(b"not permitted"), 2)

    def test_namespaces_and_counts(self):
        a = shell("unshare -U true; unshare -m true; cat /proc/sys/user/max_user_namespaces; "
                  "echo 5 > /proc/sys/user/max_user_namespaces")
        self.assertEqual(a.stdout, b"0\n")
        self.assertEqual(a.stderr.count(b"unshare failed"), 2)
        self.assertIn(b"Permission denied", a.stderr)
        a = python("import ctypes\nc = ctypes.CDLL(None)\nprint(sum(c.inotify_init() >= 0 for _ in range(200)))")
        self.assertEqual(a.stdout, b"16\n")

    def test_resources(self):
        a = shell("ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc")
        self.assertEqual(a.stdout, b"1024\n1024\n0\n0\n")

    def test_loopback(self):
        a = python("import socket\nfor f, h in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n"
                   "  s = socket.socket(f)\n  s.bind((h, 0))\n  s.listen()\n"
                   "  c = socket.create_connection(s.getsockname()[:2])\n  print('ok')")
        self.assertEqual(a.stdout.splitlines()[:1], [b"ok"])
        a = python("import socket\nsocket.create_connection(('1.1.1.1', 53))")
        self.assertIn(b"Network is unreachable", a.stderr)

    def test_keyring_is_its_own(self):
        # KEYCTL_DESCRIBE of the session's keyring: container root's would be the one that the runtime made.
        a = python("import ctypes, platform\nc = ctypes.CDLL(None)\nb = ctypes.create_string_buffer(99)\n"
                   "keyctl = 250 if platform.machine() == 'x86_64' else 219\n"
                   "c.syscall(keyctl, 6, -3, b, 99)\nprint(b.value.decode())")
        self.assertRegex(a.stdout.decode(), f"^keyring;{GUEST};{GUEST};.*;_ses\n$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
