"""What `orchctl rehearse` shows, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchctl.output import Output, bytes_text, path_text, seconds_text

if TYPE_CHECKING:
    from orchctl.database.compare import SchemaDifference
    from orchctl.upgrade.rehearsal import Rehearsal
    from orchctl.upgrade.rehearsal_report import Estimate, RehearsalReport, SpaceNeeds, TableRows
    from orchctl.upgrade.round_trip import RoundTrip
    from orchctl.upgrade.trial import Trial

_WIDEST = 60  # characters of one definition in the table of schema differences


def draw(output: Output, report: RehearsalReport) -> None:
    """The report as tables and lines."""
    rehearsal = report.rehearsal
    if rehearsal.revisions:
        rows = [
            (one.revision, one.message, seconds_text(one.seconds)) for one in rehearsal.revisions
        ]
        output.table(("revision", "message", "time"), rows)
        output.line()
    if report.tables:
        output.table(("table", "rows", "inserted", "updated", "deleted"), _row_cells(report.tables))
        output.line()
    if report.schema:
        output.table(("", "schema", "where", "what"), [_schema_cells(one) for one in report.schema])
        output.line()
    for thing in rehearsal.put_back:
        output.line(f"Put back, dropped by a table rebuild: {thing}")
    for loss in rehearsal.proof.losses if rehearsal.proof else ():
        output.line(f"Declared loss: {loss}")
    if rehearsal.revisions:
        output.fields([*_space_fields(report.space), *_time_fields(report.estimate)])
    output.line(_verdict(rehearsal))


def _verdict(rehearsal: Rehearsal) -> str:
    name, plan = path_text(rehearsal.plan.database), rehearsal.plan
    before, after = ",".join(plan.before) or "base", ",".join(rehearsal.after) or "base"
    if not rehearsal.revisions:
        return f"{name} is at {after} already"
    count = len(rehearsal.revisions)
    plural = "revision" if count == 1 else "revisions"
    return f"{name}: {before} -> {after} ({count} {plural}) went through; the file is untouched"


def _row_cells(tables: tuple[TableRows, ...]) -> list[tuple[str, ...]]:
    return [
        (
            one.table,
            _rows(one),
            str(one.inserted),
            "?" if one.updated is None else str(one.updated),
            str(one.deleted),
        )
        for one in tables
    ]


def _rows(one: TableRows) -> str:
    if one.before is None:
        return f"new, {one.after}"
    if one.after is None:
        return f"{one.before}, dropped"
    return str(one.after) if one.before == one.after else f"{one.before} -> {one.after}"


def _schema_cells(one: SchemaDifference) -> tuple[str, ...]:
    sign = "+" if one.before is None else "-" if one.after is None else "~"
    told = [_cut(text) for text in (one.before, one.after) if text is not None]
    return sign, one.kind, one.place, " -> ".join(told)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def _space_fields(space: SpaceNeeds) -> list[tuple[str, str]]:
    parts = [f"journal {bytes_text(space.journal)}"]
    if space.snapshot:
        parts.insert(0, f"snapshot {bytes_text(space.snapshot)}")
    if space.rehearsal:
        parts.insert(1, f"rehearsal {bytes_text(space.rehearsal)} for a while")
    if space.growth:
        sign = "+" if space.growth > 0 else "-"
        parts.append(f"database {sign}{bytes_text(abs(space.growth))}")
    if sum(place.needed for place in space.places) > space.measured:
        parts.append("the rest in reserve")
    lines = [
        f"{bytes_text(place.needed)} needed in {path_text(place.folder)}, "
        f"{bytes_text(place.free)} free{'' if place.free >= place.needed else ': NOT ENOUGH'}"
        for place in space.places
    ]
    return [("space" if line is lines[0] else "", line) for line in [*lines, ", ".join(parts)]]


def _time_fields(estimate: Estimate) -> list[tuple[str, str]]:
    parts = {
        "snapshot": estimate.snapshot,
        "rehearsal": estimate.rehearsal,
        "upgrade": estimate.run,
        "fsync": estimate.sync,
        "checks": estimate.checks,
    }
    told = ", ".join(f"{name} {seconds_text(part)}" for name, part in parts.items() if part)
    whole, locked = seconds_text(estimate.total), seconds_text(estimate.locked)
    return [("time", f"about {whole} live; other writers wait {locked} of it"), ("", told)]


def report_object(
    report: RehearsalReport, trips: tuple[RoundTrip, ...] | None, trial: Trial | None
) -> dict[str, Any]:
    """The JSON form of a report; docs/json.md is its contract."""
    rehearsal, estimate = report.rehearsal, report.estimate
    found: dict[str, Any] = {
        "ok": True,
        "database": str(rehearsal.plan.database),
        "from": ",".join(rehearsal.plan.before) or None,
        "to": ",".join(rehearsal.after) or None,
        "revisions": [
            {"revision": one.revision, "message": one.message, "seconds": round(one.seconds, 3)}
            for one in rehearsal.revisions
        ],
        "tables": [_table_object(one) for one in report.tables],
        "schema": [
            {
                "kind": one.kind,
                "table": one.table,
                "name": one.name or None,
                "before": one.before,
                "after": one.after,
            }
            for one in report.schema
        ],
        "put_back": list(rehearsal.put_back),
        "declared_losses": [
            str(one) for one in (rehearsal.proof.losses if rehearsal.proof else ())
        ],
        "proof": rehearsal.proof_level,
        "size_before": rehearsal.size_before,
        "size_after": rehearsal.size_after,
        "space_needed": max(place.needed for place in report.space.places),
        "space": _space_object(report.space),
        "seconds": round(rehearsal.seconds, 3),
        "estimate": _estimate_object(estimate),
    }
    if trips is not None:
        found["round_trip"] = [trip.revision for trip in trips]
    if trial is not None:
        found["run"] = asdict(trial) | {"seconds": round(trial.seconds, 3)}
    return found


def _table_object(one: TableRows) -> dict[str, Any]:
    return {
        "table": one.table,
        "rows_before": one.before,
        "rows_after": one.after,
        "inserted": one.inserted,
        "deleted": one.deleted,
        "updated": one.updated,
    }


def _space_object(space: SpaceNeeds) -> dict[str, Any]:
    return {
        "snapshot": space.snapshot,
        "rehearsal": space.rehearsal,
        "journal": space.journal,
        "growth": space.growth,
        "places": [
            {"folder": str(one.folder), "needed": one.needed, "free": one.free}
            for one in space.places
        ],
    }


def _estimate_object(estimate: Estimate) -> dict[str, float]:
    parts = {name: round(seconds, 3) for name, seconds in asdict(estimate).items()}
    return {
        "seconds": round(estimate.total, 3),
        "locked_seconds": round(estimate.locked, 3),
        **{f"{name}_seconds": seconds for name, seconds in parts.items()},
    }
