"""`orchctl k8s upgrade`, `deploy` and `downgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Invocation, Json, Yes, begin, heard_or_not
from orchctl.cli.kubernetes_cluster import (
    Context,
    Kubeconfig,
    Namespace,
    Place,
    TargetArgument,
    looked_up,
)
from orchctl.cli.kubernetes_text import pod_object
from orchctl.cli.workload import Headers, HealthUrl, chosen_check
from orchctl.errors import ExitCode, Refused, UsageError
from orchctl.output import seconds_text

if TYPE_CHECKING:
    from orchctl.deploy.kubernetes.copies import Copied
    from orchctl.deploy.kubernetes.course import Going, Outcome
    from orchctl.deploy.kubernetes.goal import Wish
    from orchctl.deploy.kubernetes.plan import ClaimPlan
    from orchctl.output import Output

Timeout = Annotated[
    str | None,
    typer.Option(help="How long each wait may take: stopped, the Job begun, ready again (300s)."),
]
Revision = Annotated[str, typer.Option(metavar="REV", help="Where to: head, or an id.")]
Container = Annotated[
    str | None, typer.Option(help="The one with the database, where there are several.")
]
AllowLoss = Annotated[
    list[str] | None,
    typer.Option(metavar="TABLE[.COLUMN]", help="Loss of this data is meant; repeatable."),
]
JobTimeout = Annotated[str, typer.Option(help="How long the upgrade itself may take.")]
LockTimeout = Annotated[str, typer.Option(help="How long to wait for another run to end.")]
AcceptOwner = Annotated[
    bool,
    typer.Option("--accept-owner", help="Although an autoscaler, Argo CD or Flux may interfere."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was killed.")]
Abort = Annotated[bool, typer.Option("--abort", help="Undo a run that was killed.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and show the plan; write nothing.")
]
CopyTo = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Copy the snapshots off the claim to this machine, with their hash."
    ),
]
_TIMEOUT, _PATIENCE = 300.0, 60.0


def upgrade(
    context: typer.Context,
    target: TargetArgument = None,
    revision: Revision = "head",
    container: Container = None,
    allow_loss: AllowLoss = None,
    timeout: Timeout = None,
    job_timeout: JobTimeout = "1h",
    copy_to: CopyTo = None,
    lock_timeout: LockTimeout = "0s",
    health: HealthUrl = None,
    header: Headers = None,
    accept_owner: AcceptOwner = False,
    resume: Resume = False,
    abort: Abort = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Upgrade the database on a workload's claim: to zero, a Job, and back. Never two writers.

    Whatever goes wrong, database and replicas are put back. Exit 6: as before; 7: from the
    snapshot; 9, 10: did not get ready, as before.
    """
    from orchctl.deploy.kubernetes.goal import Wish

    invocation = begin(context, as_json)
    seconds = job_seconds(job_timeout)
    folder = copies_folder(invocation, copy_to)
    loss = tuple(allow_loss or ())
    wish = Wish(
        "upgrade", None, revision, container, accept_owner, seconds, folder, allow_loss=loss
    )
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    waits = Waits(invocation, timeout, lock_timeout, health, header)
    carried_out(invocation, place, wish, waits, resume=resume, abort=abort, dry_run=dry_run)


