"""`orchctl status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.output import bytes_text, path_text

if TYPE_CHECKING:
    from orchctl.upgrade.killed_run import KilledRun
    from orchctl.upgrade.status import Status


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("status")(status)


def status(context: typer.Context, as_json: Json = False) -> None:
    """One screen: database, revision, what is pending, last snapshot, who holds the lock."""
    invocation = begin(context, as_json)
    from orchctl.upgrade.status import read_statuses

    output, found = invocation.output, read_statuses(invocation.settings)
    objects = [_object(one) for one in found]

    def draw() -> None:
        for number, one in enumerate(found):
            if number:
                output.line()
            output.fields(_fields(one))

    output.result(objects[0] if len(objects) == 1 else {"databases": objects}, draw)


def _object(status: Status) -> dict[str, Any]:
    facts, snapshot = status.facts, status.last_snapshot
    return {
        "database": str(facts.path),
        "exists": facts.exists,
        "size": facts.size,
        "journal_mode": facts.journal_mode,
        "version_table": status.version_table,
        "revisions": list(facts.heads),
        "heads": list(status.heads),
        "at_head": status.at_head,
        "pending": [{"revision": id_, "message": text} for id_, text in status.pending],
        "unknown": list(status.unknown),
        "last_snapshot": snapshot
        and {"id": snapshot.id, "created_at": snapshot.created_at, "path": str(snapshot.path)},
        "lock_holder": status.lock_holder,
        "killed_run": _killed(status.killed),
        "leftover_tables": list(status.leftovers),
    }


def _killed(run: KilledRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    begun = run.beginning
    return {
        "direction": begun.began,
        "began_at": begun.at,
        "pid": begun.pid,
        "from": list(begun.before),
        "to": begun.target,
        "snapshot": begun.snapshot,
        "committed": run.committed,
    }


def _fields(status: Status) -> list[tuple[str, str]]:
    facts = status.facts
    where = f"{path_text(facts.path)}"
    size = f"{bytes_text(facts.size)}, {facts.journal_mode}" if facts.exists else "not there yet"
    pending = [f"{id_} {text}".strip() for id_, text in status.pending]
    rows = [("database", where), ("", size), ("revision", _revision(status))]
    if status.version_table != "alembic_version":
        rows.append(("version table", status.version_table))
    rows += _listed("pending", pending or ["none"])
    snapshot = status.last_snapshot
    rows.append(("last snapshot", f"{snapshot.id} ({snapshot.reason})" if snapshot else "none"))
    rows.append(("lock", status.lock_holder or "free"))
    if status.killed:
        rows.append(("last run", status.killed.told))
    if status.leftovers:
        rows += _listed("left behind", list(status.leftovers))
    return rows


def _revision(status: Status) -> str:
    if not status.facts.heads:
        tables = len(status.facts.tables)
        return f"none, though there are {tables} tables" if tables else "base (empty)"
    where = ", ".join(status.facts.heads)
    if status.unknown:
        return f"{where} (not in this chain: {', '.join(status.unknown)})"
    return f"{where} (head)" if status.at_head else where


def _listed(label: str, values: list[str]) -> list[tuple[str, str]]:
    return [(label if index == 0 else "", value) for index, value in enumerate(values)]
