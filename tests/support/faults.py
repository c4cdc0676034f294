"""Writes, syncs and reads that fail, or kill the process, at the n-th one: by libfiu, in libc.

Everything the process does is hit alike: SQLite's own writes to the database, its journal, the
snapshot and the rehearsal's copy, and Python's to manifests, the lock and the journal. Only what
goes to the terminal is spared (what a broken one does is a test of its own).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support import preloaded
from tests.support.projects import Project

WRITES = ("rw/write", "rw/pwrite", "rw/ftruncate", "sync/fsync", "sync/fdatasync")
NAMES = ("dir/rename", "dir/unlink")
READS = ("rw/pread",)  # as SQLite reads; Python reads its modules by another call

_LIBRARIES = ("fiu_run_preload.so", "fiu_posix_preload.so")

# The callback is called in place of every call in question, in whatever thread that makes it.
_PRELUDE = """
import ctypes, os, signal, sys
points, number, error, sticky, log = {arguments!r}
fiu = ctypes.CDLL("libfiu.so.0")
Decide = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
reached = 0
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log else None

def decide(name, *_):
    global reached
    caller = sys._getframe().f_back
    if caller is None or caller.f_code.co_filename.endswith(("/output.py", "/boundary.py")):
        return 0
    reached += 1
    if log is not None:
        os.write(log, name + b"\\n")
    due = number is not None and (reached >= number if sticky else reached == number)
    if due and error is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return int(due)

keep = Decide(decide)
fiu.fiu_init(0)
for point in points:
    name = ("posix/io/" + point).encode()
    assert fiu.fiu_enable_external(name, 1, ctypes.c_void_p(error), 0, keep) == 0
sys.fault_injection = keep
"""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        number: At which of the calls, counted from 1; None only counts them.
        error: An errno; None means kill -9 instead of the call.
        sticky: All further calls fail too.
        points: Which calls count.
    """

    number: int | None
    error: int | None = None
    sticky: bool = False
    points: tuple[str, ...] = WRITES + NAMES


def start(project: Project, *words: str, fault: Fault, log: Path | None = None) -> preloaded.Run:
    """Start orchctl in the project's folder with a fault ahead of it.

    Args:
        project: Where.
        words: The command line.
        fault: What goes wrong.
        log: Gets a line for every call in question.
    """
    arguments = (fault.points, fault.number, fault.error, fault.sticky, str(log) if log else None)
    prelude = _PRELUDE.format(arguments=arguments)
    return preloaded.start(project, *words, prelude=prelude, preload=_libfiu())


def calls(project: Project, *words: str, points: tuple[str, ...], log: Path) -> list[str]:
    """The calls that a command makes when all goes well, in order; it runs for real."""
    done = start(project, *words, fault=Fault(None, points=points), log=log).finished()
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


@cache
def _libfiu() -> str:
    for folder in (Path("/usr/lib/fiu"), Path("/usr/local/lib/fiu"), Path("/usr/lib64/fiu")):
        if (folder / _LIBRARIES[1]).exists():
            return " ".join(str(folder / name) for name in _LIBRARIES)
    raise AssertionError("These tests need libfiu: apt-get install fiu-utils")
