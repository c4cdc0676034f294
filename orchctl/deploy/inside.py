"""The engine run where the revisions are: in a one-off container of the new image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchctl.errors import OrchctlError, Refused, UpgradeFailed
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.one_off import Ran, run_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.deploy.means import Means
    from orchctl.deploy.record import Deployment


def rehearse_inside(means: Means, deployment: Deployment) -> None:
    """Rehearse in the new image, while the service goes on.

    Raises:
        UpgradeFailed: `inside-failed`; nothing was changed.
        WorkloadFailed: As `run_once` does.
    """
    _run(means, deployment, ["orchctl", "rehearse", deployment.revision, "--json"])
    means.listener.step(f"Rehearsed on a copy, in {deployment.image}")


def upgrade_inside(means: Means, deployment: Deployment) -> dict[str, Any]:
    """Upgrade in the new image, everything else stopped; what it says, as `upgrade --json`.

    Raises:
        UpgradeFailed: `inside-failed`; the database is as before, or restored.
        WorkloadFailed: As `run_once` does.
    """
    words = ["orchctl", "upgrade", deployment.revision, "--no-rehearse", "--json"]
    ran = _run(means, deployment, words)
    told = _object(ran.stdout)
    means.listener.step(f"Upgraded in {deployment.image}: {_moved(told)}")
    return told


def _run(means: Means, deployment: Deployment, words: Sequence[str]) -> Ran:
    held = next(one for one in deployment.containers if one.replaced)
    service = look(means.engine, held.name)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        means.listener.running(f"  {line}")

    ran = run_once(means.engine, service, deployment.image_id, words, tell)
    if ran.exit_code == 0:
        return ran
    raise _failed(deployment, words, ran, lines)


def _failed(
    deployment: Deployment, words: Sequence[str], ran: Ran, lines: Sequence[str]
) -> OrchctlError:
    """What the engine in the image said, as an error of ours."""
    said = _object("\n".join(lines)).get("error") or {}
    told = said.get("message") or next((line for line in reversed(lines) if line.strip()), "")
    kind = Refused if ran.exit_code == 5 else UpgradeFailed
    return kind(
        f"{' '.join(words[:2])} in {deployment.image} ended with {ran.exit_code}: {told}",
        code="inside-failed",
        state=said.get("state"),
        hint=said.get("hint"),
        details={"exit": ran.exit_code, "cause": said.get("code"), "last_lines": list(lines[-20:])},
    )


def _object(text: str) -> dict[str, Any]:
    """The last JSON object in a text; empty where there is none."""
    for start in (index for index, char in enumerate(text) if char == "{"):
        try:
            found = json.loads(text[start:])
        except ValueError:
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _moved(told: dict[str, Any]) -> str:
    revisions = told.get("revisions") or []
    return " -> ".join(revisions) if revisions else "nothing to do"
