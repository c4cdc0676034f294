"""What surrounds a deploy: the table `[tool.orchctl.deploy]`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchctl.errors import ConfigurationError

MOMENTS = ("pre-deploy", "pre-upgrade", "post-upgrade", "post-deploy", "post-undo")
_EXAMPLE = '[tool.orchctl.deploy.hooks] pre-deploy = "make check"'


@dataclass(frozen=True)
class DeploySettings:
    """What surrounds a deploy.

    Attributes:
        hooks: Name of a moment to a command for the shell.
        folder: The folder of the configuration file, where they run.
    """

    hooks: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def read_deploy(table: Any, file: Path) -> DeploySettings:
    """The settings in one table of a configuration file.

    Args:
        table: What TOML holds under `deploy`.
        file: The file, for messages.

    Raises:
        ConfigurationError: An unknown key, or a value of the wrong type.
    """
    _require_known(table, ("hooks",), "deploy", file)
    hooks = table.get("hooks", {})
    _require_known(hooks, MOMENTS, "deploy.hooks", file)
    for name, command in hooks.items():
        if not isinstance(command, str) or not command.strip():
            raise ConfigurationError(
                f"{file}: deploy.hooks.{name} is no command", code="bad-setting", hint=_EXAMPLE
            )
    return DeploySettings(dict(hooks), file.absolute().parent)


def _require_known(table: Any, known: tuple[str, ...], where: str, file: Path) -> None:
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"{file}: {where} is not a table", code="bad-setting", hint=_EXAMPLE
        )
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"Unknown setting {where}.{name} in {file}",
                code="unknown-setting",
                hint=f"Did you mean {where}.{close[0]}?" if close else "Known: " + ", ".join(known),
            )