def deploy(
    context: typer.Context,
    target: TargetArgument = None,
    image: Annotated[str | None, typer.Option(metavar="REF", help="The new image.")] = None,
    revision: Revision = "head",
    container: Container = None,
    allow_loss: AllowLoss = None,
    timeout: Timeout = None,
    job_timeout: JobTimeout = "1h",
    copy_to: CopyTo = None,
    lock_timeout: LockTimeout = "0s",
    health: HealthUrl = None,
    header: Headers = None,
    accept_owner: AcceptOwner = False,
    resume: Resume = False,
    abort: Abort = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Put a new image into service with its revisions: to zero, a Job, the image, and back.

    Whatever goes wrong, database, image and replicas are put back together. Exits as `upgrade`.
    """
    from orchctl.deploy.kubernetes.goal import Wish

    invocation = begin(context, as_json)
    if not (image or resume or abort) or (image is not None and not image.strip()):
        raise UsageError("No image", hint="--image REF; orchctl k8s upgrade keeps the image")
    seconds = job_seconds(job_timeout)
    folder = copies_folder(invocation, copy_to)
    loss = tuple(allow_loss or ())
    wish = Wish(
        "deploy", image, revision, container, accept_owner, seconds, folder, allow_loss=loss
    )
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    waits = Waits(invocation, timeout, lock_timeout, health, header)
    carried_out(invocation, place, wish, waits, resume=resume, abort=abort, dry_run=dry_run)


def downgrade(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="statefulset/NAME …")],
    revision: Annotated[
        str | None, typer.Argument(metavar="[REV]", help="Where to: an id, or base.")
    ] = None,
    container: Container = None,
    timeout: Timeout = None,
    job_timeout: JobTimeout = "1h",
    copy_to: CopyTo = None,
    lock_timeout: LockTimeout = "0s",
    health: HealthUrl = None,
    header: Headers = None,
    accept_owner: AcceptOwner = False,
    resume: Resume = False,
    abort: Abort = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Downgrade the database on a workload's claim, the same way; the image stays.

    Needs --yes: what a downgrade drops is only in its snapshot. Exits as `upgrade`.
    """
    from orchctl.deploy.kubernetes.goal import Wish

    invocation = begin(context, as_json)
    if revision is None and not (resume or abort):
        raise UsageError("No revision", hint=f"orchctl k8s downgrade {target} REV")
    if not (yes or dry_run or resume or abort):
        question = f"Downgrading {target} to {revision} may drop data. Go on?"
        if not invocation.output.can_ask() or not invocation.output.ask(question):
            told = "A downgrade may drop data, and was not agreed to"
            raise Refused(told, code="needs-yes", state="Nothing was changed", hint="--yes goes on")
    seconds = job_seconds(job_timeout)
    folder = copies_folder(invocation, copy_to)
    wish = Wish("downgrade", None, revision or "", container, accept_owner, seconds, folder)
    place = Place(target, None, namespace, cluster_context, kubeconfig)
    waits = Waits(invocation, timeout, lock_timeout, health, header)
    carried_out(invocation, place, wish, waits, resume=resume, abort=abort, dry_run=dry_run)


def job_seconds(typed: str) -> int:
    """How long a Job may take; a deadline of nothing would end it before it began.

    Raises:
        UsageError: Less than a second.
    """
    seconds = int(seconds_of(typed, "--job-timeout"))
    if seconds < 1:
        raise UsageError(f"--job-timeout {typed}: a second is the least", hint="--job-timeout 1h")
    return seconds


class Waits:
    """How long each wait may take, and what must answer in the end."""

    def __init__(
        self,
        invocation: Invocation,
        timeout: str | None,
        lock_timeout: str,
        health: str | None,
        header: list[str] | None,
    ) -> None:
        settings = invocation.settings.workload
        within = settings.timeout if "timeout" in settings.origins else _TIMEOUT
        self.timeout = within if timeout is None else seconds_of(timeout, "--timeout")
        self.lock = seconds_of(lock_timeout, "--lock-timeout")
        self.check = chosen_check(health, header, settings)


def copies_folder(invocation: Invocation, typed: Path | None) -> Path | None:
    """Where snapshots are copied to: as typed, else as in the settings; None for nowhere."""
    chosen = typed or invocation.settings.workload.copy_to
    return chosen and chosen.expanduser().absolute()


def carried_out(
    invocation: Invocation,
    place: Place,
    wish: Wish,
    waits: Waits,
    *,
    resume: bool,
    abort: bool,
    dry_run: bool,
) -> None:
    """Carry out a run, or show its plan, and tell what it came to.

    Args:
        invocation: The run of the command line.
        place: What was typed of where and what.
        wish: What was asked for.
        waits: How long to wait, and for what.
        resume: Go on with a run that was killed.
        abort: Undo it.
        dry_run: Only show the plan.
    """
    from orchctl.deploy.kubernetes.course import Going, carry_out
    from orchctl.deploy.kubernetes.plan import plan_run
    from orchctl.deploy.kubernetes.run import Terms
    from orchctl.workloads.kubernetes.unfinished import require_no_run

    if resume and abort:
        raise UsageError("--resume and --abort contradict each other")
    output = invocation.output
    going: Going = Going(resume, abort, waits.lock)
    with looked_up(invocation, place, patience=_PATIENCE) as (cluster, every):
        if dry_run:
            require_no_run(every[0].kind, every[0].object)
            plan = plan_run(cluster, every[0], wish)
            output.result(_plan_object(plan), lambda: _show_plan(output, plan))
            return
        limits = (waits.timeout, wish.job_seconds)
        step, note = heard_or_not(output.step), heard_or_not(output.note)
        terms = Terms(*limits, waits.check, wish.folder, step, note)
        outcome = carry_out(cluster, every[0], wish, terms, going)
        target, namespace = str(every[0]), cluster.namespace
    for text in outcome.warnings:
        output.warning(text)
    if outcome.not_copied:
        told = "All is done, but the snapshot is on the claim alone"
        output.warning(f"{told}: {outcome.not_copied}")
    output.result(
        _outcome_object(target, namespace, outcome),
        lambda: output.line(_summary(target, outcome)),
    )
    if outcome.not_copied:
        raise typer.Exit(ExitCode.NEGATIVE)


def _plan_object(plan: ClaimPlan) -> dict[str, Any]:
    return {
        "ok": True,
        "dry_run": True,
        "command": plan.command,
        "target": plan.target,
        "namespace": plan.namespace,
        "replicas": plan.replicas,
        "container": plan.goal.container,
        "claims": list(plan.claims),
        "images": {"from": plan.goal.old_images, "to": plan.goal.new_images},
        "revision": plan.goal.revision,
        "snapshot": plan.goal.snapshot or None,
        "suspends": list(plan.suspends),
        "warnings": list(plan.warnings),
    }


def _show_plan(output: Output, plan: ClaimPlan) -> None:
    from orchctl.deploy.kubernetes.goal import job_command

    goal = plan.goal
    output.line(f"{plan.command} {plan.target} in namespace {plan.namespace}")
    for text in plan.warnings:
        output.line(f"  warning: {text}", "yellow")
    for name in plan.suspends:
        output.line(f"  suspend cronjob/{name} until it is over")
    output.line(f"  scale from {plan.replicas} to 0, wait until nothing uses {_list(plan.claims)}")
    words = " ".join(job_command(plan.command, goal.revision, goal.snapshot, goal.allow_loss))
    if words:
        output.line(f"  Job with {goal.job_image}: {words}, snapshot first")
    for name, image in goal.new_images.items():
        output.line(f"  image of {name}: {goal.old_images[name]} -> {image}")
    output.line(f"  scale to {plan.replicas}, wait until it is ready")
    output.line("Nothing was written.", "dim")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _outcome_object(target: str, namespace: str | None, outcome: Outcome) -> dict[str, Any]:
    record, answer = outcome.record, outcome.answer
    return {
        "ok": True,
        "command": record.command,
        "target": target,
        "namespace": namespace,
        "replicas": record.replicas,
        "images": {"from": record.old_images, "to": record.new_images},
        "upgrade": record.answer or None,
        "resumed": outcome.resumed,
        "undone": outcome.undone,
        "restored": record.restored or None,
        "copied": [copied_object(one) for one in outcome.copied],
        "not_copied": outcome.not_copied or None,
        "pods": [pod_object(one) for one in outcome.rolled.pods] if outcome.rolled else [],
        "answer": answer and {"url": answer.url, "status": answer.status, "told": answer.told},
        "warnings": list(outcome.warnings),
        "seconds": round(outcome.seconds, 3),
    }


def copied_object(copied: Copied) -> dict[str, Any]:
    """A snapshot that was brought off the claim."""
    return {"path": str(copied.path), "sha256": copied.sha256, "size": copied.size}


def _summary(target: str, outcome: Outcome) -> str:
    from orchctl.deploy.kubernetes.run import upgrade_text

    took = seconds_text(outcome.seconds)
    if outcome.undone:
        back = ", the database from its snapshot" if outcome.record.restored else ""
        return f"{target}: undone, as it was before{back} ({took})"
    new = sorted(set(outcome.record.new_images.values()))
    image = f", {', '.join(new)}" if new else ""
    ready = "ready" if outcome.rolled else "no replicas, as before"
    said = f"; {outcome.answer.url} says {outcome.answer.told}" if outcome.answer else ""
    return f"{target}: {upgrade_text(outcome.record.answer)}{image}, {ready}{said} ({took})"
