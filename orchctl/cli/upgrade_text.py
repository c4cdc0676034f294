"""What upgrades and downgrades show: plans before, results after, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.cli.files import of_all
from orchctl.output import bytes_text, path_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchctl.output import Output
    from orchctl.upgrade.course import Arrival
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import RunReport

_SLOW = 1.0  # seconds from which on it is told where the time went


def show_plans(output: Output, plans: Sequence[UpgradePlan]) -> None:
    """What would be done, and that nothing was."""

    def draw() -> None:
        for plan in plans:
            _draw_plan(output, plan)
        if any(plan.steps for plan in plans):
            output.line("Nothing was written.", "dim")

    output.result(of_all([_plan_object(plan) for plan in plans]), draw)


def show_arrivals(output: Output, arrivals: Sequence[Arrival]) -> None:
    """What was done to each database."""

    def draw() -> None:
        for arrival in arrivals:
            output.line(summary(arrival))
        _draw_phases(output, arrivals)

    output.result(arrivals_object(arrivals), draw)


def arrivals_object(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """The JSON form of a run's results."""
    return of_all([_arrival_object(one) for one in arrivals])


def summary(arrival: Arrival) -> str:
    """What was done to one database, in one line."""
    before, after = _joined(arrival.before) or "base", _joined(arrival.after) or "base"
    if arrival.database is None:
        return f"{before} -> {after}"
    where, report = path_text(arrival.database), arrival.report
    if report is None:
        return f"{where} is at {after} already; nothing to do"
    count = len(report.revisions)
    if not count:
        return f"{where} is at {after} already"
    plural = "revision" if count == 1 else "revisions"
    text = f"{where}: {before} -> {after} ({count} {plural}, {seconds_text(report.seconds)})"
    return f"{text}; snapshot {report.snapshot.id}" if report.snapshot else text


def _draw_phases(output: Output, arrivals: Sequence[Arrival]) -> None:
    report = arrivals[-1].report
    if report is None or report.seconds < _SLOW:
        return
    told = [f"{name} {seconds_text(took)}" for name, took in report.phases.items()]
    output.line(f"  time: {', '.join(told)}", "dim")


def _arrival_object(arrival: Arrival) -> dict[str, Any]:
    before, after = _joined(arrival.before), _joined(arrival.after)
    if arrival.database is None:
        return {"ok": True, "database": None, "from": before, "to": after}
    if arrival.report is not None:
        return _report_object(arrival.report)
    told = _object(arrival.database, arrival.before, arrival.after, [], None, 0.0)
    return {**told, "deferred_commits": 0, "put_back": []}


def _report_object(report: RunReport) -> dict[str, Any]:
    snapshot = report.snapshot
    told = (
        {"id": snapshot.id, "path": str(snapshot.path), "sha256": snapshot.sha256}
        if snapshot
        else None
    )
    revisions = [revision for revision, _ in report.revisions]
    return {
        **_object(report.database, report.before, report.after, revisions, told, report.seconds),
        "deferred_commits": report.deferred_commits,
        "put_back": list(report.put_back),
        "phases": {name: round(took, 3) for name, took in report.phases.items()},
    }


def _object(
    file: Path,
    before: tuple[str, ...],
    after: tuple[str, ...],
    revisions: list[str],
    snapshot: dict[str, Any] | None,
    seconds: float,
) -> dict[str, Any]:
    return {
        "ok": True,
        "database": str(file),
        "from": _joined(before),
        "to": _joined(after),
        "revisions": revisions,
        "snapshot": snapshot,
        "seconds": round(seconds, 3),
    }


def _plan_object(plan: UpgradePlan) -> dict[str, Any]:
    return {
        "ok": True,
        "dry_run": True,
        "database": str(plan.database),
        "from": _joined(plan.before),
        "to": plan.target,
        "revisions": [step.revision for step in plan.steps],
        "steps": [
            {"revision": step.revision, "message": step.message, "path": str(step.path)}
            for step in plan.steps
        ],
        "unsafe": list(plan.outside),
        "backup": plan.backup,
        "snapshot_directory": str(plan.snapshot_directory),
    }


def _draw_plan(output: Output, plan: UpgradePlan) -> None:
    where = _joined(plan.before) or "base"
    output.line(f"{plan.direction} {path_text(plan.database)} from {where} to {plan.target}")
    if not plan.steps:
        output.line("  nothing to do")
        return
    if plan.backup:
        output.line(
            f"  snapshot ({bytes_text(plan.size)}) into {path_text(plan.snapshot_directory)}"
        )
    for step in plan.steps:
        outside = "  (outside the transaction)" if step.revision in plan.outside else ""
        output.line(f"  {plan.direction} {step.revision}  {step.message}{outside}")


def _joined(heads: tuple[str, ...]) -> str | None:
    return ",".join(heads) or None
