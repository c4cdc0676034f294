"""`orchctl backup …`: the snapshot catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.backup_text import (
    draw_list,
    draw_prune,
    draw_verifications,
    exchange_object,
    exchange_text,
    snapshot_fields,
    snapshot_object,
    told_heads,
    verification_object,
)
from orchctl.cli.failure_notice import OnFailureUrl, failures_told
from orchctl.cli.invocation import Invocation, Json, Yes, begin
from orchctl.errors import ExitCode, Refused, UsageError
from orchctl.output import bytes_text

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.snapshots.catalog import Catalog, Snapshot
    from orchctl.snapshots.exchange import Exchange
    from orchctl.upgrade.target import Database

Id = Annotated[str, typer.Argument(metavar="ID", help="Snapshot: its id, a beginning, latest.")]
All = Annotated[
    bool, typer.Option("--all", help="Those of every database in the snapshot directory.")
]
LockTimeout = Annotated[
    str | None, typer.Option(help="How long to wait for whoever holds the database, e.g. 30s.")
]
Keep = Annotated[int | None, typer.Option(min=0, help="Keep this many; given rules alone count.")]
_RULES = ("last", "daily", "weekly", "monthly", "within")


def register(app: typer.Typer) -> None:
    """Add the command group to the tree."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    for name, command in (
        ("create", create),
        ("list", list_),
        ("show", show),
        ("verify", verify),
        ("restore", restore),
        ("prune", prune),
        ("pin", pin),
    ):
        group.command(name)(command)
    app.add_typer(group, name="backup", help="Snapshots: take, list, verify, restore, prune.")


def create(
    context: typer.Context,
    reason: Annotated[
        str, typer.Option(help="What for: manual, or scheduled (cron, a timer).")
    ] = "manual",
    check: Annotated[bool, typer.Option("--verify", help="Verify it right away.")] = False,
    silent: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing when it went well.")
    ] = False,
    on_failure_url: OnFailureUrl = None,
    lock_timeout: LockTimeout = None,
    as_json: Json = False,
) -> ExitCode:
    """Take a snapshot of the database, idle or being written to."""
    invocation = begin(context, as_json, lock_timeout=lock_timeout)
    if reason not in ("manual", "scheduled"):
        raise UsageError(f"--reason {reason}", hint="--reason manual or --reason scheduled")
    output = invocation.output
    output.quiet = output.quiet or silent
    with failures_told(on_failure_url, "backup-failed", output) as tell:
        snapshot = _created(invocation, reason, check=check)
        if not snapshot.usable:
            tell("snapshot-damaged", f"Snapshot {snapshot.id} is {snapshot.status}")
    text = f"{snapshot.id}  {bytes_text(snapshot.size)}  {snapshot.status}  {snapshot.path}"
    if output.as_json or not silent or not snapshot.usable:
        output.result(
            {"ok": snapshot.usable, "snapshot": snapshot_object(snapshot)},
            lambda: output.line(text),
        )
    return ExitCode.DONE if snapshot.usable else ExitCode.NEGATIVE


def _created(invocation: Invocation, reason: str, *, check: bool) -> Snapshot:
    from orchctl.snapshots.take import take

    database, catalog = _catalog(invocation)
    output = invocation.output
    with output.progress("Snapshot") as progress:
        snapshot = take(
            database.require_file("backup create"),
            catalog.directory,
            reason=reason,
            version_table=database.version_table,
            progress=progress,
            timeout=invocation.settings.lock_timeout,
        )
    return _verified(invocation, snapshot) if check else snapshot


def list_(context: typer.Context, everything: All = False, as_json: Json = False) -> None:
    """All snapshots, oldest first; unfinished and damaged ones are named as such."""
    invocation = begin(context, as_json)
    _, catalog = _catalog(invocation, everything)
    found = catalog.list()
    data = {
        "directory": str(catalog.directory),
        "snapshots": [snapshot_object(snapshot) for snapshot in found],
    }
    invocation.output.result(data, lambda: draw_list(invocation.output, catalog, found))


def show(
    context: typer.Context, snapshot_id: Id, everything: All = False, as_json: Json = False
) -> None:
    """Everything that is known about one snapshot."""
    invocation = begin(context, as_json)
    snapshot = _catalog(invocation, everything)[1].get(snapshot_id)
    invocation.output.result(
        snapshot_object(snapshot), lambda: invocation.output.fields(snapshot_fields(snapshot))
    )


def verify(
    context: typer.Context,
    snapshot_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Which; without it, every usable one.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="With a trial restore.")] = False,
    everything: All = False,
    as_json: Json = False,
) -> ExitCode:
    """Verify snapshots: hash, then integrity and foreign keys. Exit 1 when one is damaged."""
    invocation = begin(context, as_json)
    from orchctl.snapshots.verify import verify as verify_one

    _, catalog = _catalog(invocation, everything)
    chosen = [catalog.get(snapshot_id)] if snapshot_id else _finished(catalog)
    found = []
    for snapshot in chosen:
        with invocation.output.progress(f"Verify {snapshot.id}") as progress:
            found.append(verify_one(snapshot, full=full, progress=progress))
    ok = all(one.ok for one in found)
    data = {"ok": ok, "verifications": [verification_object(one) for one in found]}
    invocation.output.result(data, lambda: draw_verifications(invocation.output, found))
    return ExitCode.DONE if ok else ExitCode.NEGATIVE


