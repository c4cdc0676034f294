"""Restarting a workload as kubectl does, and waiting until that is really over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchctl.errors import Refused
from orchctl.workloads.kubernetes.find import Found, pods_of
from orchctl.workloads.kubernetes.kinds import POD, Object, controller_of
from orchctl.workloads.kubernetes.rollout import Standstill, standstill
from orchctl.workloads.kubernetes.unfinished import require_no_run
from orchctl.workloads.kubernetes.waiting import RolledOut, wait_for_pod, wait_for_rollout

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

# The same annotation as `kubectl rollout restart`
# (https://github.com/kubernetes/kubectl: pkg/polymorphichelpers/objectrestarter.go).
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_REVIVERS = ("ReplicaSet", "StatefulSet", "DaemonSet")
Told = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """A change of a workload, and what came of it.

    Attributes:
        target: `KIND/NAME`.
        changed: Whether anything was different afterwards; with a dry run, would be.
        before: The object before.
        after: What the server answered to the change.
        held: Why it changes no pod, or not every one; None when it does.
        rolled: The workload when all was over; None when that was not waited for.
    """

    target: str
    changed: bool
    before: Object
    after: Object
    held: Standstill | None = None
    rolled: RolledOut | None = None


@dataclass(frozen=True)
class Patience:
    """Whether and how long to wait.

    Attributes:
        wait: Whether.
        deadline: A time of the monotonic clock.
        on_line: Called with what is waited for, whenever that changes.
        dry_run: Let the server check it all and change nothing.
    """

    wait: bool
    deadline: float
    on_line: Told | None = None
    dry_run: bool = False


def restart(cluster: Cluster, found: Found, patience: Patience) -> Change:
    """Restart a workload; a pod by letting its controller make another.

    Raises:
        Refused: `paused`, `on-delete`, `partition`: it would restart nothing; `bare-pod`;
            `unfinished-run`.
        WorkloadFailed: As Cluster and `wait_for_rollout` do.
        TimedOut: `rollout-timeout`.
    """
    if found.kind is POD:
        return _restart_pod(cluster, found, patience)
    held = standstill(found.kind, found.object)
    if held is not None and held.whole and held.reason != "zero-replicas":
        raise Refused(
            f"{held.told}; a restart would do nothing",
            code=held.reason,
            state="Nothing was changed",
            hint=held.hint,
        )
    at = _unused_moment(found.object)
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: at}}}}}
    return apply_change(cluster, found, patch, patience)


def apply_change(
    cluster: Cluster,
    found: Found,
    patch: Object,
    patience: Patience,
    then: Callable[[], None] | None = None,
) -> Change:
    """Patch a workload's template, and wait until its pods are the new ones.

    Args:
        cluster: The cluster.
        found: The workload.
        patch: A strategic merge patch that changes nothing more a second time.
        patience: Whether and how long to wait.
        then: Called when the patch was taken.

    Raises:
        Refused: `unfinished-run`.
        OrchctlError: As Cluster and `wait_for_rollout` do.
    """
    require_no_run(found.kind, found.object)
    before = [one["metadata"]["uid"] for one in pods_of(cluster, found)]
    after = cluster.patch(found.kind, found.name, patch, dry_run=patience.dry_run)
    if then is not None and not patience.dry_run:
        then()
    held = standstill(found.kind, after)
    changed = after["metadata"].get("generation") != found.object["metadata"].get("generation")
    rolled = None
    if patience.wait and not patience.dry_run and not (held and held.whole):
        rolled = wait_for_rollout(
            cluster,
            found.kind,
            after,
            deadline=patience.deadline,
            before=before if changed else (),
            on_line=patience.on_line,
        )
    return Change(str(found), changed, found.object, after, held, rolled)


def _unused_moment(workload: Object) -> str:
    """Now, in whole seconds as kubectl has it, but not the moment of the last restart.

    The same annotation once more would change nothing, and nothing would be restarted.
    """
    annotations = workload["spec"]["template"].get("metadata", {}).get("annotations") or {}
    while True:
        now = datetime.now(UTC)
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        if annotations.get(RESTARTED_AT) != at:
            return at
        time.sleep(1.0 - now.microsecond / 1e6)


def _restart_pod(cluster: Cluster, found: Found, patience: Patience) -> Change:
    owner = controller_of(found.object)
    if owner is None or owner["kind"] not in _REVIVERS:
        by = f"belongs to {owner['kind']} {owner['name']}" if owner else "belongs to no controller"
        raise Refused(
            f"{found} {by}: deleted, it would not come back",
            code="bare-pod",
            state="Nothing was changed",
            hint=f"kubectl get {found} -o yaml keeps what it is made from",
        )
    metadata = found.object["metadata"]
    every, _ = cluster.every(POD)
    before = {one["metadata"]["uid"] for one in every}
    # With its own grace period, and never by force: the node decides when it is really gone.
    cluster.delete(POD, found.name, uid=metadata["uid"], dry_run=patience.dry_run)
    rolled = None
    if patience.wait and not patience.dry_run:
        rolled = wait_for_pod(
            cluster,
            found.object,
            deadline=patience.deadline,
            successor=True,
            before=before,
            on_line=patience.on_line,
        )
    return Change(str(found), True, found.object, found.object, None, rolled)
