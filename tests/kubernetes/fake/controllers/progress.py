"""A Deployment's status: counts, Available, Progressing and its deadline."""

from __future__ import annotations

import math

from tests.kubernetes.fake.controllers.owned import condition_of, counts
from tests.kubernetes.fake.moments import seconds_since, stamp
from tests.kubernetes.fake.resources import DEPLOYMENTS, Json
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import mutate

_TIMED_OUT = "ProgressDeadlineExceeded"
_COMPLETE = "NewReplicaSetAvailable"


def progressing(store: Store, meta: Json, reason: str, message: str) -> None:
    """A new ReplicaSet: the time to make progress begins anew."""

    def change(body: Json) -> None:
        _set(body["status"], "Progressing", ("True", reason, message))

    mutate(store, DEPLOYMENTS, meta["namespace"], meta["name"], change)


def sync_paused(store: Store, deployment: Json) -> None:
    """Says that it is paused, or no longer."""
    held = condition_of(deployment, "Progressing") or {}
    paused = bool(deployment["spec"].get("paused"))
    if held.get("reason") == _TIMED_OUT or paused == (held.get("reason") == "DeploymentPaused"):
        return
    told = ("DeploymentPaused", "Deployment is paused")
    if not paused:
        told = ("DeploymentResumed", "Deployment is resumed")

    def change(body: Json) -> None:
        _set(body["status"], "Progressing", ("Unknown", *told))

    meta = deployment["metadata"]
    mutate(store, DEPLOYMENTS, meta["namespace"], meta["name"], change)


def write_status(
    store: Store, meta: Json, replica_sets: list[Json], new: Json | None
) -> float | None:
    """Brings the status up to date; returns the seconds left to make progress, or None."""

    def change(body: Json) -> None:
        before = body["status"]
        after = _counts(body, replica_sets, new)
        conditions = [dict(each) for each in before.get("conditions") or []]
        if conditions:
            after["conditions"] = conditions
        _set_available(body, after)
        if not body["spec"].get("paused"):
            _set_progressing(body, before, after, new)
        body["status"] = after

    body = mutate(store, DEPLOYMENTS, meta["namespace"], meta["name"], change)
    return None if body is None else _time_left(body)


def _counts(body: Json, replica_sets: list[Json], new: Json | None) -> Json:
    def total(field: str) -> int:
        return sum(each["status"].get(field, 0) for each in replica_sets)

    available = total("availableReplicas")
    asked = sum(each["spec"]["replicas"] for each in replica_sets)
    status: Json = {"observedGeneration": body["metadata"]["generation"]}
    return status | counts(
        replicas=total("replicas"),
        updatedReplicas=new["status"].get("replicas", 0) if new else 0,
        readyReplicas=total("readyReplicas"),
        availableReplicas=available,
        unavailableReplicas=max(0, asked - available),
    )


def _set_available(body: Json, status: Json) -> None:
    spec = body["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    value = rolling.get("maxUnavailable", 0)
    missing = (
        value
        if isinstance(value, int)
        else math.floor(spec["replicas"] * int(value.rstrip("%")) / 100)
    )
    if status.get("availableReplicas", 0) >= spec["replicas"] - missing:
        told = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = "Deployment does not have minimum availability."
        told = ("False", "MinimumReplicasUnavailable", said)
    _set(status, "Available", told, keep=True)


def _set_progressing(body: Json, before: Json, after: Json, new: Json | None) -> None:
    held = condition_of(body, "Progressing") or {}
    name = new["metadata"]["name"] if new else body["metadata"]["name"]
    settled = after.get("replicas", 0) == after.get("updatedReplicas", 0)
    if settled and held.get("reason") == _COMPLETE:
        return
    if _is_complete(body, after):
        told = ("True", _COMPLETE, f'ReplicaSet "{name}" has successfully progressed.')
        _set(after, "Progressing", told)
    elif _has_progressed(before, after):
        told = ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        _set(after, "Progressing", told)
    elif held.get("reason") != _TIMED_OUT and (_time_left(body) or 1) < 0:
        told = ("False", _TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.')
        _set(after, "Progressing", told)


def _is_complete(body: Json, status: Json) -> bool:
    wanted = body["spec"]["replicas"]
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(field, 0) == wanted for field in fields)


def _has_progressed(before: Json, after: Json) -> bool:
    def old(status: Json) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    more = any(
        after.get(field, 0) > before.get(field, 0)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return more or old(after) < old(before)


def _time_left(body: Json) -> float | None:
    """Seconds until the progress deadline; None when there is nothing to wait for."""
    held = condition_of(body, "Progressing")
    if held is None or held["reason"] in {_COMPLETE, _TIMED_OUT, "DeploymentPaused"}:
        return None
    left = body["spec"]["progressDeadlineSeconds"] - seconds_since(held["lastUpdateTime"])
    return left if left else -0.001


def _set(status: Json, kind: str, told: tuple[str, str, str], *, keep: bool = False) -> None:
    """Sets a condition; with `keep` it stays as it is when status and reason are the same."""
    state, reason, message = told
    conditions = status.setdefault("conditions", [])
    held = next((each for each in conditions if each["type"] == kind), None)
    if held and keep and (held["status"], held["reason"]) == (state, reason):
        return
    same = held is not None and held["status"] == state
    fresh = {
        "type": kind,
        "status": state,
        "lastUpdateTime": stamp(),
        "lastTransitionTime": held["lastTransitionTime"] if held and same else stamp(),
        "reason": reason,
        "message": message,
    }
    status["conditions"] = [each for each in conditions if each["type"] != kind] + [fresh]