def restore(
    context: typer.Context,
    snapshot_id: Id,
    everything: All = False,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    as_json: Json = False,
) -> None:
    """Put a snapshot back into the live file, after a snapshot of the present."""
    invocation = begin(context, as_json, lock_timeout=lock_timeout)
    from orchctl.snapshots.exchange import exchange
    from orchctl.snapshots.restore import require_usable

    database, catalog = _catalog(invocation, everything)
    file = database.require_file("backup restore")
    snapshot = catalog.get(snapshot_id)
    output = invocation.output
    with output.progress("Checking the snapshot") as progress:
        require_usable(snapshot, progress)
    question = f"Snapshot {snapshot.id} ({told_heads(snapshot)}) replaces what is in {file}."
    if not yes and not output.can_ask():
        raise Refused(question, code="needs-yes", state="Nothing was changed", hint="--yes goes on")
    if not yes and not output.ask(f"{question} Go on?"):
        raise Refused(question, code="needs-yes", state="Nothing was changed")
    done = exchange(
        snapshot,
        file,
        catalog.directory,
        timeout=invocation.settings.lock_timeout,
        version_table=database.version_table,
        bar=output.progress,
        on_wait=lambda who, _waited: output.note(f"Waiting for {who}"),
    )
    _journal(done, output)
    output.result(exchange_object(done), lambda: output.line(exchange_text(done)))


def prune(
    context: typer.Context,
    keep_last: Keep = None,
    keep_daily: Keep = None,
    keep_weekly: Keep = None,
    keep_monthly: Keep = None,
    keep_within: Annotated[
        str | None, typer.Option(help="Keep all this much younger than the newest, e.g. 7d.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go and why; remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove snapshots that no keep rule wants (restic's rules; any flag replaces the settings)."""
    rules = (keep_last, keep_daily, keep_weekly, keep_monthly, keep_within)
    invocation = begin(context, as_json, **_keep_flags(rules))
    from datetime import UTC, datetime

    from orchctl.database.failure import explain_os
    from orchctl.snapshots.claim import sweep
    from orchctl.snapshots.retention import apply, plan

    database, catalog = _catalog(invocation)
    protected = _needed(catalog, database)
    if not dry_run and catalog.directory.is_dir():
        sweep(catalog.directory)
    decisions = plan(
        catalog.list(), invocation.settings.keep, now=datetime.now(UTC), protected=protected
    )
    try:
        removed = () if dry_run else apply(decisions)
    except OSError as error:
        told = explain_os(error, catalog.directory, doing="remove snapshots from")
        told.state = "orchctl backup list shows what is left"
        raise told from error
    data = {
        "dry_run": dry_run,
        "decisions": [
            {"id": one.snapshot.id, "keep": one.keep, "reasons": list(one.reasons)}
            for one in decisions
        ],
        "removed": [one.id for one in removed],
        "freed": sum(one.size for one in removed),
    }
    invocation.output.result(
        data, lambda: draw_prune(invocation.output, decisions, removed, dry_run=dry_run)
    )


def pin(
    context: typer.Context,
    snapshot_id: Id,
    remove: Annotated[bool, typer.Option("--remove", help="Unpin it.")] = False,
    as_json: Json = False,
) -> None:
    """Keep a snapshot out of every prune."""
    invocation = begin(context, as_json)
    _, catalog = _catalog(invocation)
    snapshot = catalog.unpin(snapshot_id) if remove else catalog.pin(snapshot_id)
    word = "pinned" if snapshot.pinned else "not pinned"
    invocation.output.result(
        {"ok": True, "snapshot": snapshot_object(snapshot)},
        lambda: invocation.output.line(f"{snapshot.id} is {word}"),
    )


def _catalog(invocation: Invocation, everything: bool = False) -> tuple[Database, Catalog]:
    from orchctl.snapshots.catalog import Catalog
    from orchctl.upgrade.plan import snapshot_directory
    from orchctl.upgrade.target import find_database

    database = find_database(invocation.settings)
    file = database.require_file("backup")
    directory = snapshot_directory(invocation.settings, file)
    return database, Catalog(directory, None if everything else file)


def _keep_flags(rules: tuple[int | str | None, ...]) -> dict[str, int | str | None]:
    """The keep rules as flags; once one is given, those that aren't are off."""
    off = 0 if any(value is not None for value in rules) else None
    return {
        f"keep_{name}": off if value is None else value
        for name, value in zip(_RULES, rules, strict=True)
    }


def _needed(catalog: Catalog, database: Database) -> frozenset[str]:
    """The snapshots that a rollback, or the next run after a killed one, would put back."""
    from orchctl.deploy.record import needed_snapshots
    from orchctl.upgrade.rollback import needed_by_runs

    file = database.require_file("backup prune")
    tables = (database.version_table, *database.further_tables)
    return needed_snapshots(file) | needed_by_runs(catalog, file, tables)


def _verified(invocation: Invocation, snapshot: Snapshot) -> Snapshot:
    from orchctl.snapshots.verify import verify as verify_one

    with invocation.output.progress("Verify") as progress:
        return verify_one(snapshot, progress=progress).snapshot


def _finished(catalog: Catalog) -> list[Snapshot]:
    return [one for one in catalog.list() if one.status != "partial"]


def _journal(done: Exchange, output: Output) -> None:
    from orchctl.upgrade.journal import Entry, Journal

    file, aside = done.restoration.database, done.put_aside
    journal = Journal(done.restoration.snapshot.path.parent, file)
    entry = Entry(
        event="restore",
        database=str(file),
        before=aside.heads if aside else (),
        after=done.restoration.snapshot.heads,
        snapshot=aside.id if aside else None,
        restored=done.restoration.snapshot.id,
        seconds=round(done.restoration.seconds, 3),
    )
    try:
        journal.append(entry)
    except OSError as error:
        output.warning(f"the restore is done, but not in the journal ({journal.path}): {error}")
