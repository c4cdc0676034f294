"""Commands of the project's own around the steps of a deploy."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.errors import Refused, WorkloadFailed

if TYPE_CHECKING:
    from pathlib import Path

    from orchctl.upgrade.report import Listener

_LINES = 20


@dataclass(frozen=True)
class Hooks:
    """The commands of `[tool.orchctl.deploy.hooks]`.

    Attributes:
        commands: Name of the moment to a command for the shell.
        folder: Where they run.
        environment: What they find there besides the ORCHCTL_… variables.
    """

    commands: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(self, moment: str, facts: Mapping[str, str], listener: Listener) -> None:
        """Run the command for a moment, if there is one.

        It gets the facts as ORCHCTL_… variables; what it prints is progress.

        Raises:
            Refused: `hook-failed`, of a `pre-` command.
            WorkloadFailed: `hook-failed`, of a `post-` command.
        """
        command = self.commands.get(moment)
        if command is None:
            return None
        listener.running(f"{moment}: {command}")
        given = {f"ORCHCTL_{name.upper()}": value for name, value in facts.items()}
        code, last = _ran(
            command, {**self.environment, **given, "ORCHCTL_HOOK": moment}, self, listener
        )
        if code == 0:
            return listener.step(f"{moment}: {command}")
        told = f"{moment} ended with {code}" + (f": {last}" if last else "")
        if moment.startswith("pre-"):
            raise Refused(
                told,
                code="hook-failed",
                hint=f"Mend it, or leave {moment} out of [tool.orchctl.deploy.hooks]",
            )
        raise WorkloadFailed(told, code="hook-failed", hint="Run it by hand once it is mended")


def _ran(
    command: str, environment: Mapping[str, str], hooks: Hooks, listener: Listener
) -> tuple[int, str]:
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=hooks.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        last = ""
        try:
            for line in running.stdout or ():
                if line.strip():
                    last = masked_url(line.strip())
                    listener.running(f"  {last}")
        except BaseException:
            running.terminate()  # it must not go on while what was done is undone
            raise
    return running.returncode, last
