"""Undoing the last run: its snapshot back into the live file, the present put aside first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.content import content_hash
from orchctl.database.inspect import inspect, row_counts
from orchctl.database.open import reading, sidecars
from orchctl.errors import Refused
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.exchange import exchange
from orchctl.upgrade.at_head import heads_of
from orchctl.upgrade.journal import Entry, Journal
from orchctl.upgrade.mark import find_mark

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.report import Listener


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback will do.

    Attributes:
        database: The file.
        before: The heads it is at.
        after: The heads of the snapshot.
        snapshot: What is put back.
        undoes: The journal's line of the run that is undone; None when `--to` named an older one.
        written: Rows that came (+) or went (-) since, by table; empty when none did.
        changed: Whether anything was written since that run; None when it can't be told.
        seen: The file's `fingerprint` when it was looked at.
        snapshot_directory: Where snapshots and the journal are.
        version_table: Name of Alembic's table.
    """

    database: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    snapshot: Snapshot
    undoes: Entry | None
    written: Mapping[str, int]
    changed: bool | None
    seen: object
    snapshot_directory: Path
    version_table: str

    @property
    def loses(self) -> bool:
        """Whether something would be discarded, or might be."""
        return self.changed is not False


@dataclass(frozen=True)
class RollbackReport:
    """What a rollback did: the plan, the snapshot of what was discarded, and the seconds."""

    plan: RollbackPlan
    put_aside: Snapshot | None
    seconds: float


def plan_rollback(
    file: Path, directory: Path, version_table: str, *, to: str | None = None
) -> RollbackPlan:
    """Find what a rollback puts back, and what was written since.

    Args:
        file: The database.
        directory: Its snapshot directory.
        version_table: Name of Alembic's table.
        to: Id (or unique prefix) of a snapshot; None means the one before the last run.

    Raises:
        Refused: Nothing to roll back, or the snapshot can't be used.
        UsageError: No such snapshot.
    """
    catalog = Catalog(directory, file)
    seen = fingerprint(file)
    facts = inspect(file, version_table=version_table)
    last = last_change(catalog, file, facts.heads, version_table)
    snapshot = catalog.get(_undoable(last, file) if to is None else to)
    if snapshot.status not in ("complete", "verified"):
        raise Refused(
            f"Snapshot {snapshot.id} is {snapshot.status} and can't be put back",
            code="snapshot-unusable",
            state="Nothing was changed",
            hint="orchctl backup list shows the others; orchctl backup verify ID tells more",
        )
    undoes = last if last is not None and last.snapshot == snapshot.id else None
    changed, written = _since(file, undoes)
    return RollbackPlan(
        database=file,
        before=facts.heads,
        after=heads_of(snapshot.path, version_table) if snapshot.usable else snapshot.heads,
        snapshot=snapshot,
        undoes=undoes,
        written=written,
        changed=changed,
        seen=seen,
        snapshot_directory=directory,
        version_table=version_table,
    )


def require_acceptance(plan: RollbackPlan) -> None:
    """Refuse a rollback that would discard what was written since the run it undoes.

    Raises:
        Refused: There is something to lose.
    """
    if not plan.loses:
        return
    if plan.undoes is None:
        what = f"What was written since snapshot {plan.snapshot.id} would be discarded"
    elif plan.changed is None:
        what = f"Whether {plan.database} was written to since the {plan.undoes.event} can't be told"
    else:
        what = f"{plan.database} was written to since the {plan.undoes.event}"
    raise Refused(
        what + _told(plan.written),
        code="would-discard-writes",
        state="Nothing was changed",
        hint="--accept-data-loss puts the snapshot back all the same (the present is kept as a "
        "snapshot); --downgrade runs the downgrades instead and keeps the rows",
        details={"written": dict(plan.written)},
    )


def roll_back(
    settings: Settings, plan: RollbackPlan, listener: Listener, *, accept_data_loss: bool
) -> RollbackReport:
    """Put the snapshot back into the live file, after a snapshot of the present.

    Both happen under SQLite's write lock, so no write falls between them.

    Args:
        settings: The run's settings.
        plan: What to do.
        listener: Who hears of the progress.
        accept_data_loss: Whether writes made since may be discarded.

    Raises:
        Refused: There is something to lose and it was not accepted; a snapshot is damaged.
        LockHeld: Somebody else holds the database. Nothing was changed.
        RestoreFailed: The restore failed half-way; says what to type.
    """
    if not accept_data_loss:
        require_acceptance(plan)

    def look(_: object) -> None:
        if not accept_data_loss and fingerprint(plan.database) != plan.seen:
            require_acceptance(replace(plan, changed=True))

    began = time.monotonic()
    done = exchange(
        plan.snapshot,
        plan.database,
        plan.snapshot_directory,
        timeout=settings.lock_timeout,
        version_table=plan.version_table,
        look=look,
        bar=listener.bar,
        on_wait=lambda holder, waited: listener.running(f"Waiting for {holder} ({waited:.0f}s)"),
    )
    if done.put_aside is not None:
        listener.step(f"Snapshot of the present: {done.put_aside.id}")
    listener.step(f"Restored {plan.snapshot.id}")
    report = RollbackReport(plan, done.put_aside, time.monotonic() - began)
    try:
        _record(report)
    except OSError as error:
        listener.warning(f"the rollback is done, but not in the journal: {error}")
    return report


