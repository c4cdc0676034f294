"""Owners and their pods: references, readiness, and making pods from a template."""

from __future__ import annotations

import json

from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.moments import content_hash, seconds_since
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import PODS, Json, Resource
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, create, delete


def reference(owner: Json) -> Json:
    """The ownerReference that makes `owner` the controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_uid(body: Json) -> str | None:
    for each in body["metadata"].get("ownerReferences") or []:
        if each.get("controller"):
            return str(each["uid"])
    return None


def owned(store: Store, resource: Resource, owner: Json) -> list[Json]:
    """The objects of a kind that `owner` controls, the oldest first."""
    meta = owner["metadata"]
    found = [
        each
        for each in store.all(resource, meta["namespace"])
        if controller_uid(each) == meta["uid"]
    ]
    return sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))


def condition_of(body: Json, kind: str) -> Json | None:
    for each in (body.get("status") or {}).get("conditions") or []:
        if each["type"] == kind:
            return dict(each)
    return None


def is_ready(pod: Json) -> bool:
    held = condition_of(pod, "Ready")
    return pod["status"].get("phase") == "Running" and held is not None and held["status"] == "True"


def is_going(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_over(pod: Json) -> bool:
    return pod["status"].get("phase") in {"Succeeded", "Failed"}


def unavailable_for(pod: Json, min_ready: int) -> float | None:
    """Seconds until the pod counts as available; 0 when it does, None while it isn't ready."""
    if not is_ready(pod):
        return None
    if not min_ready:
        return 0
    since = condition_of(pod, "Ready") or {}
    return max(0.0, min_ready - seconds_since(since["lastTransitionTime"]))


def template_hash(template: Json) -> str:
    """The hash of a template without what its own hash added to it."""
    bare = copied(template)
    (bare["metadata"].get("labels") or {}).pop("pod-template-hash", None)
    return content_hash(json.dumps(bare, sort_keys=True), 9)


def pod_from(template: Json, owner: Json) -> Json:
    meta = copied(template["metadata"])
    kept = {key: meta[key] for key in ("labels", "annotations") if meta.get(key)}
    return {
        "metadata": {
            **kept,
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [reference(owner)],
        },
        "spec": copied(template["spec"]),
    }


def create_pod(store: Store, pod: Json) -> Json | None:
    """The pod, or None where the server refuses it (the namespace is going, the name is taken)."""
    try:
        return create(store, PODS, pod)
    except Refused as refusal:
        if refusal.code in {403, 404, 409}:
            return None
        raise


def delete_pod(store: Store, pod: Json) -> None:
    meta = pod["metadata"]
    options = DeleteOptions(propagation="Background", uid=meta["uid"])
    try:
        delete(store, PODS, meta["namespace"], meta["name"], options)
    except Refused as refusal:
        if refusal.code not in {404, 409}:
            raise


def counts(**values: int) -> Json:
    """Counts as a status has them: those of zero are left out."""
    return {key: value for key, value in values.items() if value}
