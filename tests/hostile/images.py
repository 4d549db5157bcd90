# SPDX-License-Identifier: LGPL-2.1-or-later
"""The images of the suite: that of the hostile guests, and hostile ones."""

import io
import pathlib
import shutil
import tarfile
import tempfile

import suite

GUESTS = pathlib.Path(__file__).resolve().parent / "guests"
RUN = "opt/test-runner/bin/run.sh"
BUILT = {}


def program():
    """The guests, compiled once."""
    if "program" not in BUILT:
        target = pathlib.Path(tempfile.mkdtemp(prefix="image-")) / "guest"
        suite.run("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-w", "-o", target, *sorted(GUESTS.glob("*.c")),
                  "-lpthread")
        BUILT["program"] = target
    return BUILT["program"]


def write(entries=(), run=None, mode=0o755):
    """The tar of a root file system: the guests as run.sh (or the text `run`), busybox, and `entries`: (name, kind, link
    or content, mode)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="image-")) / "image.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, RUN, run if run is not None else program().read_bytes(), mode)
        add(tar, "bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), 0o755)
        add(tar, "bin/suid", program().read_bytes(), 0o6755)
        add(tar, "bin/sh", None, 0o777, tarfile.SYMTYPE, "busybox")
        for name, kind, content, bits in entries:
            add(tar, name, content if kind == tarfile.REGTYPE else None, bits, kind, content if kind != tarfile.REGTYPE else "")
    return path


def add(tar, name, content, mode, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link or "", len(content or b"")
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = 1, 3
    tar.addfile(info, io.BytesIO(content or b""))


def remove(path):
    shutil.rmtree(pathlib.Path(path).parent, ignore_errors=True)
