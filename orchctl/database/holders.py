"""Which processes have a file open or locked, as far as /proc tells (Linux, same PID namespace)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchctl.config import masked_url

_PROC = Path("/proc")
_SECRET = re.compile(
    r"^-.*(pass|token|secret|key|header)|^[A-Z_]*(PASS|TOKEN|SECRET|KEY)", re.ASCII
)


@dataclass(frozen=True)
class Holder:
    """A process that has the database, or orchctl's lock on it.

    Attributes:
        pid: Process id, in its own PID namespace; 0 when unknown.
        command: Its command line, shortened; empty when unknown.
        host: Host name it runs on; empty for this one.
        purpose: What it holds the lock for (orchctl's lock only).
        since: When it took the lock, UTC ISO-8601 (orchctl's lock only).
    """

    pid: int
    command: str
    host: str = ""
    purpose: str = ""
    since: str = ""

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host else ""
        what = f" ({self.command})" if self.command else ""
        doing = f", {self.purpose}" if self.purpose else ""
        since = f", since {self.since}" if self.since else ""
        return f"process {self.pid or 'unknown'}{what}{where}{doing}{since}"


def holders(path: Path) -> tuple[Holder, ...]:
    """Other processes that hold a database file, those with a lock on it first.

    Nothing is opened but /proc, so this is safe beside a live connection.

    Args:
        path: The database; its `-wal`, `-shm` and `-journal` are looked at too.

    Returns:
        The holders; empty where /proc is missing, hidden, or nobody holds it.
    """
    real = Path(os.path.realpath(path))
    files = [real, *(real.with_name(real.name + end) for end in ("-wal", "-shm", "-journal"))]
    identities = {identity for file in files if (identity := _identity(file))}
    if not identities or not _PROC.is_dir():
        return ()
    opened = _openers(identities)
    locking = [pid for pid in lock_pids(real) if pid in opened]
    return tuple(Holder(pid, command_of(pid)) for pid in dict.fromkeys([*locking, *opened]))


def lock_pids(path: Path) -> tuple[int, ...]:
    """Other processes with a kernel lock on a file, writers first, from /proc/locks."""
    identity = _identity(path)
    try:
        lines = (_PROC / "locks").read_text().splitlines()
    except OSError:
        return ()
    found: list[tuple[int, int]] = []
    for line in lines:
        # "1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF"; "->" marks one that waits.
        words = line.split()
        if identity is None or len(words) < 6 or words[1] == "->":
            continue
        # The device there and in stat() differ on overlay and btrfs: the inode decides.
        if words[5].rsplit(":", 1)[-1] == str(identity[1]) and int(words[4]) > 0:
            found.append((0 if words[3] == "WRITE" else 1, int(words[4])))
    return tuple(dict.fromkeys(pid for _, pid in sorted(found) if pid != os.getpid()))


def command_of(pid: int) -> str:
    """The command line of a process, at most 80 characters; empty when it can't be seen."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    words = raw.rstrip(b"\0").decode(errors="replace").split("\0")
    text = masked_command(words)
    return text if len(text) <= 80 else text[:79] + "…"


def masked_command(words: list[str]) -> str:
    """A command line with passwords in URLs, and values of secret-looking options, as ***."""
    shown: list[str] = []
    hide = False
    for word in words:
        option, equals, _ = word.partition("=")
        secret = bool(_SECRET.search(option))
        if hide:
            shown.append("***")
        elif secret and equals:
            shown.append(f"{option}=***")
        else:
            shown.append(masked_url(word))
        hide = secret and not equals and word.startswith("-")
    return " ".join(shown).strip()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _openers(identities: set[tuple[int, int]]) -> list[int]:
    own = os.getpid()
    pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 names only
    return [pid for pid in pids if pid != own and _has_open(pid, identities)]


def _has_open(pid: int, identities: set[tuple[int, int]]) -> bool:
    folder = _PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 names only
    except OSError:  # gone in the meantime, or somebody else's
        return False
    return any(_identity(folder / name) in identities for name in names)