def downgrade_target(file: Path, directory: Path, version_table: str) -> str:
    """Where a rollback by downgrades goes: the revision before the last run, or `base`.

    Args:
        file: The database.
        directory: Its snapshot directory.
        version_table: Name of Alembic's table.

    Raises:
        Refused: There is no upgrade to undo, or it began at several heads.
    """
    heads = inspect(file, version_table=version_table).heads
    last = last_change(Catalog(directory, file), file, heads, version_table)
    if last is None or last.event != "upgrade":
        raise nothing_to_roll_back(file)
    if len(last.before) > 1:
        raise Refused(
            f"The last upgrade began at several heads ({', '.join(last.before)})",
            code="several-heads",
            state="Nothing was changed",
            hint="orchctl downgrade REVISION goes to one of them",
        )
    return last.before[0] if last.before else "base"


def last_change(
    catalog: Catalog, file: Path, heads: tuple[str, ...], version_table: str
) -> Entry | None:
    """The run that a rollback undoes: the journal's last, or one that came only to its commit.

    A run that was killed between commit and journal is known by its snapshot: taken after the
    journal's last line, named in none, and of other revisions than the database has now.

    Args:
        catalog: Of the database's snapshots.
        file: The database.
        heads: Where it is.
        version_table: Name of Alembic's table; runs of another chain in the file don't count.
    """
    journal = Journal(catalog.directory, file)
    for snapshot, event in _untold_runs(catalog, journal.entries()):
        before = heads_of(snapshot.path, version_table)
        if before == heads:
            break
        begun = journal.unfinished()
        run = begun.run if begun and begun.snapshot == snapshot.id else None
        return Entry(event, str(file), before, heads, snapshot=snapshot.id, run=run)
    return journal.last_change(version_table)


def _untold_runs(catalog: Catalog, entries: Sequence[Entry]) -> Iterator[tuple[Snapshot, str]]:
    """Snapshots of runs that the journal says nothing of, the newest first, and what they did."""
    told = {entry.snapshot for entry in entries}
    since = datetime.fromisoformat(entries[-1].at) if entries else None
    for snapshot in reversed(catalog.list()):
        if since is not None and datetime.fromisoformat(snapshot.created_at) <= since:
            return
        event = snapshot.reason.removeprefix("pre-")
        if event in ("upgrade", "downgrade") and snapshot.usable and snapshot.id not in told:
            yield snapshot, event


def needed_by_runs(catalog: Catalog, file: Path, version_tables: Sequence[str]) -> frozenset[str]:
    """The snapshots that a rollback would put back, or the next run after one that was killed.

    Of a run that was killed, only the database tells whether it came to its commit; here the last
    such one counts as one that did, so that nothing but files has to be read.

    Args:
        catalog: Of the database's snapshots.
        file: The database; need not exist.
        version_tables: Names of Alembic's tables in it.

    Raises:
        Refused: The journal can't be read.
    """
    journal = Journal(catalog.directory, file)
    entries = journal.entries()
    last = [journal.last_change(table) for table in version_tables]
    mark = find_mark(catalog.directory, file)
    untold = [one for one, _ in _untold_runs(catalog, entries)]
    needed = {one.snapshot for one in last if one} | {one.id for one in untold[:1]}
    needed |= {mark.snapshot} if mark else set()
    return frozenset(one for one in needed if one)


def nothing_to_roll_back(file: Path) -> Refused:
    """The refusal where no run is left to undo."""
    return Refused(
        f"There is no upgrade of {file} to undo",
        code="nothing-to-roll-back",
        state="Nothing was changed",
        hint="orchctl backup list shows the snapshots; orchctl rollback --to ID puts one back",
    )


def fingerprint(file: Path) -> object:
    """Sizes and times of a database and its WAL; the same as long as nobody writes.

    Nothing is opened: that could drop the locks of a connection of this process.
    """
    found = []
    for path in (file, sidecars(file)["-wal"]):  # which is beside the real file
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if facts.st_size:
            found.append((path.name, facts.st_size, facts.st_mtime_ns))
    return found


def _undoable(last: Entry | None, file: Path) -> str:
    if last is None:
        raise nothing_to_roll_back(file)
    if last.snapshot is None:
        raise Refused(
            f"The last {last.event} of {file} was made without a snapshot",
            code="no-snapshot",
            state="Nothing was changed",
            hint="orchctl rollback --downgrade runs the downgrades instead",
        )
    return last.snapshot


def _since(file: Path, undoes: Entry | None) -> tuple[bool | None, dict[str, int]]:
    """Whether anything was written since a run, and how many rows came or went by table."""
    if undoes is None:
        return True, {}
    content = content_hash(file, untouched=True)
    if content is not None and content == undoes.content:
        return False, {}
    with reading(file) as connection:
        now = row_counts(connection)
    names = sorted(set(now) | set(undoes.row_counts))
    differences = {name: now.get(name, 0) - undoes.row_counts.get(name, 0) for name in names}
    written = {name: rows for name, rows in differences.items() if rows}
    told = content is not None and undoes.content is not None
    return (True if told else None), written


def _told(written: Mapping[str, int]) -> str:
    if not written:
        return ""
    return ": " + ", ".join(f"{name} {rows:+d} rows" for name, rows in written.items())


def _record(report: RollbackReport) -> None:
    plan = report.plan
    Journal(plan.snapshot_directory, plan.database).append(
        Entry(
            event="rollback",
            database=str(plan.database),
            before=plan.before,
            after=plan.after,
            snapshot=report.put_aside.id if report.put_aside else None,
            restored=plan.snapshot.id,
            seconds=round(report.seconds, 3),
            version_table=plan.version_table,
        )
    )
