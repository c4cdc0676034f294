"""What needs the machine: a user without rights, a small disk, a read-only mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

NOBODY = 65534


@cache
def as_nobody() -> tuple[str, ...]:
    """Words before a command that make it run without root's rights.

    Where Python or this checkout lie in a folder that only root may enter, the process keeps the
    right to read everything; what it may write is decided by the permissions alone either way.
    """
    if os.geteuid() != 0:
        return ()
    plain = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    reading = (*plain, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    probe = f"import orchctl.cli, os; assert os.__file__ == {os.__file__!r}"
    able = subprocess.run([*plain, sys.executable, "-c", probe], capture_output=True)
    return plain if able.returncode == 0 else reading


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """An empty file system of its own (tmpfs) at `folder`, gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    _root("mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _root("umount", "--lazy", str(folder))


@contextmanager
def pinned(file: Path) -> Iterator[None]:
    """A file mounted on itself: it can be written to, and nothing can be moved in its place."""
    _root("mount", "--bind", str(file), str(file))
    try:
        yield
    finally:
        _root("umount", "--lazy", str(file))


def remount(folder: Path, *options: str) -> None:
    """Change the options of a mount, e.g. `ro`."""
    _root("mount", "-o", ",".join(("remount", *options)), str(folder))


def _root(*words: str) -> None:
    sudo = () if os.geteuid() == 0 else ("sudo", "--non-interactive")
    subprocess.run([*sudo, *words], check=True, capture_output=True)


def without_overrides() -> tuple[str, ...]:
    """Words before a command that make it mind permissions, as root does not."""
    if os.geteuid() != 0:
        return ()
    rights = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
