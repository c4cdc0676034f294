"""The shell of workflow files, run as GitHub's runner runs it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
# https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idstepsshell
_SHELLS = {
    "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
    None: ("bash", "-e", "-c"),
}


@dataclass(frozen=True)
class Runner:
    """A folder with a checkout, and what a runner sets beside it.

    Attributes:
        checkout: The working folder.
        environment: The variables of every step.
        values: What expressions such as `inputs.path` stand for.
    """

    checkout: Path
    environment: Mapping[str, str]
    values: Mapping[str, str]

    def run(self, step: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run one step's script."""
        folder = self.checkout / self._filled(step.get("working-directory", "."))
        own = {name: self._filled(value) for name, value in step.get("env", {}).items()}
        return subprocess.run(
            [*_SHELLS[step.get("shell")], self._filled(step["run"])],
            cwd=folder,
            env={**self.environment, **own},
            capture_output=True,
            text=True,
            timeout=240,
        )

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self.values[match[1]], text)
