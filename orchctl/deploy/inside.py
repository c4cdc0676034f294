"""The engine run where the revisions are: in a one-off container of an image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchctl.errors import (
    ConfigurationError,
    Interrupted,
    LockHeld,
    NegativeAnswer,
    OrchctlError,
    Refused,
    RestoreFailed,
    TimedOut,
    UpgradeFailed,
    UpgradeRestored,
    UsageError,
    WorkloadFailed,
)
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.one_off import run_once

if TYPE_CHECKING:
    from orchctl.deploy.means import Means
    from orchctl.deploy.record import Deployment
    from orchctl.workloads.docker.attached import Ran
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

_KINDS: dict[int, type[OrchctlError]] = {
    int(kind.exit_code): kind
    for kind in (
        NegativeAnswer,
        UsageError,
        ConfigurationError,
        LockHeld,
        Refused,
        UpgradeFailed,
        UpgradeRestored,
        RestoreFailed,
        WorkloadFailed,
        TimedOut,
        Interrupted,
    )
}


_UNHEARD = "done; its answer was lost"


def rehearse_inside(means: Means, deployment: Deployment) -> None:
    """Rehearse in the new image, while the service goes on.

    Raises:
        OrchctlError: As `run_inside` says; nothing was changed.
    """
    _run(means, deployment, ["orchctl", "rehearse", deployment.revision, "--json"])
    means.listener.step(f"Rehearsed on a copy, in {deployment.image}")


def upgrade_inside(means: Means, deployment: Deployment) -> None:
    """Upgrade in the new image, everything else stopped.

    Raises:
        OrchctlError: As `run_inside` says.
    """
    words = ["orchctl", "upgrade", deployment.revision, "--no-rehearse", "--json"]
    told = _run(means, deployment, words)
    done = told.get("text") or " -> ".join(told.get("revisions") or []) or "nothing to do"
    means.listener.step(f"Upgraded in {deployment.image}: {done}")


def run_inside(
    engine: Engine,
    service: ContainerFacts,
    image: str,
    words: Sequence[str],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Run orchctl in a one-off container, and read its answer.

    Args:
        engine: The engine.
        service: Whose mounts, variables and user it gets.
        image: What the container is made of.
        words: The command.
        tell: Called with every line that it prints on stderr.

    Returns:
        The JSON object that it printed; what is none, as `text`.

    Raises:
        OrchctlError: As `inside_answer` says.
        WorkloadFailed, LockHeld: As `run_once` does.
    """
    return inside_answer(
        lambda heard: run_once(engine, service, image, words, heard), image, words, tell
    )


def inside_answer(
    run: Callable[[Callable[[str], None]], Ran],
    image: str,
    words: Sequence[str],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """The answer of an orchctl that is run inside.

    Args:
        run: Runs it, given whom to call with every line that it prints on stderr.
        image: What its container is made of.
        words: The command.
        tell: Called with these lines, but for the error object of `--json`.

    Returns:
        The JSON object that it printed; what is none, as `text`. A container's log can be lost, or
        kept where the engine can't read it: that its command ended well is known all the same.

    Raises:
        OrchctlError: `inside-failed`, of the class that has the exit code of the one inside, with
            what that said. As `run` does.
    """
    lines: list[str] = []

    def heard(line: str) -> None:
        lines.append(line)
        if not line.startswith("{"):  # the error object, which is told as ours
            tell(line)

    ran = run(heard)
    if ran.exit_code == 0:
        text = ran.stdout.strip() or (_UNHEARD if "--json" in words else "")
        return _object(ran.stdout) or {"text": text}
    said = _object("\n".join(lines)).get("error") or {}
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    told = said.get("message") or next((line for line in (*errors, *reversed(lines)) if line), "")
    raise _KINDS.get(ran.exit_code, WorkloadFailed)(
        f"{' '.join(words[:2])} in {image} ended with {ran.exit_code}" + (f": {told}" * bool(told)),
        code="inside-failed",
        state=said.get("state"),
        hint=said.get("hint"),
        details={"exit": ran.exit_code, "cause": said.get("code"), "last_lines": lines[-20:]},
    )


def _run(means: Means, deployment: Deployment, words: Sequence[str]) -> dict[str, Any]:
    held = next(one for one in deployment.containers if one.replaced)
    service = look(means.engine, held.name)

    def tell(line: str) -> None:
        means.listener.running(f"  {line}")

    return run_inside(means.engine, service, deployment.image_id, words, tell)


def _object(text: str) -> dict[str, Any]:
    """The last JSON object in a text; empty where there is none."""
    for start in (index for index, char in enumerate(text) if char == "{"):
        try:
            found = json.loads(text[start:])
        except ValueError:
            continue
        return found if isinstance(found, dict) else {}
    return {}
