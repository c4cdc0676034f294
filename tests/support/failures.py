"""How a command line that can't go through must end: exit code, message, hint, and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.preloaded import orchctl
from tests.support.projects import Project

Completed = subprocess.CompletedProcess[str]


def refused(
    project: Project,
    *words: str,
    exit_code: int,
    code: str,
    says: str = "",
    hint: str = "",
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a command line as text and as JSON; both must say the same, clearly; gives the JSON."""

    def run(*front: str) -> Completed:
        return orchctl(project, *front, *words, env=dict(env or {}))

    return told(run, exit_code=exit_code, code=code, says=says, hint=hint)


def told(
    run: Callable[..., Completed], *, exit_code: int, code: str, says: str = "", hint: str = ""
) -> dict[str, Any]:
    """As `refused`, for any way of running orchctl; `run` gets the words before the command."""
    text = run()
    assert text.returncode == exit_code, text.stdout + text.stderr
    assert text.stdout == ""
    assert "Traceback" not in text.stderr
    assert "error: " in text.stderr
    assert says in text.stderr
    assert hint in text.stderr
    error = json_error(run("--json"), exit_code)
    assert error["code"] == code, error
    assert says in error["message"]
    assert hint in (error["hint"] or "")
    return error


def json_error(done: Completed, exit_code: int) -> dict[str, Any]:
    """The one JSON object that a failed command writes on stderr, and nothing beside it."""
    assert done.stdout == ""
    error = json.loads(done.stderr)["error"]
    assert done.returncode == error["exit_code"] == exit_code, done.stderr
    return error
