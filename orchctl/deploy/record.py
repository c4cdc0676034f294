"""What a deploy has done so far, on disk before each step: whoever comes next knows what to undo.

One small JSON file beside the database, replaced as a whole and synced. It holds the deploy that
runs (or was killed), and the last one that went through, which `rollback --image` undoes.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from orchctl.database.failure import explain_os
from orchctl.errors import Refused
from orchctl.snapshots.durable import sync_directory, write_durably

SUFFIX = ".orchctl-deploy.json"
FORMAT = 1
Stage = Literal["stopping", "upgrading", "starting", "healthy", "undoing"]
_STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class HeldContainer:
    """A container that a deploy stops, as it was before.

    Attributes:
        name: Its name.
        id: Its id then; one of the same name and another id was made since.
        policy: Its restart policy.
        ran: Whether it ran.
        replaced: Whether it gets the new image; the others are started again as they are.
        image: Its image as it was named.
        image_id: The image itself.
    """

    name: str
    id: str
    policy: str
    ran: bool
    replaced: bool
    image: str
    image_id: str


@dataclass(frozen=True)
class Deployment:
    """One deploy.

    Attributes:
        id: When it began, UTC.
        target: As it was typed.
        database: The SQLite file.
        version_table: Alembic's table in it.
        before: The heads that the database was at.
        revision: Where to, in Alembic's notation.
        image: The new image as it was named.
        image_id: The image itself.
        containers: What is stopped, the target's own first.
        chain: `here`, or `image` where only the new image knows the revisions.
        stage: What is being done now; written before it is begun.
        snapshot: Id of the snapshot of the database, taken once everything was stopped.
        health: A URL that must answer.
        timeout: Seconds that a container has to come up.
        grace: Seconds that one has to end; None leaves that to it.
        failure: Why it is undone: exit code, code and message of the error.
        after: The heads after the upgrade.
        ended: When it was over, UTC.
    """

    id: str
    target: str
    database: str
    version_table: str
    before: tuple[str, ...]
    revision: str
    image: str
    image_id: str
    containers: tuple[HeldContainer, ...]
    chain: str = "here"
    stage: Stage = "stopping"
    snapshot: str | None = None
    health: str | None = None
    timeout: float = 60.0
    grace: float | None = None
    failure: Mapping[str, Any] | None = None
    after: tuple[str, ...] = ()
    ended: str | None = None

    @property
    def command(self) -> str:
        """What `--resume` and `--abort` stand behind: only the settings may spare the target."""
        return f"orchctl deploy {shlex.quote(self.target)}"

    @property
    def told(self) -> str:
        """It in one line."""
        return f"the deploy of {self.image} to {self.target}, begun {self.id}, stage {self.stage}"


@dataclass(frozen=True)
class Records:
    """What is on disk: the deploy that is not over yet, and the last that went through."""

    running: Deployment | None = None
    last: Deployment | None = None


def record_file(database: Path) -> Path:
    """Where the record of a database's deploys is: beside the real file."""
    real = Path(os.path.realpath(database))
    return real.with_name(real.name + SUFFIX)


def read_records(database: Path) -> Records:
    """What is known of the deploys of a database.

    Raises:
        Refused: `deploy-record`: the record can't be read.
    """
    path = record_file(database)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}")
        return Records(_deployment(content["running"]), _deployment(content["last"]))
    except FileNotFoundError:
        return Records()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"The record of the deploys, {path}, can't be read: {error}",
            code="deploy-record",
            state="Nothing was changed",
            hint="Look at the containers and at orchctl status; orchctl deploy lock release "
            "moves the record aside",
        ) from error


def needed_snapshots(database: Path) -> frozenset[str]:
    """Ids of the snapshots by which the deploy that runs, or the last one, can be undone.

    Raises:
        Refused: As `read_records` does.
    """
    records = read_records(database)
    both = (one.snapshot for one in (records.running, records.last) if one is not None)
    return frozenset(one for one in both if one)


def begin(deployment: Deployment) -> Deployment:
    """Write down that a deploy begins; the last one that went through is kept beside it.

    Raises:
        Refused, OperationFailed: It can't be written, nor by `advance` and `end`.
    """
    records = read_records(Path(deployment.database))
    return _write(replace(records, running=deployment), deployment)


def advance(deployment: Deployment, stage: Stage, **facts: Any) -> Deployment:
    """Write down what is done next, before it is; what is known by now with it."""
    deployment = replace(deployment, stage=stage, **facts)
    records = read_records(Path(deployment.database))
    return _write(replace(records, running=deployment), deployment)


def end(deployment: Deployment, *, went_through: bool) -> None:
    """Write down that a deploy is over: done, or undone."""
    last = read_records(Path(deployment.database)).last
    if last is not None and last.id == deployment.id:
        last = None  # the last one itself was taken back
    _write(Records(None, deployment if went_through else last), deployment)


def forget(database: Path) -> Path | None:
    """Move the record aside; where it is now, None when there was none."""
    path = record_file(database)
    aside = path.with_name(path.name + ".released")
    try:
        path.replace(aside)
    except FileNotFoundError:
        return None
    sync_directory(path.parent)
    return aside


def _write(records: Records, deployment: Deployment) -> Deployment:
    path = record_file(Path(deployment.database))
    content = {
        "format": FORMAT,
        "running": records.running and asdict(records.running),
        "last": records.last and asdict(records.last),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        write_durably(path, text.encode(), like=path.parent.stat())
    except OSError as error:
        raise explain_os(error, path, doing="write") from error
    return deployment


def _deployment(content: dict[str, Any] | None) -> Deployment | None:
    if content is None:
        return None
    known = {one.name for one in fields(Deployment)}
    values = {name: value for name, value in content.items() if name in known}
    values["containers"] = tuple(HeldContainer(**one) for one in values["containers"])
    for name in ("before", "after"):
        values[name] = tuple(values[name])
    if values["stage"] not in _STAGES:
        raise ValueError(f"its stage is {values['stage']!r}")
    return Deployment(**values)
