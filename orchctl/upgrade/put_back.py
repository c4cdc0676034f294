"""After a commit failed that others went before: the snapshots back, or what stands where."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.digest import dump_digest
from orchctl.database.failure import explain
from orchctl.errors import OrchctlError, Refused, RestoreFailed, UpgradeRestored
from orchctl.snapshots.restore import restore

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.commits import Committed, PartlyCommittedError
    from orchctl.upgrade.file_run import FileRun
    from orchctl.upgrade.outcome import Outcome


def put_back(
    settings: Settings,
    files: Sequence[FileRun],
    outcomes: Sequence[Outcome],
    error: PartlyCommittedError,
) -> OrchctlError:
    """Put what was committed back from its snapshot, where nobody wrote to it since.

    Args:
        settings: The run's settings.
        files: The files of the run.
        outcomes: What was done to each of them.
        error: What was committed, and what was not.

    Returns:
        The error to raise: UpgradeRestored when every file is as before, else RestoreFailed.
    """
    runs = {one.plan.database: one for one in files}
    done = dict(zip(runs, outcomes, strict=True))
    kept: dict[Path, str] = {}
    for committed in reversed(error.committed):
        reason = _restored(settings, runs[committed.file], committed)
        if reason is not None:
            kept[committed.file] = reason
    told = _verdict(runs, done, error, kept)
    for file, one in runs.items():
        if file in kept:
            one.stands(done[file])
        else:
            one.failed(told)
    return told


def _restored(settings: Settings, one: FileRun, committed: Committed) -> str | None:
    """Restore one file; why not, where that can't be."""
    if one.snapshot is None:
        return "there is no snapshot of it"
    if committed.content is None:
        return "it was written to since, or that can't be told"

    def unwritten(present: sqlite3.Connection) -> None:
        if dump_digest(present) != committed.content:
            raise Refused("it was written to since", code="would-discard-writes")

    try:
        restore(one.snapshot, committed.file, timeout=settings.lock_timeout, guard=unwritten)
    except OrchctlError as error:
        return error.message
    except KeyboardInterrupt:
        return "interrupted"
    return None


def _verdict(
    runs: Mapping[Path, FileRun],
    done: Mapping[Path, Outcome],
    error: PartlyCommittedError,
    kept: Mapping[Path, str],
) -> OrchctlError:
    failed = error.undone[0]
    cause = error.cause
    if isinstance(cause, sqlite3.Error):
        cause = explain(cause, failed, doing="write to")
    told = cause.message if isinstance(cause, OrchctlError) else type(cause).__name__
    message = f"{failed} could not be committed after {_listed(error)}: {told}"
    details = {"committed": [str(file) for file in kept], "failed": str(failed)}
    if not kept:
        return UpgradeRestored(
            message,
            code="partly-committed",
            state="Every database is as before: what was committed was put back from its snapshot",
            hint=cause.hint if isinstance(cause, OrchctlError) else None,
            details=details,
        )
    stands = [f"{file} is at {_heads(done[file].after)} ({why})" for file, why in kept.items()]
    stands += [
        f"{file} is at {_heads(runs[file].plan.before)}" for file in runs if file not in kept
    ]
    undo = "; ".join(f"orchctl --url sqlite:///{file} rollback" for file in kept)
    return RestoreFailed(
        message,
        code="partly-committed",
        state="; ".join(stands),
        hint=f"The same command again does the rest; or take back what is done: {undo}",
        details=details,
    )


def _listed(error: PartlyCommittedError) -> str:
    return ", ".join(str(each.file) for each in error.committed)


def _heads(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "base"
