"""What a run has done so far, kept on the workload, so that a killed run is gone on with."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchctl.errors import OrchctlError, Refused, WorkloadFailed
from orchctl.workloads.kubernetes.client import JSON_PATCH, MERGE
from orchctl.workloads.kubernetes.kinds import Kind, Object
from orchctl.workloads.kubernetes.unfinished import RUN as ANNOTATION

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

LAST = "orchctl/last-run"  # the last one that went through, for `rollback --database`
_POINTER = "/metadata/annotations/orchctl~1run"
_LAST_POINTER = "/metadata/annotations/orchctl~1last-run"

# In the order in which they come; a run is at a step while it does what the step is called after.
STOPPING = "stopping"  # to zero, until nothing uses the claims
UPGRADING = "upgrading"  # the Job
CHANGING = "changing"  # the Job away, the image patched at zero
STARTING = "starting"  # replicas back, ready, healthy
UNDOING = "undoing"  # zero again, the database back, the image back, replicas back
DONE = "done"

ROLLBACK = "rollback"
# An object's annotations may have 256 KiB in all, and two of them are ours: a first upgrade through
# thousands of revisions tells more.
# https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/
_ROOM, _LAST_ONES = 100_000, 20
_NEEDED = ("ok", "database", "from", "to", "snapshot", "put_aside")
_LISTS = ("claims", "suspended", "allow_loss")


@dataclass(frozen=True)
class Record:
    """How far a run is, and what it takes to undo it.

    Attributes:
        run: Its identifier.
        command: `upgrade`, `deploy`, `downgrade` or `rollback`.
        step: Where it is.
        replicas: How many there were.
        container: Which container has the database.
        revision: Where to, in Alembic's notation.
        job_image: What the Jobs run.
        old_images: The images to go back to, by container.
        new_images: The images to come, by container; empty leaves them.
        claims: What must never have two pods.
        started_at: ISO 8601, UTC.
        job: The uid of the upgrade's Job, once it was made.
        answer: What the upgrade said: `from`, `to`, `revisions`, `snapshot`.
        changed: Whether the database was changed and not yet put back.
        failure: Why it is undone: `code`, `message`, `exit_code`.
        restored: What the restore said.
        snapshot: Of a rollback, the snapshot that it puts back; "" leaves the database.
        suspended: The CronJobs of snapshots that do nothing until it is over.
        allow_loss: Of an upgrade, the tables and columns whose loss is meant.
    """

    run: str
    command: str
    step: str
    replicas: int
    container: str
    revision: str
    job_image: str
    old_images: dict[str, str]
    new_images: dict[str, str]
    claims: tuple[str, ...]
    started_at: str
    job: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    failure: dict[str, Any] = field(default_factory=dict)
    restored: dict[str, Any] = field(default_factory=dict)
    snapshot: str = ""
    suspended: tuple[str, ...] = ()
    allow_loss: tuple[str, ...] = ()

    def text(self) -> str:
        """As it stands in the annotation; of a long answer only what a run needs."""
        text = _dumped(self)
        return text if len(text) <= _ROOM else _dumped(replace(self, answer=_short(self.answer)))

    def kept(self) -> Record:
        """What of it is kept when it is over: what taking it back needs."""
        every = self.answer.get("databases") or [self.answer]
        return replace(self, step=DONE, job="", answer={"databases": [_told(one) for one in every]})


def _dumped(record: Record) -> str:
    return json.dumps(asdict(record), sort_keys=True, separators=(",", ":"))


def _short(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        error = {key: str(answer["error"].get(key))[:1000] for key in ("code", "message")}
        return {"error": error}
    found = {key: answer[key] for key in _NEEDED if key in answer}
    if "revisions" in answer:
        found["revisions"] = list(answer["revisions"])[-_LAST_ONES:]
    if "databases" in answer:
        found["databases"] = [_short(one) for one in answer["databases"]]
    return found


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    found = {key: answer.get(key) for key in ("database", "from", "to")}
    snapshot = answer.get("snapshot") or {}
    found["revisions"] = list(answer.get("revisions") or ())
    found["snapshot"] = {key: snapshot.get(key) for key in ("id", "path", "sha256")}
    return found


def new_run() -> tuple[str, str]:
    """An identifier, and the moment, for a record."""
    return secrets.token_hex(3), datetime.now(UTC).isoformat(timespec="seconds")


def read_record(workload: Object, annotation: str = ANNOTATION) -> Record | None:
    """The record of a run that is not over (of the last that is, by LAST); None without one.

    Raises:
        Refused: `unreadable-run`: it was written by something newer, or by hand.
    """
    text = _annotation(workload, annotation)
    if text is None:
        return None
    try:
        found = json.loads(text)
        known = {one.name for one in fields(Record)}
        if not set(found) <= known:
            raise ValueError(", ".join(sorted(set(found) - known)))
        lists = {key: tuple(found.get(key, ())) for key in _LISTS}
        return Record(**{**found, **lists})
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(
            f"The annotation {annotation} can't be read: {error}",
            code="unreadable-run",
            state="Nothing was changed",
            hint="A newer orchctl may have written it",
        ) from error


class Recorded:
    """The record of the run under way; every change of it names what it replaces.

    A run that was taken over by another learns of it here, before it does anything further.
    """

    def __init__(self, cluster: Cluster, kind: Kind, name: str, record: Record) -> None:
        self._cluster, self._kind, self._name = cluster, kind, name
        self.now = record

    def begin(self, workload: Object) -> None:
        """Write it for the first time, provided that nobody changed the workload meanwhile."""
        metadata = {
            "resourceVersion": workload["metadata"]["resourceVersion"],
            "annotations": {ANNOTATION: self.now.text()},
        }
        try:
            self._cluster.patch(self._kind, self._name, {"metadata": metadata}, how=MERGE)
        except OrchctlError as error:
            if error.code != "cluster-conflict":
                raise
            # Only its status may have changed; or the answer was lost, and it is written.
            now = self.workload()
            if _annotation(now) == self.now.text():
                return
            if _annotation(now) is not None or not _same(now, workload):
                raise
            self.begin(now)

    def change(self, **facts: Any) -> Record:
        """Write down that some facts are different now."""
        after = replace(self.now, **facts)
        if after != self.now:
            self._replace([{"op": "replace", "path": _POINTER, "value": after.text()}])
            self.now = after
        return after

    def end(self, *, undone: bool = False) -> None:
        """The run is over: take the annotation away; what went through can be rolled back."""
        over: list[Object] = [{"op": "remove", "path": _POINTER}]
        rolled_back = self.now.command == ROLLBACK
        # One that changed nothing leaves on record what the one before it did.
        images = self.now.new_images != self.now.old_images
        if not undone and (self.now.changed or images or rolled_back):
            text = "" if rolled_back else self.now.kept().text()
            over.append({"op": "add", "path": _LAST_POINTER, "value": text})
            if not text:
                over.append({"op": "remove", "path": _LAST_POINTER})
        self._replace(over)

    def _replace(self, changes: list[Object]) -> None:
        test = {"op": "test", "path": _POINTER, "value": self.now.text()}
        try:
            self._cluster.patch(self._kind, self._name, [test, *changes], how=JSON_PATCH)
        except OrchctlError as error:
            if error.code not in ("cluster-refused", "cluster-trouble"):
                raise
            self._settle(changes[0], error)

    def _settle(self, change: Object, error: OrchctlError) -> None:
        """An answer that was lost, and the patch repeated: it is as wanted already."""
        held = _annotation(self.workload())
        if held == change.get("value"):
            return
        if held == self.now.text():
            raise error
        raise self._taken_over() from error

    def workload(self) -> Object:
        """The workload as it is now."""
        return self._cluster.get(self._kind, self._name)

    def mine(self) -> Object:
        """The workload as it is now, provided that this run still is the one under way.

        Raises:
            WorkloadFailed: `run-taken-over`.
        """
        workload = self.workload()
        if _annotation(workload) != self.now.text():
            raise self._taken_over()
        return workload

    def _taken_over(self) -> WorkloadFailed:
        return WorkloadFailed(
            f"Another run has taken over {self._kind.name}/{self._name}",
            code="run-taken-over",
            state="This run has stopped where it was",
            hint=f"orchctl k8s status {self._kind.name}/{self._name}",
        )


def _annotation(workload: Object, name: str = ANNOTATION) -> str | None:
    return (workload["metadata"].get("annotations") or {}).get(name)


def _same(now: Object, before: Object) -> bool:
    return bool(now["metadata"].get("generation") == before["metadata"].get("generation"))
