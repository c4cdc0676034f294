"""The settings of `verify-chain`: the table `[tool.orchctl.verify]`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchctl.errors import ConfigurationError

LEVELS = ("error", "warning", "note", "off")


@dataclass(frozen=True)
class VerifySettings:
    """What `verify-chain` looks for, and how serious it takes it.

    Attributes:
        select: Rule ids, or the start of some (`L`, `C0`); empty means all.
        ignore: Rule ids, or the start of some, that are left out.
        levels: Rule id, or the start of some, to `error`, `warning`, `note` or `off`; the longer
            one counts.
        exclude: Patterns of paths, relative to the configuration file's folder; findings in such
            files are left out, the revisions in them still count.
        folder: The folder of the configuration file.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    folder: Path | None = None


def read_verify(table: Any, file: Path) -> VerifySettings:
    """The settings in one table of a configuration file.

    Args:
        table: What TOML holds under `verify`.
        file: The file, for messages.

    Raises:
        ConfigurationError: An unknown key, or a value of the wrong type.
    """
    if not isinstance(table, dict):
        raise _wrong(file, "verify", "is not a table")
    known = [one.name for one in fields(VerifySettings) if one.name != "folder"]
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"Unknown setting verify.{name} in {file}",
                code="unknown-setting",
                hint=f"Did you mean verify.{close[0]}?" if close else "Known: " + ", ".join(known),
            )
    lists = {name: _texts(table[name], name, file) for name in known if _is_list(name, table)}
    return VerifySettings(
        **lists, levels=_levels(table.get("levels", {}), file), folder=file.absolute().parent
    )


def _is_list(name: str, table: Mapping[str, Any]) -> bool:
    return name != "levels" and name in table


def _texts(value: Any, name: str, file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise _wrong(file, name, "takes a list of texts")
    return tuple(value if name == "exclude" else (one.upper() for one in value))


def _levels(value: Any, file: Path) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong(file, "levels", 'takes a table such as {L02 = "note"}')
    for rule, level in value.items():
        if level not in LEVELS:
            raise _wrong(file, f"levels.{rule}", f"is none of {', '.join(LEVELS)}")
    return {rule.upper(): level for rule, level in value.items()}


def _wrong(file: Path, name: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file}: {name} {what}",
        code="bad-setting",
        hint="docs/rules/README.md shows the table [tool.orchctl.verify]",
    )
