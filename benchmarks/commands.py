"""Starting the programs that are compared: console scripts of this environment, and sqlite3."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_BIN = Path(sys.executable).parent
ORCHCTL, ALEMBIC = str(_BIN / "orchctl"), str(_BIN / "alembic")
STRACE = shutil.which("strace")


def timed(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> float:
    """Run a command to its end, output thrown away; the seconds it took.

    Raises:
        RuntimeError: It failed; what it said is in the message.
    """
    began = time.perf_counter()
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=_environment() | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
    return seconds


def peak_memory(command: Sequence[str], folder: Path) -> float:
    """Run a command to its end; the MB that it, or a child of its, had in memory at most.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {told.read()[-2000:].decode()}")
    return usage.ru_maxrss / 1024


def peak_share(command: Sequence[str], folder: Path) -> float:
    """Run a command to its end; the MB that it and its children had in memory together at most.

    A page that several of them share counts once (PSS of /proc/PID/smaps_rollup). It is asked for
    every few milliseconds, so a short peak may be missed.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
        most = 0
        while process.poll() is None:
            most = max(most, sum(map(_share, _family(process.pid))))
            time.sleep(_PAUSE)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {told.read()[-2000:].decode()}")
    return most / 1024


_PAUSE = 0.003


def _family(process: int) -> Iterator[int]:
    """A process and those that it started."""
    yield process
    # Those that are gone in the meantime have none, and no memory.
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield from _family(int(child))


def _share(process: int) -> int:
    """Its part of what is in memory, in kB."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def slowed(command: Sequence[str], milliseconds: float) -> list[str]:
    """The command under strace, each fsync and fdatasync longer by so much."""
    delay = f"inject=fsync,fdatasync:delay_exit={int(milliseconds * 1000)}"
    return [*_traced("/dev/null"), "-e", delay, *command]


def fsyncs(command: Sequence[str], folder: Path) -> int:
    """How often a command and its children call fsync or fdatasync, counted by strace."""
    log = folder / "fsyncs.log"
    timed([*_traced(str(log)), *command], folder)
    count = sum("sync(" in line for line in log.read_text().splitlines())
    log.unlink()
    return count


def _traced(log: str) -> list[str]:
    # With a seccomp filter only these two calls stop the program, so the rest runs at full speed.
    return [
        STRACE or "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-e",
        "trace=fsync,fdatasync",
        "-o",
        log,
    ]


def _environment() -> dict[str, str]:
    """This process's environment without what orchctl, env.py and Python's start-up read."""
    ours = ("ORCHCTL_", "DATABASE_URL", "ALEMBIC_CONFIG", "PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}
