"""What uses the database: the table `[tool.orchctl.workload]`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchctl.config.values import CONVERTERS
from orchctl.errors import ConfigurationError

_EXAMPLE = '[tool.orchctl.workload] target = "docker:web", health = "http://localhost:8000/health"'


@dataclass(frozen=True)
class WorkloadSettings:
    """What uses the database, and how to tell that it is well.

    Attributes:
        target: As it is typed: `docker:web`, `compose:shop/api`, `k8s:deploy/web`.
        health: A URL that must answer once it runs.
        health_headers: Sent along, each `Name: value`; the values are secret.
        timeout: Seconds that it has to come up.
        grace: Seconds that it has to end; None leaves that to it.
        copy_to: Where `k8s` copies the snapshots that it takes on a claim; None leaves them there.
        origins: Name of a setting to where its value came from.
    """

    target: str | None = None
    health: str | None = None
    health_headers: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = 60.0
    grace: float | None = None
    copy_to: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> list[tuple[str, str, str]]:
        """Every setting as (name, value as text, origin); of headers the names alone."""
        texts = {
            "target": self.target or "",
            "health": self.health or "",
            "health-headers": " ".join(f"{h.partition(':')[0]}:***" for h in self.health_headers),
            "timeout": f"{self.timeout:g}s",
            "grace": "" if self.grace is None else f"{self.grace:g}s",
            "copy-to": str(self.copy_to or ""),
        }
        return [
            (f"workload.{name}", text, self.origins.get(name, "default"))
            for name, text in texts.items()
        ]


def _lines(value: Any) -> tuple[str, ...]:
    """Headers: a list in a file, a line each in a variable; commas may be part of one."""
    lines = value.splitlines() if isinstance(value, str) else list(value)
    if not all(isinstance(one, str) and one.partition(":")[1] for one in lines):
        raise ValueError("each is written as Name: value")
    return tuple(lines)


_KEYS: dict[str, Callable[[Any], Any]] = {
    "target": CONVERTERS["text"],
    "health": CONVERTERS["text"],
    "health-headers": _lines,
    "timeout": CONVERTERS["duration"],
    "grace": CONVERTERS["duration"],
    "copy-to": CONVERTERS["path"],
}
# Without the ORCHCTL_ before them.
VARIABLES = tuple(f"WORKLOAD_{name.upper().replace('-', '_')}" for name in _KEYS)


def read_workload(
    table: Any, file: Path | None, environment: Mapping[str, str]
) -> WorkloadSettings:
    """The settings of a workload: a variable ORCHCTL_WORKLOAD_… before the file.

    Args:
        table: What TOML holds under `workload`; None when it has no such table.
        file: The file, for messages.
        environment: The process's environment variables.

    Raises:
        ConfigurationError: An unknown key, or a value of the wrong type.
    """
    table = {} if table is None else table
    if not isinstance(table, dict):
        raise _wrong(f"{file} workload", "it is not a table")
    for name in table:
        if name not in _KEYS:
            close = difflib.get_close_matches(name.replace("_", "-"), _KEYS, n=1)
            hint = f"Did you mean workload.{close[0]}?" if close else "Known: " + ", ".join(_KEYS)
            raise ConfigurationError(
                f"Unknown setting workload.{name} in {file}", code="unknown-setting", hint=hint
            )
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, variable in zip(_KEYS, VARIABLES, strict=True):
        given, origin = table.get(name), f"{file} workload.{name}"
        if environment.get(f"ORCHCTL_{variable}"):
            given, origin = environment[f"ORCHCTL_{variable}"], f"environment ORCHCTL_{variable}"
        if given is None:
            continue
        try:
            values[name.replace("-", "_")] = _KEYS[name](given)
        except (TypeError, ValueError) as error:
            # The value itself may be a secret.
            told = "each is written as Name: value" if name == "health-headers" else str(error)
            raise _wrong(f"workload.{name} ({origin})", told) from error
        origins[name] = origin
    if file is not None and origins.get("copy-to", "").startswith(str(file)):
        values["copy_to"] = file.parent / values["copy_to"]
    return WorkloadSettings(**values, origins=origins)


def _wrong(what: str, told: str) -> ConfigurationError:
    return ConfigurationError(f"{what}: {told}", code="bad-setting", hint=_EXAMPLE)
