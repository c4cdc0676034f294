"""Writing a revision into a database without running it, where the schema bears it out.

A stamp that doesn't fit is how databases get lost: the next upgrade fails on "already exists", or
works on tables that aren't what it thinks. So the chain is first run from empty on a scratch file,
and the database must have the very schema that comes out there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database import lock
from orchctl.database.compare import SchemaDifference, compare, schema_of
from orchctl.database.inspect import stamped
from orchctl.errors import Interrupted, Refused, UpgradeFailed
from orchctl.upgrade.at_head import heads_of
from orchctl.upgrade.commits import PartlyCommittedError
from orchctl.upgrade.journal import Entry, Journal
from orchctl.upgrade.leftovers import remove_empty
from orchctl.upgrade.outcome import SILENT, Hooks, Participant
from orchctl.upgrade.plan import snapshot_directory
from orchctl.upgrade.stamp_plan import StampPlan, weighty
from orchctl.upgrade.transaction import Transaction

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.report import Listener


def refuse(plan: StampPlan) -> None:
    """Say no to a plan whose schema is not the revision's.

    Raises:
        Refused: `schema-differs`, or `schema-unknown` when the chain can't be run from empty.
    """
    where = _joined(plan.after)
    force = f"orchctl stamp --force {' '.join(plan.revisions)} does it all the same"
    if plan.obstacle is not None:
        raise Refused(
            f"What revision {where} should look like can't be told: {plan.obstacle.message}",
            code="schema-unknown",
            state="Nothing was changed",
            hint=force,
        ) from plan.obstacle
    count = len(weighty(plan.differences))
    if count:
        raise Refused(
            f"{plan.database} is not what revision {where} makes: {count} "
            f"difference{'' if count == 1 else 's'}{_fitting_told(plan)}",
            code="schema-differs",
            state="Nothing was changed",
            hint=f"{_fitting_command(plan)}{force}",
            details={
                "differences": [difference_object(one) for one in plan.differences],
                "fitting": [list(heads) for heads in plan.fitting],
            },
        )


def difference_object(one: SchemaDifference) -> dict[str, Any]:
    """The JSON form of a difference."""
    return {
        "kind": one.kind,
        "table": one.table,
        "name": one.name,
        "expected": one.before,
        "found": one.after,
    }


@contextlib.contextmanager
def stamping(settings: Settings, files: Sequence[Path], listener: Listener) -> Iterator[None]:
    """Hold the databases' locks: from planning a stamp to its end nobody else may migrate.

    Args:
        settings: The run's settings.
        files: The database files.
        listener: Hears who is waited for.

    Raises:
        LockHeld: Another orchctl kept a database for longer than the timeout.
        Refused: No directory, or no right to write to it.
    """

    def tell_wait(holder: object, waited: float) -> None:
        listener.running(f"Waiting for {holder} ({waited:.0f}s)")

    with contextlib.ExitStack() as locks:
        for file in sorted(files, key=os.path.realpath):
            held = lock.hold(
                file, timeout=settings.lock_timeout, purpose="stamp", on_wait=tell_wait
            )
            locks.enter_context(held)
        yield


def write_stamps(settings: Settings, plans: Sequence[StampPlan], listener: Listener) -> None:
    """Write the revisions of plans; the locks are held (`stamping`).

    Args:
        settings: The run's settings.
        plans: What to write to each file; whether its differences matter was decided by the caller.
        listener: Who hears of the progress.

    Raises:
        LockHeld: A writer kept a database for longer than the timeout.
        Refused: Schema or stamp changed since the plan; env.py opens another database.
        UpgradeFailed: A stamp was committed, and a fresh connection finds another; or it could not
            be committed after another file's was.
    """
    if all(plan.before == plan.after and not plan.purge for plan in plans):
        return
    began, was_there = time.monotonic(), [plan.database.exists() for plan in plans]
    parts = [_participant(plan) for plan in plans]
    run = Transaction(settings, parts, "stamp", plans[0].revisions, purge=plans[0].purge)
    try:
        outcomes = run.run()
    except PartlyCommittedError as error:
        raise _partly(error) from error
    except BaseException:
        for plan, there in zip(plans, was_there, strict=True):
            if not there:
                remove_empty(plan.database)
        raise
    for plan in plans:
        _require_written(plan)
    listener.step("Confirmed through a fresh connection")
    for plan in plans:
        _record(settings, plan, time.monotonic() - began, listener)
    if outcomes[0].interrupted:
        raise Interrupted("Interrupted after the commit", state="The stamp is written")


def _participant(plan: StampPlan) -> Participant:
    hooks = Hooks(
        locked=lambda guard, _: _require_schema(guard, plan),
        step=SILENT.step,
        check=lambda guard, _: _require_stamp(guard, plan),
    )
    return Participant(plan.database, hooks)


def _require_written(plan: StampPlan) -> None:
    found = heads_of(plan.database, plan.version_table)
    if found != plan.after:
        raise UpgradeFailed(
            f"{plan.database} is at {_joined(found)}, not {_joined(plan.after)}",
            code="not-confirmed",
            state="The stamp was committed, and a fresh connection finds another",
            hint="orchctl current",
        )


def _partly(error: PartlyCommittedError) -> UpgradeFailed:
    done = ", ".join(str(one.file) for one in error.committed)
    left = ", ".join(map(str, error.undone))
    return UpgradeFailed(
        f"{left} could not be stamped: {error}",
        code="partly-committed",
        state=f"{done} is stamped; {left} is as before",
        hint="The same command again stamps the rest",
    )


def _record(settings: Settings, plan: StampPlan, seconds: float, listener: Listener) -> None:
    journal = Journal(snapshot_directory(settings, plan.database), plan.database)
    entry = Entry(
        event="stamp",
        database=str(plan.database),
        before=plan.before,
        after=plan.after,
        seconds=round(seconds, 3),
    )
    try:
        journal.append(entry)
    except OSError as error:
        listener.warning(f"the stamp is done, but not in the journal ({journal.path}): {error}")


def _require_schema(guard: GuardedConnection, plan: StampPlan) -> None:
    """Under the write lock: the schema is still what the plan found."""
    own = {plan.version_table, *guard.version_tables}
    if compare(plan.schema, schema_of(guard.real), ignore=own):
        raise _changed_meanwhile(plan, "its schema")


def _require_stamp(guard: GuardedConnection, plan: StampPlan) -> None:
    """Before the commit: the version table holds what the plan says."""
    if (stamped(guard.real, plan.version_table) or ()) != plan.after:
        raise _changed_meanwhile(plan, "its stamp")


def _changed_meanwhile(plan: StampPlan, what: str) -> Refused:
    return Refused(
        f"Somebody else changed {plan.database} meanwhile: {what} is not what it was",
        code="changed-meanwhile",
        state="Nothing was changed by this run",
        hint="Run the same command again",
    )


def _fitting_told(plan: StampPlan) -> str:
    places = " or ".join(_joined(heads) for heads in plan.fitting)
    return f"; it is what {places} makes" if places else ""


def _fitting_command(plan: StampPlan) -> str:
    """What to type where the schema is another revision's.

    Several fit where a revision changes rows only; which of them ran, the schema doesn't tell.
    """
    if not plan.fitting:
        return ""
    if plan.fitting == ((),):
        return "orchctl upgrade builds it; "
    if len(plan.fitting) > 1:
        return "orchctl show REVISION tells them apart: by what they do to the rows; "
    return f"orchctl stamp {' '.join(plan.fitting[0])} fits; "


def _joined(heads: Sequence[str]) -> str:
    return ", ".join(heads) or "base"
