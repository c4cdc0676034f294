"""`orchctl k8s backup create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin, heard_or_not
from orchctl.cli.kubernetes_cluster import (
    Context,
    Kubeconfig,
    Namespace,
    Place,
    TargetArgument,
    looked_up,
)
from orchctl.cli.kubernetes_upgrade import (
    Container,
    CopyTo,
    LockTimeout,
    copied_object,
    copies_folder,
)
from orchctl.errors import ExitCode, UsageError
from orchctl.output import bytes_text

if TYPE_CHECKING:
    from orchctl.deploy.kubernetes.backup import BackedUp, BackupPlan, BackupWish
    from orchctl.output import Output

_PATIENCE = 60.0


def register(group: typer.Typer) -> None:
    """Add the command to the group `k8s`."""
    backup = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    backup.callback()(_nothing)
    backup.command("create")(create)
    group.add_typer(backup, name="backup", help="Snapshots of a database on a claim.")


def _nothing() -> None:
    """With a single command Typer would do without its name."""


def create(
    context: typer.Context,
    target: TargetArgument = None,
    reason: Annotated[str, typer.Option(help="What for: manual, or scheduled.")] = "manual",
    check: Annotated[bool, typer.Option("--verify", help="Verify it right away.")] = False,
    copy_to: CopyTo = None,
    inside: Annotated[
        bool,
        typer.Option("--exec", help="In the pod that runs, not in a Job beside it."),
    ] = False,
    container: Container = None,
    timeout: Annotated[str, typer.Option(help="How long it may take.")] = "1h",
    lock_timeout: LockTimeout = "0s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show how; write nothing.")
    ] = False,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> ExitCode:
    """Take a snapshot of the database on a workload's claim, while it goes on.

    By a Job on the node of the pod that has the claim; with ReadWriteOncePod in that pod. Exit 1
    when the snapshot, verified, is damaged; 6 when there is none, or no copy.
    """
    from orchctl.deploy.kubernetes.backup import BackupWish, create_backup, plan_backup

    invocation = begin(context, as_json)
    if reason not in ("manual", "scheduled"):
        raise UsageError(f"--reason {reason}", hint="--reason manual or --reason scheduled")
    output, folder = invocation.output, copies_folder(invocation, copy_to)
    seconds = max(1, int(seconds_of(timeout, "--timeout")))
    wish = BackupWish(reason, check, container, inside, folder, seconds)
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    patience = seconds_of(lock_timeout, "--lock-timeout")
    with looked_up(invocation, place, patience=_PATIENCE) as (cluster, [found]):
        if dry_run:
            plan = plan_backup(cluster, found, wish)
            output.result(_plan_object(plan), lambda: _show_plan(output, plan, wish))
            return ExitCode.DONE
        done = create_backup(
            cluster, found, wish, patience=patience, on_line=heard_or_not(output.note)
        )
        place_name = str(cluster.namespace)
    for text in done.plan.warnings:
        output.warning(text)
    output.result(_object(done, place_name), lambda: _show(output, done))
    return ExitCode.DONE if done.answer["ok"] else ExitCode.NEGATIVE


def _plan_object(plan: BackupPlan) -> dict[str, Any]:
    return {
        "ok": True,
        "dry_run": True,
        "target": plan.target,
        "container": plan.container,
        "claims": list(plan.claims),
        "how": plan.how,
        "pod": plan.pod or None,
        "node": plan.node or None,
        "warnings": list(plan.warnings),
    }


def _show_plan(output: Output, plan: BackupPlan, wish: BackupWish) -> None:
    where = f"in pod/{plan.pod}" if plan.pod else f"Job with {plan.image}"
    node = f" on node {plan.node}" if plan.node else ""
    output.line(f"{plan.target}: {where}{node}: {' '.join(wish.command)}")
    if wish.folder is not None:
        output.line(f"  copy to {wish.folder}")
    output.line("Nothing was written.", "dim")


def _object(done: BackedUp, namespace: str) -> dict[str, Any]:
    return {
        "ok": bool(done.answer["ok"]),
        "target": done.plan.target,
        "namespace": namespace,
        "container": done.plan.container,
        "how": done.plan.how,
        "snapshot": done.answer["snapshot"],
        "copied": done.copied and copied_object(done.copied),
        "warnings": list(done.plan.warnings),
        "seconds": round(done.seconds, 3),
    }


def _show(output: Output, done: BackedUp) -> None:
    one = done.answer["snapshot"]
    output.line(f"{one['id']}  {bytes_text(one['size'])}  {one['status']}  {one['path']}")
    if done.copied is not None:
        output.line(f"copied to {done.copied.path}")
