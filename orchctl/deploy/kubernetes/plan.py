"""The plan of an upgrade on a claim, and everything that is looked at before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.deploy.kubernetes.back import goal_back
from orchctl.deploy.kubernetes.copies import require_folder
from orchctl.deploy.kubernetes.goal import Goal, Wish, goal_ahead, job_command
from orchctl.deploy.kubernetes.job import Work, job_name, manifest
from orchctl.deploy.kubernetes.record import ROLLBACK
from orchctl.errors import OrchctlError, Refused, UsageError
from orchctl.workloads.kubernetes.access import Need, require_rights
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.image import images_patch
from orchctl.workloads.kubernetes.inside import NEEDS
from orchctl.workloads.kubernetes.kinds import (
    CLAIM,
    CONTROLLER_REVISION,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    LEASE,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    desired,
    written_claims,
)
from orchctl.workloads.kubernetes.owners import AUTOSCALER, Owner, owners
from orchctl.workloads.kubernetes.rollout import standstill
from orchctl.workloads.kubernetes.scale import scale
from orchctl.workloads.kubernetes.shape import hazards, read_claims
from orchctl.workloads.kubernetes.sharers import sharers, snapshot_takers, stopped_by

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

_REFUSED = ("several-writers", "several-databases")


@dataclass(frozen=True)
class ClaimPlan:
    """What a run will do.

    Attributes:
        command: `upgrade`, `deploy`, `downgrade` or `rollback`.
        target: `KIND/NAME`.
        namespace: Where.
        replicas: How many it has, and gets back.
        goal: The images, the revision.
        claims: What must never have two pods.
        warnings: What to know.
        suspends: CronJobs that take snapshots on the claim, and are held meanwhile.
    """

    command: str
    target: str
    namespace: str
    replicas: int
    goal: Goal
    claims: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    suspends: tuple[str, ...] = ()


def plan_run(cluster: Cluster, found: Found, wish: Wish) -> ClaimPlan:
    """Look at everything, and plan; nothing is changed.

    Args:
        cluster: The cluster.
        found: The workload.
        wish: What was asked for.

    Raises:
        UsageError: `bad-target`, `no-such-container`, `relative-revision`.
        Refused: `several-writers`, `several-databases`, `claim-deleted-when-scaled`, `no-claim`,
            `claim-shared`, `workload-owned`, `paused`, `on-delete`, `partition`; as `goal_back`.
        ConfigurationError: `copies-not-writable`.
        WorkloadFailed: `no-rights`. As Cluster does; also when the server's dry run of a change
            fails.
    """
    if found.kind not in (DEPLOYMENT, STATEFUL_SET):
        raise UsageError(
            f"{found} can't be scaled to zero",
            code="bad-target",
            hint="deployment/NAME or statefulset/NAME",
        )
    if wish.revision.startswith(("+", "-")):
        # A run that is gone on with may start its Job once more: it would go further each time.
        raise UsageError(
            f"{wish.revision} means something else once it has been reached",
            code="relative-revision",
            hint="head or a revision's id",
        )
    goal = (goal_back if wish.command == ROLLBACK else goal_ahead)(found, wish)
    require_rights(cluster, (*needs(found), *(NEEDS if wish.folder else ())))
    if wish.folder is not None:
        require_folder(wish.folder)
    warnings = _shape(cluster, found)
    claims = written_claims(found.kind, found.object, goal.container)
    _require_claim(found, claims)
    _require_alone(cluster, found, claims)
    takers = snapshot_takers(cluster, claims)
    require_rights(cluster, [Need("patch", CRON_JOB)] if takers else [])
    warnings += _require_unowned(owners(cluster, found.kind, found.object), found, wish)
    plan = ClaimPlan(
        command=wish.command,
        target=str(found),
        namespace=str(cluster.namespace),
        replicas=desired(found.kind, found.object),
        goal=goal,
        claims=claims,
        warnings=tuple(warnings),
        suspends=takers,
    )
    _try_out(cluster, found, plan, wish)
    return plan


def needs(found: Found) -> tuple[Need, ...]:
    """Every right that a run and its undoing will need."""
    kind = found.kind
    history = REPLICA_SET if kind is DEPLOYMENT else CONTROLLER_REVISION
    return (
        *(Need(verb, kind) for verb in ("get", "list", "watch", "patch")),
        Need("update", kind, "scale"),
        *(Need(verb, POD) for verb in ("list", "watch")),
        Need("get", POD, "log"),
        *(Need(verb, JOB) for verb in ("get", "list", "watch", "create", "delete")),
        *(Need(verb, LEASE) for verb in ("get", "create", "update", "delete")),
        Need("get", CLAIM),
        *(Need("list", one) for one in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRON_JOB)),
        *(Need("list", one) for one in (AUTOSCALER, history)),
    )


def _shape(cluster: Cluster, found: Found) -> list[str]:
    kind, workload = found.kind, found.object
    held = standstill(kind, workload)
    if held is not None and held.reason != "zero-replicas":
        raise Refused(held.told, code=held.reason, state="Nothing was changed", hint=held.hint)
    policy = workload["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if policy.get("whenScaled") == "Delete":
        raise Refused(
            f"{found} has whenScaled: Delete: scaling it to zero would delete its claims, and the "
            "database with them",
            code="claim-deleted-when-scaled",
            state="Nothing was changed",
            hint=f'kubectl patch {found} -p \'{{"spec":{{"persistentVolumeClaimRetentionPolicy":'
            '{"whenScaled":"Retain"}}}\'',
        )
    dangers = hazards(kind, workload, read_claims(cluster, kind, workload))
    for one in dangers:
        if one.id in _REFUSED:
            raise Refused(
                one.told,
                code=one.id,
                state="Nothing was changed",
                hint=f"kubectl scale {found} --replicas=1",
            )
    return [one.told for one in dangers]


def _require_claim(found: Found, claims: tuple[str, ...]) -> None:
    if not claims:
        raise Refused(
            f"{found} has no claim: its database, if it has one, is lost with its pod",
            code="no-claim",
            state="Nothing was changed",
            hint=f"orchctl k8s set-image {found} IMAGE changes the image alone",
        )


def _require_alone(cluster: Cluster, found: Found, claims: tuple[str, ...]) -> None:
    others = sharers(cluster, found, claims)
    if others:
        raise Refused(
            f"{', '.join(others)} may write to {', '.join(claims)} too",
            code="claim-shared",
            state="Nothing was changed",
            hint=f"For the time being: {'; '.join(map(stopped_by, others))}",
            details={"others": list(others), "claims": list(claims)},
        )


def _require_unowned(found: tuple[Owner, ...], target: Found, wish: Wish) -> list[str]:
    if found and not wish.accept_owner:
        raise Refused(
            "; ".join(one.told for one in found),
            code="workload-owned",
            state=f"{target} is as it was",
            hint=found[0].hint,
            details={"owners": [one.what for one in found]},
        )
    return [one.told for one in found]


def _try_out(cluster: Cluster, found: Found, plan: ClaimPlan, wish: Wish) -> None:
    """Let the server check each change that is to come."""
    goal, name = plan.goal, job_name(found.name, "000000", "upgrade")
    command = job_command(plan.command, goal.revision, goal.snapshot, goal.allow_loss)
    work = Work(name, "000000", goal.container, goal.job_image, command, wish.job_seconds)
    cluster.create(JOB, manifest(found.kind, found.object, work), dry_run=True)
    try:
        scale(cluster, found.kind, cluster.get(found.kind, found.name), 0, dry_run=True)
    except OrchctlError as error:
        if error.code != "cluster-conflict":  # its status has just changed: allowed it was
            raise
    if goal.new_images:
        patch = images_patch(found.object, goal.new_images)
        cluster.patch(found.kind, found.name, patch, dry_run=True)
