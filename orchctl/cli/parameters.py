"""Typer's parameters, without the cost of converting what needs no conversion.

Since 0.29 Typer converts every value through pydantic, whose import takes longer than the whole of
a short command. Texts, lists of them, words of an enum and plain paths are converted here;
everything else, and everything that is wrong, goes Typer's way and gets Typer's message. Versions
before 0.29 don't ask for a runtime parameter and are left as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any


def lighten(command: Any) -> None:
    """Let the parameters of a command, and of all below it, convert the cheap way first.

    Args:
        command: What `typer.main.get_command` gives.
    """
    for parameter in command.params:
        _lighten(parameter)
    # `--help` is an option that comes into being when it is asked for.
    setattr(command, "get_help_option", partial(_help_option, command.get_help_option))  # noqa: B010
    for below in getattr(command, "commands", {}).values():
        lighten(below)


def _help_option(typers_own: Callable[[Any], Any], context: Any) -> Any:
    option = typers_own(context)
    if option is not None:
        _lighten(option)
    return option


def _lighten(parameter: Any) -> None:
    typers_own = getattr(parameter, "get_runtime_param", None)
    if typers_own is None or "get_runtime_param" in vars(parameter):
        return
    light = partial(_LightParameter, parameter.type_descriptor, typers_own)
    setattr(parameter, "get_runtime_param", light)  # noqa: B010 - of this instance only


class _LightParameter:
    """What Typer calls a runtime parameter: something that coerces a value."""

    def __init__(self, descriptor: Any, typers_own: Callable[[], Any]) -> None:
        self._annotation = descriptor.annotation
        self._declared = descriptor.parameter_info
        self._typers_own = typers_own

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """The value as the annotation says; Typer's way unless it is surely right as it stands."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._declared.parser is None:
            if self._annotation is str and isinstance(value, str):
                return value
            if self._annotation == list[str] and isinstance(value, (list, tuple)):
                return list(value)
            if self._is_word(value):
                return self._annotation(value)
            if self._is_plain_path(value):
                return Path(value)
        return self._typers_own().coerce(value, param=param, ctx=ctx)

    def _is_word(self, value: Any) -> bool:
        kind = self._annotation
        if not isinstance(kind, type) or not issubclass(kind, Enum):
            return False
        return value in [member.value for member in kind]

    def _is_plain_path(self, value: Any) -> bool:
        if self._annotation is not Path or not isinstance(value, str):
            return False
        told = self._declared
        checked = told.exists or told.writable or told.resolve_path or told.allow_dash
        if checked or not told.file_okay or not told.dir_okay:
            return False
        return os.access(value, os.R_OK) or not os.path.lexists(value)
