"""The user's own command, run against an upgraded copy."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from orchctl.errors import NegativeAnswer

_STDERR = 2
_TOLD = 10_000  # characters of output kept, counted from its end
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02
_SHELL = {126: " (it cannot be executed)", 127: " (the shell did not find a command)"}


@dataclass(frozen=True)
class Trial:
    """How the command ended.

    Attributes:
        command: As it was typed.
        exit_code: What it exited with; 128 and the signal's number where one ended it.
        seconds: How long it took.
        output: The end of what it wrote, where that was kept; else None.
    """

    command: str
    exit_code: int
    seconds: float
    output: str | None


def try_command(command: str, copy: Path, database_url: str, *, keep_output: bool) -> Trial:
    """Run a command with DATABASE_URL naming the copy.

    ORCHCTL_URL and ORCHCTL_SNAPSHOT_DIRECTORY lead to the copy too: an orchctl in the command must
    not reach the real database.

    Args:
        command: For the shell (`/bin/sh`).
        copy: The database.
        database_url: The URL of the real one, whose driver the command expects.
        keep_output: Keep what it writes instead of passing it on to stderr.
    """
    url = f"{database_url.partition(':')[0]}:///{copy}"
    environment = os.environ | {
        "DATABASE_URL": url,
        "ORCHCTL_URL": url,
        "ORCHCTL_SNAPSHOT_DIRECTORY": str(copy.parent / "snapshots"),
    }
    began = time.monotonic()
    done = subprocess.run(  # noqa: S602 - the user's own command line
        command,
        shell=True,
        env=environment,
        check=False,
        stdout=subprocess.PIPE if keep_output else _STDERR,
        stderr=subprocess.STDOUT if keep_output else None,
        text=True,
        errors="replace",
    )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    output = done.stdout[-_TOLD:] if keep_output else None
    return Trial(command, code, time.monotonic() - began, output)


def require_success(trial: Trial) -> None:
    """Say no when the command did.

    Raises:
        NegativeAnswer: `rehearsal-command`.
    """
    code = trial.exit_code
    if not code:
        return
    told = _SHELL.get(code) or (f" (signal {code - 128})" if code > 128 else "")
    raise NegativeAnswer(
        f"{trial.command!r} ended with {code}{told} on the upgraded copy",
        code="rehearsal-command",
        state="The upgrade itself went through on the copy; the database is untouched",
        hint="It ran in this folder, with DATABASE_URL naming the copy",
        details={"command": trial.command, "exit_code": code, "output": trial.output},
    )
