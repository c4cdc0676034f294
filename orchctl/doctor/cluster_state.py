"""A workload of a cluster: D06 and D07, who else writes to its claim, how its pods are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from orchctl.doctor.cluster_template import (
    check_image,
    check_mounts,
    check_probes,
    check_user,
)
from orchctl.doctor.examination import Checked, examine_each
from orchctl.doctor.findings import Finding, found
from orchctl.workloads.kubernetes.kinds import DAEMON_SET, POD
from orchctl.workloads.kubernetes.owners import owners
from orchctl.workloads.kubernetes.pods import ContainerState, PodFacts, trouble_of, why_not_ready
from orchctl.workloads.kubernetes.sharers import sharers
from orchctl.workloads.kubernetes.unfinished import typed, unfinished_run

if TYPE_CHECKING:
    from orchctl.doctor.cluster import ClusterPatient
    from orchctl.workloads.kubernetes.shape import Hazard

_MANY = 3  # restarts
_OOM = "OOMKilled"


def examine_workloads(
    patients: Iterable[ClusterPatient], on_check: Callable[[str], None] = lambda name: None
) -> tuple[Checked, ...]:
    """Do all checks of workloads; changes nothing in their cluster.

    Args:
        patients: The workloads.
        on_check: Called with the name of each check as it begins.
    """
    return examine_each(CHECKS, patients, on_check)


def check_state(patient: ClusterPatient) -> Iterator[Finding]:
    """How its pods are."""
    status = patient.status
    if not status.wanted:
        if status.run is None:  # else it would be started beside the run's Job
            yield found(
                "not-running",
                f"{patient.found} has no replicas",
                command=f"kubectl scale {patient.place} --replicas=1",
            )
    elif not status.good and not status.pods:
        yield found(
            "not-ready",
            f"{patient.found} has no pods",
            evidence=(status.progress.told,),
            command=f"orchctl k8s events {patient.place} --warnings",
        )
    for pod in status.pods:
        yield from _pod(patient, pod)


def _pod(patient: ClusterPatient, pod: PodFacts) -> Iterator[Finding]:
    logs = f"orchctl k8s logs pod/{pod.name} -n {patient.status.namespace} --previous --tail 50"
    trouble = trouble_of(pod)
    if trouble is not None and trouble.kind != "crash-loop":
        yield found(
            "not-ready",
            f"pod/{pod.name} will not become ready by itself",
            evidence=(str(trouble),),
            command=f"orchctl k8s events {patient.place} --warnings",
        )
    elif trouble is None and not pod.ready and not pod.terminating:
        yield found(
            "not-ready",
            f"pod/{pod.name} is not ready",
            evidence=(why_not_ready(pod),),
            command=f"orchctl k8s wait {patient.place}",
            level="warning",
        )
    for one in pod.containers:
        yield from _restarts(patient, pod, one, logs)


def _restarts(
    patient: ClusterPatient, pod: PodFacts, one: ContainerState, logs: str
) -> Iterator[Finding]:
    looping = one.reason == "CrashLoopBackOff"
    ended = one.ended_reason or "ended"
    told = f"{one.restarts} restarts, last: {ended}, exit code {one.exit_code}"
    if looping or (one.restarts >= _MANY and one.exit_code is not None):
        yield found(
            "crash-loop",
            f"Container {one.name} of pod/{pod.name} ends and is started again and again",
            evidence=(told,),
            command=f"{logs} --container {one.name}",
            level=None if looping else "warning",
        )
    if one.ended_reason == _OOM:
        spec = (
            f'{{"containers":[{{"name":"{one.name}","resources":{{"limits":{{"memory":"…"}}}}}}]}}'
        )
        yield found(
            "oom-killed",
            f"Container {one.name} of pod/{pod.name} was ended for want of memory",
            evidence=(told,),
            command=patient.patch(spec),
        )


def check_writers(patient: ClusterPatient) -> Iterator[Finding]:
    """D06: replicas, strategy and access mode that let two pods write to one database."""
    claims = tuple(
        f"claim {one.name}: {', '.join(one.access_modes) or 'access mode not known'}"
        for one in patient.status.claims
    )
    for danger in patient.status.hazards:
        yield replace(_danger(patient, danger), evidence=claims)


def _danger(patient: ClusterPatient, danger: Hazard) -> Finding:
    alone = f"kubectl scale {patient.place} --replicas=1"
    if danger.id == "several-writers":
        everywhere = patient.found.kind is DAEMON_SET
        command = "A Deployment with one replica" if everywhere else alone
        return found("several-writers", danger.told, command=command)
    if danger.id == "several-databases":
        return found("several-databases", danger.told, command=alone)
    if danger.id == "rolling-update":
        strategy = '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'
        command = f"kubectl patch {patient.place} -p '{strategy}'"
        return found("rolling-update", danger.told, command=command)
    command = "A claim with accessModes: [ReadWriteOncePod], the data copied there"
    return found("read-write-many", danger.told, command=command)


def check_claim(patient: ClusterPatient) -> Iterator[Finding]:
    """D07: whether its claims are there, and outlive being scaled to zero."""
    policy = patient.found.object["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    for when, what in (("whenScaled", "scaling it to zero"), ("whenDeleted", "deleting it")):
        if policy.get(when) == "Delete":
            yield found(
                "claim-deleted-when-scaled",
                f"{patient.found}: {what} deletes its claims, and the database with them",
                evidence=(f"persistentVolumeClaimRetentionPolicy.{when}: Delete",),
                command=f"kubectl patch {patient.place} -p "
                f'\'{{"spec":{{"persistentVolumeClaimRetentionPolicy":{{"{when}":"Retain"}}}}}}\'',
                level=None if when == "whenScaled" else "warning",
            )
    for claim in patient.status.claims:
        unborn = claim.phase == "Missing" and not patient.status.wanted  # made with its first pod
        if claim.phase not in ("Bound", "") and not unborn:
            yield found(
                "claim-not-bound",
                f"Claim {claim.name} is {claim.phase}",
                evidence=(f"{', '.join(claim.access_modes) or '-'}, {claim.size or '-'}",),
                command=f"kubectl describe pvc {claim.name} -n {patient.status.namespace}",
            )


def check_sharers(patient: ClusterPatient) -> Iterator[Finding]:
    """D05: what else has the claim, or may come to have it."""
    claims = tuple(dict.fromkeys(patient.claims.values()))
    if not claims or patient.found.kind is POD:
        return
    others = sharers(patient.cluster, patient.found, claims)
    if others:
        yield found(
            "claim-shared",
            f"{', '.join(others)} may write to {', '.join(claims)}, too",
            evidence=tuple(f"{one} mounts it" for one in others),
            command=_stopped(others[0], patient.status.namespace),
        )


def _stopped(other: str, namespace: str) -> str:
    kind = other.partition("/")[0]
    if kind == "cronjob":
        return f'kubectl patch {other} -n {namespace} -p \'{{"spec":{{"suspend":true}}}}\''
    if kind in ("deployment", "statefulset"):
        return f"kubectl scale {other} -n {namespace} --replicas=0"
    return f"kubectl delete {other} -n {namespace}, if it is not needed"


def check_owners(patient: ClusterPatient) -> Iterator[Finding]:
    """Who else decides how many replicas it has, and with which image."""
    if patient.found.kind is POD:
        return
    for owner in owners(patient.cluster, patient.found.kind, patient.found.object):
        yield found(
            "workload-owned",
            owner.told,
            command=owner.hint,
            level="warning" if owner.what in ("autoscaler", "keda") else None,
        )


def check_run(patient: ClusterPatient) -> Iterator[Finding]:
    """D15: whether an upgrade or a deploy was killed on the way."""
    run = unfinished_run(patient.found.object)
    if run is None:
        return
    yield found(
        "unfinished-run",
        f"A run on {patient.found} is not over, or goes on right now",
        evidence=(str(run),),
        command=f"orchctl k8s {typed(run.command)} {patient.place} --resume (or --abort)",
    )


CHECKS: Mapping[str, Callable[[ClusterPatient], Iterable[Finding]]] = {
    "state": check_state,
    "writers": check_writers,
    "claim": check_claim,
    "sharers": check_sharers,
    "mounts": check_mounts,
    "user": check_user,
    "image": check_image,
    "probes": check_probes,
    "owners": check_owners,
    "run": check_run,
}
