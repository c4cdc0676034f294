"""One run of the command line: what was typed before the command, its settings, its output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.config import Settings, load
from orchctl.output import Output

if TYPE_CHECKING:
    from orchctl.upgrade.report import Listener

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to the command's question.")]


class Invocation:
    """What one run of the command line carries from parsing to the command.

    Attributes:
        flags: Settings given as flags before the command, by setting name.
        output: Where results and errors go.
    """

    def __init__(self) -> None:
        self.flags: dict[str, Any] = {}
        self.output = Output(as_json=False)

    @cached_property
    def settings(self) -> Settings:
        """The settings of this run, read on first use."""
        return load(self.flags, os.environ, Path.cwd())


def listener(output: Output) -> Listener:
    """The listener of a run that shows its progress on an output."""
    from orchctl.upgrade.report import Listener

    return Listener(
        step=heard_or_not(output.step),
        running=heard_or_not(output.note),
        warning=heard_or_not(output.warning),
        bar=output.progress,
    )


def heard_or_not(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Progress that goes on where nobody listens any more.

    `orchctl upgrade 2>&1 | head -1` must not stop an upgrade, nor a log on a disk that is full.
    """

    def told(text: str) -> None:
        with contextlib.suppress(OSError):
            tell(text)

    return told


def begin(context: typer.Context, as_json: bool = False, **flags: Any) -> Invocation:
    """The invocation behind a Typer context, with the command's own flags added.

    Args:
        context: The context Typer hands to a command.
        as_json: Whether `--json` stands behind the command.
        flags: Settings given as flags of the command, `_` for `-`; None means not given.
    """
    invocation: Invocation = context.obj
    if as_json:
        invocation.output.as_json = True
    for name, value in flags.items():
        if value is not None:
            invocation.flags[name.replace("_", "-")] = value
    return invocation
