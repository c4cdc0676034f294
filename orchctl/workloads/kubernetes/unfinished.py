"""A run that has a workload in hand: `k8s upgrade`, `deploy`, `downgrade`, `rollback`. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from orchctl.errors import Refused
from orchctl.workloads.kubernetes.kinds import Kind, Object, name_of

RUN = "orchctl/run"  # an annotation while the run lasts; a label of its Jobs and their pods
_ROLLBACK = "rollback"


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that is under way, or was killed.

    Attributes:
        command: `upgrade`, `deploy`, `downgrade` or `rollback`; "" where nothing can be read.
        step: Where it is: `stopping`, `upgrading`, `changing`, `starting`, `undoing`.
        started_at: ISO 8601, UTC.
    """

    command: str
    step: str
    started_at: str

    def __str__(self) -> str:
        if not self.command:
            return "its annotation can't be read"
        return f"{self.command}, at {self.step}, begun {self.started_at}"

    def told(self, target: str) -> str:
        """One line for a person.

        Args:
            target: `KIND/NAME`.
        """
        return f"A run on {target} is not over, or goes on right now: {self}"

    def hint(self, target: str) -> str:
        """What to type if it was killed."""
        return going_on(self.command, target)


def unfinished_run(workload: Object) -> UnfinishedRun | None:
    """The run that has a workload in hand; None when there is none."""
    text = (workload["metadata"].get("annotations") or {}).get(RUN)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return UnfinishedRun(*(str(found[key]) for key in ("command", "step", "started_at")))
    except (ValueError, LookupError, TypeError):
        return UnfinishedRun("", "", "")


def typed(command: str) -> str:
    """A run's command as it is typed: of `rollback` the one that is a run has an option."""
    return f"{_ROLLBACK} --database" if command == _ROLLBACK else command or "deploy"


def going_on(command: str, target: str) -> str:
    """What to type to go on with a run, or to undo it.

    Args:
        command: `upgrade`, `deploy`, `downgrade` or `rollback`.
        target: `KIND/NAME`.
    """
    return f"orchctl k8s {typed(command)} {target} --resume goes on, --abort undoes it"


def require_no_run(kind: Kind, workload: Object) -> None:
    """Nothing else may change what a run has in hand: it would be set back, or start a writer.

    Raises:
        Refused: `unfinished-run`.
    """
    run, target = unfinished_run(workload), f"{kind.name}/{name_of(workload)}"
    if run is not None:
        raise Refused(
            run.told(target),
            code="unfinished-run",
            state="Nothing was changed",
            hint=run.hint(target),
        )
