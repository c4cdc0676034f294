"""A command that takes this process's place."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from orchctl.errors import CommandNotExecutable, CommandNotFound, OrchctlError

# Python ignores these from its start on, and what is executed would inherit that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True)
class Command:
    """A command that was found, and how things were when it was.

    env.py and revisions run in this process and may change its environment, its folder and its
    umask; the command gets what orchctl itself was started with.

    Attributes:
        words: As typed.
        program: The file to execute.
        environment: Its environment.
        folder: Its working folder.
        umask: Its umask.
    """

    words: tuple[str, ...]
    program: str
    environment: Mapping[str, str]
    folder: Path
    umask: int

    @property
    def name(self) -> str:
        """The command's name, for people."""
        return self.words[0]

    def take_over(self) -> NoReturn:
        """Become the command: same process id, same open standard streams.

        Raises:
            CommandNotExecutable, CommandNotFound: The system doesn't take it: no `#!` line, an
                interpreter that isn't there, gone meanwhile.
        """
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # nobody reads it, or its disk is full
                stream.flush()
        os.umask(self.umask)
        signal.setitimer(signal.ITIMER_REAL, 0)  # a timer outlives exec, its handler doesn't
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        try:
            os.chdir(self.folder)
            os.execve(self.program, self.words, dict(self.environment))  # noqa: S606 no shell
        except OSError as error:
            raise _refused_by_system(self, error) from error


def find_command(words: Sequence[str], environment: Mapping[str, str]) -> Command:
    """Find a command the way a shell does, so that a typing error is known before work begins.

    Args:
        words: The command and its arguments.
        environment: Its environment; PATH is looked up in it.

    Raises:
        CommandNotFound: Like a shell's 127.
        CommandNotExecutable: Like a shell's 126.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    program = _program(words[0], environment.get("PATH", os.defpath))
    return Command(tuple(words), program, dict(environment), Path.cwd(), umask)


def _program(name: str, path: str) -> str:
    tried = [name] if "/" in name else [os.path.join(one or ".", name) for one in path.split(":")]  # noqa: PTH118
    there = [one for one in tried if name and os.path.lexists(one)]
    for one in there:
        if Path(one).is_file() and os.access(one, os.X_OK):
            return one
    if there:
        reason = "a directory" if Path(there[0]).is_dir() else "not executable"
        raise CommandNotExecutable(
            f"{there[0]} is {reason}",
            state="Nothing was changed",
            hint=f"chmod +x {there[0]}, or correct the command",
        )
    raise CommandNotFound(
        f"There is no command {name}",
        state="Nothing was changed",
        hint="Correct the command, or PATH" if "/" not in name else "Correct the path",
    )


def _refused_by_system(command: Command, error: OSError) -> OrchctlError:
    kind = CommandNotFound if isinstance(error, FileNotFoundError) else CommandNotExecutable
    return kind(
        f"{command.program} can't be executed: {error.strerror}",
        hint="A script needs a first line such as #!/bin/sh, with an interpreter that is there",
    )
