"""What `orchctl deploy` shows: plans before, results after, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.output import path_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchctl.database.holders import Holder
    from orchctl.deploy.back import BackPlan
    from orchctl.deploy.plan import DeployPlan
    from orchctl.deploy.record import Deployment, HeldContainer
    from orchctl.deploy.run import DeployReport
    from orchctl.output import Output


def show_plan(output: Output, plan: DeployPlan) -> None:
    """What would be done, and that nothing was."""
    output.result({"ok": True, "dry_run": True, **_plan_object(plan)}, lambda: _draw(output, plan))


def show_nothing_to_do(output: Output, plan: DeployPlan) -> None:
    """Image and revision are there already."""
    names = ", ".join(one.name for one in plan.replaced)
    told = f"{names} runs {plan.image} at {_heads(plan.before)} already; nothing to do"
    output.result({"ok": True, "deployed": False, **_plan_object(plan)}, lambda: output.line(told))


def show_report(output: Output, report: DeployReport) -> None:
    """What was deployed."""
    one = report.deployment
    names = ", ".join(held.name for held in one.containers if held.replaced)
    moved = f"{_heads(one.before)} -> {_heads(one.after)}"
    told = (
        f"{names} runs {one.image}, the database {moved if one.after != one.before else 'is at '}"
        f"{'' if one.after != one.before else _heads(one.after)} ({seconds_text(report.seconds)}, "
        f"out of service {seconds_text(report.stopped)}); snapshot {one.snapshot}"
    )
    data = {
        "ok": report.trouble is None,
        "deployed": True,
        **deployment_object(one),
        "out_of_service": round(report.stopped, 3),
        "seconds": round(report.seconds, 3),
    }
    output.result(data, lambda: output.line(told))


def show_undone(output: Output, deployment: Deployment, now: str) -> None:
    """What was undone, and what is where now."""
    data = {"ok": True, "undone": True, **deployment_object(deployment), "state": now}
    output.result(data, lambda: output.line(f"Undone: {now}"))


def show_plan_back(output: Output, plan: BackPlan) -> None:
    """What `rollback --image` would do."""

    def draw() -> None:
        one = plan.deployment
        output.line(f"take back {one.image}, deployed {one.ended}")
        if plan.restores:
            output.line(f"  database back to {_heads(one.before)}, from snapshot {one.snapshot}")
            output.line("  what was written since is put aside in a snapshot", "yellow")
        for held in plan.containers:
            if held.replaced:
                output.line(f"  recreate {held.name} with {held.image} ({held.image_id[:19]})")
        output.line("Nothing was written.", "dim")

    data = {
        "ok": True,
        "dry_run": True,
        **deployment_object(plan.deployment),
        "restores_database": plan.restores,
    }
    output.result(data, draw)


def show_lock(
    output: Output, file: Path, holder: Holder | None, running: Deployment | None
) -> None:
    """Who deploys, and what a killed deploy left."""

    def draw() -> None:
        if holder is not None:
            output.line(f"{path_text(file)}: deployed by {holder}")
        elif running is None:
            output.line(f"{path_text(file)}: nobody deploys")
        if running is not None and holder is None:
            output.line(f"{path_text(file)}: not over: {running.told}", "yellow")
            output.line(f"{running.command} --abort undoes it, --resume finishes it")

    told = holder and {
        "pid": holder.pid,
        "command": holder.command,
        "host": holder.host,
        "since": holder.since,
    }
    unfinished = running and deployment_object(running)
    data = {"ok": True, "database": str(file), "holder": told, "unfinished": unfinished}
    output.result(data, draw)


def deployment_object(one: Deployment) -> dict[str, Any]:
    """The JSON form of a deploy."""
    return {
        "deploy": one.id,
        "target": one.target,
        "stage": one.stage,
        "database": one.database,
        "from": ",".join(one.before) or None,
        "to": ",".join(one.after) or None,
        "image": one.image,
        "image_id": one.image_id,
        "snapshot": one.snapshot,
        "containers": _containers(one.containers),
    }


def _plan_object(plan: DeployPlan) -> dict[str, Any]:
    pending = plan.pending
    return {
        "target": plan.target,
        "database": str(plan.database),
        "from": ",".join(plan.before) or None,
        "to": plan.revision,
        "revisions": None if pending is None else [revision for revision, _ in pending],
        "chain": plan.chain,
        "image": plan.image,
        "image_id": plan.image_id,
        "snapshot_directory": str(plan.snapshot_directory),
        "containers": _containers(plan.containers),
    }


def _containers(held: Sequence[HeldContainer]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "replaced": one.replaced,
            "ran": one.ran,
            "restart_policy": one.policy,
            "image_before": one.image_id,
        }
        for one in held
    ]


def _draw(output: Output, plan: DeployPlan) -> None:
    line = output.line
    line(f"deploy {plan.image} ({plan.image_id[:19]}) to {plan.target}")
    line(f"  database {path_text(plan.database)} ({plan.inside} inside), at {_heads(plan.before)}")
    line("  rehearse on a copy while the service goes on")
    for one in plan.containers:
        policy = "" if one.policy == "no" else f", restart policy {one.policy} held off"
        line(f"  stop {one.name}{policy}")
    line(f"  snapshot into {path_text(plan.snapshot_directory)}")
    if plan.pending is None:
        line("  upgrade with the revisions that are in the image, in one transaction")
    for revision, message in plan.pending or ():
        line(f"  upgrade {revision}  {message}")
    if plan.pending == ():
        line("  no revisions to run")
    for one in plan.replaced:
        line(f"  recreate {one.name} with {plan.image}, wait until it is up")
    for one in plan.others:
        line(f"  start {one.name} again as it is")
    line("Nothing was written.", "dim")


def _heads(heads: Sequence[str]) -> str:
    return ",".join(heads) or "base"
