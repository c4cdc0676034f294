"""What tells a process apart from all others, on this machine and over its restarts."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # of the fields after the name in /proc/PID/stat, proc_pid_stat(5)


def boot() -> str:
    """Which of the machine's boots this is; "" where the system doesn't say."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def numbering() -> str:
    """The namespace in which numbers of processes count; "" where the system doesn't say."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def began(number: int) -> str:
    """When a process began, in the kernel's ticks since the boot.

    Args:
        number: Its pid.

    Returns:
        "" when there is none, when it has ended and nobody has asked how (a zombie), or where the
        system doesn't say.
    """
    try:
        # The name stands in brackets, and may have brackets and blanks itself.
        after = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after[_STATE] in ("Z", "X") else after[_STARTED]
