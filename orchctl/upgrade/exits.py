"""os._exit() in a revision, which would end orchctl without a word."""

from __future__ import annotations

import os
from types import TracebackType
from typing import NoReturn


class HardExit(SystemExit):
    """Somebody called os._exit()."""


class Exits:
    """A context in which os._exit() raises `HardExit` instead, in this process alone.

    A forked child still ends with it, as `multiprocessing` needs it to.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._exit = os._exit

    def __enter__(self) -> Exits:
        setattr(os, "_exit", self._raise)  # noqa: B010 - mypy: not a method
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        setattr(os, "_exit", self._exit)  # noqa: B010

    def _raise(self, status: int = 0) -> NoReturn:
        if os.getpid() != self._process:
            self._exit(status)
        raise HardExit(status)
