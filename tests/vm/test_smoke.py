#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits that a real kernel enforces, and one case a letter of what hostile guests try, against the installed
packages in the virtual machine. After every case nothing may remain, and a known-good job must give the same bytes."""

import errno
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import suite

TRACK = "smoke"
ENOSYS, EPERM = errno.ENOSYS, errno.EPERM
# The errors of pipeline-limits(7), in microseconds, bytes and milliseconds; but of CPU eight times as much: an emulated
# processor takes as much longer for what is not the guest's (0.5 s were seen). What is written: input and results.
CPU_ERROR, MEMORY_ERROR, WRITTEN_ERROR, WALL_ERROR = 8 * 250_000, 24 << 20, 64 << 10, 1000


class Smoke(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        suite.set_limits(memory="64M", processes=32, written="16M")
        suite.install(TRACK, suite.image_of_program(suite.GUESTS / "guest.c"), settings="SLOTS=2\n")
        cls.good = cls.reply("hello")
        assert suite.code(cls.good) == 200, cls.good

    @staticmethod
    def reply(case, **more):
        return suite.ask(**suite.job(TRACK, case, **more))

    def limited(self, case, code, limit, **more):
        """The case ends with the code and names the limit, its value and its use; one beside it and the next are
        unaffected."""
        beside = suite.Client().send(**suite.job(TRACK, "slow"))
        reply = self.reply(case, **more)
        self.assertEqual(suite.code(reply), code, reply)
        detail = reply["context"]["error_detail"]
        self.assertEqual(detail["limit"], limit, reply)
        self.assertGreater(detail["value"], 0)
        self.assertGreaterEqual(detail["used"], detail["value"], reply)
        self.assertEqual(beside.receive()["response"], self.good["response"])
        self.unaffected()

    def unaffected(self):
        self.assertEqual(self.reply("hello")["response"], self.good["response"])

    def found(self, case):
        reply = self.reply(case)
        self.assertEqual(suite.code(reply), 200, reply)
        return reply["response"]

    def test_limits_are_enforced_and_say_so(self):
        self.assertIs(self.good["context"]["limits_enforced"], True)

    def test_the_host_has_all_that_is_needed(self):
        self.assertIn("libseccomp", suite.run("pipelinectl", "check-host"))

    def test_a_memory_bomb_is_answered_403_memory(self):
        self.limited("memory", 403, "memory")

    def test_a_fork_bomb_is_answered_403_processes(self):
        self.limited("processes", 403, "processes")

    def test_an_endless_loop_is_answered_401_wall_time(self):
        self.limited("loop", 401, "wall_time", execution_timeout=2)

    def test_an_output_flood_is_answered_402_output(self):
        self.limited("output", 402, "output")

    def test_a_disk_filler_is_answered_402_written(self):
        self.limited("disk", 402, "written")

    def test_b_a_daemon_left_behind_ends_with_its_job(self):
        self.found("daemon")
        self.unaffected()

    def test_c_a_link_as_result_is_not_followed(self):
        reply = self.reply("link")
        self.assertEqual(suite.code(reply), 514, reply)
        self.assertNotIn("root:", str(reply))

    def test_d_nothing_of_the_host_is_seen_or_written(self):
        found = self.found("paths")
        for what in ("init_root", "rootfs", "sysrq", "host", "sockets"):
            self.assertIs(found[what], False, what)

    def test_e_the_kernel_refuses_what_the_profile_denies(self):
        found = self.found("kernel")
        for call in ("unshare", "mount", "ptrace", "bpf", "keyctl", "io_uring", "tiocsti", "tiocsti_high"):
            self.assertEqual(found[call], EPERM, call)
        for call in ("clone3", "unknown"):
            self.assertEqual(found[call], ENOSYS, call)
        for family in ("netlink", "raw"):
            self.assertNotEqual(found[family], 0, family)

    def test_f_the_guest_is_nobody(self):
        found = self.found("identity")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(found[name], 16), 0, name)
        self.assertEqual(found["NoNewPrivs"], "1")
        self.assertEqual(found["Seccomp"], "2")
        self.assertEqual(found["Groups"].strip(), "")
        self.assertEqual(found["uid"], 65536)
        self.assertEqual(found["descriptors"], 0)
        self.assertIs(found["session"], True)
        self.assertIs(found["environment"], False)

    def test_g_there_is_no_network_but_the_own_loopback(self):
        found = self.found("network")
        self.assertEqual(found["metadata"], errno.ENETUNREACH)
        self.assertEqual(found["router"], errno.ECONNREFUSED)
        self.assertEqual(found["own"], 0)

    def test_h_nothing_of_the_last_run_is_left(self):
        for _ in range(3):
            self.assertIs(self.found("residue")["residue"], False)

    def test_i_a_malformed_message_is_answered_502(self):
        client = suite.Client()
        client.socket.send(b"{nonsense")
        self.assertEqual(suite.code(client.receive()), 502)
        self.unaffected()

    def test_j_an_image_whose_etc_is_a_link_is_refused(self):
        image = suite.image_of_program(suite.GUESTS / "guest.c", links=[("/etc", "/proc")])
        suite.install("refused", image, wait=False)
        reply = suite.ask(**suite.job("refused", "hello"))
        self.assertIn(suite.code(reply), (511, 512), reply)
        self.unaffected()

    def test_l_a_link_in_the_input_is_not_followed(self):
        uri = suite.write_input("linked", {"solution": "x"})
        os.symlink("/etc/shadow", suite.INPUT / "linked/shadow")
        reply = self.reply("hello", uri=uri)
        self.assertEqual(suite.code(reply), 512, reply)

    def test_m_a_forged_sigkill_is_not_taken_for_memory_or_time(self):
        reply = self.reply("suicide")
        self.assertEqual(suite.code(reply), 403, reply)
        self.assertNotIn(reply["context"]["error_detail"].get("limit"), ("memory", "wall_time", "processes"))

    def test_m_missing_results_and_failures_are_told_apart(self):
        self.assertEqual(suite.code(self.reply("missing")), 514)
        reply = self.reply("nonzero")
        self.assertEqual(suite.code(reply), 513)
        self.assertEqual(reply["context"]["invocation"]["exit_status"], 7)

    # Figures: what the guest knows at least, and no more than pipeline-limits(7) says beside it.

    def figure(self, case, name, scale, error):
        reply = self.reply(case)
        self.assertEqual(suite.code(reply), 200, reply)
        least, said = reply["response"]["least"], reply["context"]["usage"][name] * scale
        self.assertGreater(least, 0)
        self.assertGreaterEqual(said, least - scale, (name, reply))
        self.assertLess(said, least + error, (name, reply))
        return reply["context"]["usage"]

    def test_n_the_cpu_of_threads_is_counted(self):
        self.figure("threads", "cpu_milliseconds", 1000, CPU_ERROR)

    def test_n_the_cpu_of_children_and_theirs_that_were_reaped_is_counted(self):
        self.figure("reaped", "cpu_milliseconds", 1000, CPU_ERROR)

    def test_n_the_memory_of_processes_is_summed(self):
        usage = self.figure("shares", "memory_peak_bytes", 1, MEMORY_ERROR)
        self.assertGreaterEqual(usage["processes_peak"], 4)

    def test_n_written_bytes_are_what_lies_there_in_the_end(self):
        usage = self.figure("files", "written_bytes", 1, WRITTEN_ERROR)
        self.assertGreaterEqual(usage["written_inodes"], 4)

    def test_n_a_guest_killed_at_its_limit_has_figures(self):
        wall = self.killed("loop", 401, execution_timeout=2)
        self.assertGreaterEqual(wall["wall_milliseconds"], 2000)
        self.assertLess(wall["wall_milliseconds"], 2000 + WALL_ERROR)
        self.assertGreater(wall["cpu_milliseconds"], 500)
        self.assertGreaterEqual(self.killed("memory", 403)["memory_peak_bytes"], 64 << 20)
        self.assertGreaterEqual(self.killed("processes", 403)["processes_peak"], 32)
        self.assertGreater(self.killed("output", 402)["stdout_bytes"], 1 << 20)
        self.assertGreater(self.killed("disk", 402)["written_bytes"], 16 << 20)

    def killed(self, case, code, **more):
        """The figures of one that was killed: there is no response, and none of them is missing."""
        reply = self.reply(case, **more)
        self.assertEqual(suite.code(reply), code, reply)
        usage = reply["context"]["usage"]
        for name in ("wall_milliseconds", "cpu_milliseconds", "memory_peak_bytes", "processes_peak"):
            self.assertGreater(usage[name], 0, (name, reply))
        return usage


if __name__ == "__main__":
    unittest.main()
