#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the test_*.py files of a folder, each a unittest module, a line a test.

usage: run.py FOLDER [NAME…]

NAME chooses files (test_NAME.py, or a piece of a name). The last line is `N passed, N failed`; a test that was
skipped has shown nothing, and counts as failed.
"""

import importlib.util
import pathlib
import subprocess
import sys
import time
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n_passed = self.n_failed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def report(self, verdict, test, why=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"{verdict:4} {test.id()} ({seconds:.1f} s)", flush=True)
        if why:
            print("     " + why.rstrip().replace("\n", "\n     "), flush=True)

    def fail(self, test, why):
        self.n_failed += 1
        self.report("FAIL", test, why)

    def addSuccess(self, test):
        self.n_passed += 1
        self.report("ok", test)

    def addFailure(self, test, error):
        self.fail(test, self._exc_info_to_string(error, test))

    def addError(self, test, error):
        self.fail(test, self._exc_info_to_string(error, test))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.fail(subtest, self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        self.fail(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, error):
        self.fail(test, "expected to fail, and did")

    def addUnexpectedSuccess(self, test):
        self.fail(test, "expected to fail, and passed")


def load(path):
    """The tests of one file; a file that cannot be loaded is one failing test."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.argv = [str(path)]
    try:
        spec.loader.exec_module(module)
        return unittest.defaultTestLoader.loadTestsFromModule(module)
    except Exception as error:  # pylint: disable=broad-except
        def broken(error=error):
            raise error
        return unittest.FunctionTestCase(broken, description=str(path))


def spoil_freed_memory():
    """What a daemon reads after it has freed it is then seldom what it was. For services that begin from here on, and those
    that run."""
    subprocess.run(["systemctl", "set-environment", "MALLOC_PERTURB_=165"], check=True)
    subprocess.run(["systemctl", "try-restart", "pipeline-*.service"], check=True)


def main():
    folder, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    spoil_freed_memory()
    result = Result()
    for path in sorted(folder.glob("test_*.py")):
        if not names or any(name in path.stem for name in names):
            load(path).run(result)
            result._previousTestClass = None  # else unittest tears the module down once more before the next
    print(f"{result.n_passed} passed, {result.n_failed} failed")
    return 1 if result.n_failed or not result.n_passed else 0


if __name__ == "__main__":
    sys.exit(main())
