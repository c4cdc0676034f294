"""Creating, changing and deleting objects as the API does: defaults, checks, preconditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.defaults import begin, fill
from tests.kubernetes.fake.moments import new_uid, stamp, suffix
from tests.kubernetes.fake.refusals import (
    already_exists,
    bad_request,
    invalid,
    modified,
    not_found,
    precondition_failed,
    terminating,
)
from tests.kubernetes.fake.resources import NAMESPACES, Json, Resource
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.validation import validate, validate_change

# Fields of metadata that belong to the server whatever a client sends.
_SERVERS_OWN = ("uid", "creationTimestamp", "generation", "deletionTimestamp")
_GRACE_FIELD = "deletionGracePeriodSeconds"
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class DeleteOptions:
    """What a DELETE may ask for; None where the server decides."""

    grace_seconds: int | None = None
    propagation: str | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Written:
    """The object as the answer shows it; `removed` when it is gone already."""

    object: Json
    removed: bool = field(default=False)


def create(store: Store, resource: Resource, body: Json, *, dry_run: bool = False) -> Json:
    """Puts in a new object; refuses with 403, 404, 409 and 422."""
    body = copied(body)
    body = _without_nulls(body) if not resource.custom else body
    body["apiVersion"], body["kind"] = resource.api_version, resource.kind
    meta = _own_metadata(body.get("metadata") or {})
    body["metadata"] = meta
    if not meta.get("name"):
        if not meta.get("generateName"):
            raise invalid(
                resource,
                "",
                "metadata.name",
                "Required value: name or generateName is required",
                "FieldValueRequired",
            )
        meta["name"] = meta["generateName"] + suffix()
    _check_namespace(store, resource, meta)
    fill(resource.kind, body)
    validate(resource, body)
    begin(resource.kind, body)
    namespace, name = meta.get("namespace", ""), meta["name"]
    if store.find(resource, namespace, name) is not None:
        raise already_exists(resource, name)
    if dry_run:
        meta.update({"uid": new_uid(), "creationTimestamp": stamp()})
        if resource.generation:
            meta["generation"] = 1
        return body
    return store.add(resource, body)


def _without_nulls(value: Any) -> Any:
    """A field that is null is a field that is not there, to a server that knows its types."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _own_metadata(meta: Json) -> Json:
    dropped = {*_SERVERS_OWN, "resourceVersion", "managedFields", "selfLink", _GRACE_FIELD}
    return {key: value for key, value in meta.items() if key not in dropped and value is not None}


def _check_namespace(store: Store, resource: Resource, meta: Json) -> None:
    if not resource.namespaced:
        meta.pop("namespace", None)
        return
    namespace = store.find(NAMESPACES, "", meta["namespace"])
    if namespace is None:
        raise not_found(NAMESPACES, meta["namespace"])
    if namespace["metadata"].get("deletionTimestamp"):
        raise terminating(resource, meta["name"], meta["namespace"])


def update(
    store: Store, resource: Resource, body: Json, *, sub: str = "", dry_run: bool = False
) -> Written:
    """Puts `body` in the place of the object it names.

    A resourceVersion in it must be the present one. `sub` is "status" to change nothing else;
    otherwise the status stays as it is.
    """
    meta = body.get("metadata") or {}
    before = store.get(resource, meta.get("namespace", ""), meta.get("name", ""))
    check_version(resource, before, meta)
    after = _combined(resource, before, body, sub)
    if sub != "status":
        fill(resource.kind, after)
        validate(resource, after)
        validate_change(resource, before, after)
        if resource.generation and before.get("spec") != after.get("spec"):
            after["metadata"]["generation"] += 1
            _count_template(resource, before, after)
    if dry_run:
        return Written(after)
    return _settle(store, resource, after)


def check_version(resource: Resource, before: Json, given: Json) -> None:
    """Refuses with 409 a resourceVersion or uid that is not the object's."""
    held = before["metadata"]
    version = given.get("resourceVersion")
    if version and version != held["resourceVersion"]:
        raise modified(resource, held["name"])
    if given.get("uid") and given["uid"] != held["uid"]:
        raise precondition_failed(resource, held["name"], "UID", given["uid"], held["uid"])


def _combined(resource: Resource, before: Json, body: Json, sub: str) -> Json:
    if sub == "status":
        return {**copied(before), "status": copied(body.get("status") or {})}
    after = _without_nulls(body) if not resource.custom else copied(body)
    after["apiVersion"], after["kind"] = resource.api_version, resource.kind
    meta = after["metadata"]
    for key in (*_SERVERS_OWN, _GRACE_FIELD):
        meta.pop(key, None)
        if key in before["metadata"]:
            meta[key] = before["metadata"][key]
    for key in ("labels", "annotations", "finalizers", "ownerReferences"):
        if not meta.get(key):
            meta.pop(key, None)
    meta.pop("managedFields", None)
    meta["resourceVersion"] = before["metadata"]["resourceVersion"]
    after.pop("status", None)
    if "status" in before and not resource.custom:
        after["status"] = before["status"]
    return after


def _count_template(resource: Resource, before: Json, after: Json) -> None:
    if resource.kind == "DaemonSet" and before["spec"]["template"] != after["spec"]["template"]:
        annotations = after["metadata"].setdefault("annotations", {})
        name = "deprecated.daemonset.template.generation"
        annotations[name] = str(after["metadata"]["generation"])


def _settle(store: Store, resource: Resource, after: Json) -> Written:
    """Writes it, and removes it when its last finalizer went while it was being deleted."""
    written = store.replace(resource, after)
    meta = written["metadata"]
    done = not meta.get(_GRACE_FIELD) and not meta.get("finalizers")
    if meta.get("deletionTimestamp") and done and resource is not NAMESPACES:
        return Written(store.remove(resource, meta.get("namespace", ""), meta["name"]), True)
    return Written(written)


def mutate(
    store: Store, resource: Resource, namespace: str, name: str, change: Callable[[Json], None]
) -> Json | None:
    """A controller's own write: whatever `change` does to metadata, spec and status.

    Returns the object, or None when it is gone.
    """
    if store.find(resource, namespace, name) is None:
        return None
    before = store.get(resource, namespace, name)
    after = copied(before)
    change(after)
    # Giving a pod its node is not counted as a change of what was asked for.
    counted = resource.generation and resource.kind != "Pod"
    if counted and before.get("spec") != after.get("spec"):
        after["metadata"]["generation"] += 1
    return _settle(store, resource, after).object


def delete(
    store: Store, resource: Resource, namespace: str, name: str, options: DeleteOptions
) -> Written:
    """Deletes, or marks for deletion what has a grace period or finalizers."""
    body = store.get(resource, namespace, name)
    meta = body["metadata"]
    for label, given, held in (
        ("UID", options.uid, meta["uid"]),
        ("ResourceVersion", options.version, meta["resourceVersion"]),
    ):
        if given is not None and given != held:
            raise precondition_failed(resource, name, label, given, held)
    _set_propagation(resource, meta, options)
    grace = _grace(resource, body, options)
    kept = grace > 0 or meta.get("finalizers") or resource is NAMESPACES
    if not kept and "deletionTimestamp" not in meta:
        if options.dry_run:
            return Written(body, True)
        return Written(store.remove(resource, namespace, name), True)
    _mark(resource, body, grace)
    if options.dry_run:
        return Written(body)
    return _settle(store, resource, body)


def _set_propagation(resource: Resource, meta: Json, options: DeleteOptions) -> None:
    # The default of batch/v1 Jobs is to orphan their pods; kubectl asks for Background.
    policy = options.propagation or ("Orphan" if resource.kind == "Job" else "Background")
    if policy not in {"Orphan", "Background", "Foreground"}:
        raise bad_request(f"invalid propagation policy: {policy}")
    finalizers = [
        each for each in meta.get("finalizers") or [] if each not in {_FOREGROUND, _ORPHAN}
    ]
    if policy == "Foreground":
        finalizers.append(_FOREGROUND)
    elif policy == "Orphan":
        finalizers.append(_ORPHAN)
    meta.pop("finalizers", None)
    if finalizers:
        meta["finalizers"] = finalizers


def _grace(resource: Resource, body: Json, options: DeleteOptions) -> int:
    if resource.kind != "Pod":
        return 0
    ended = body["status"].get("phase") in {"Succeeded", "Failed"}
    if not body["spec"].get("nodeName") or ended:
        return 0
    asked = options.grace_seconds
    given = body["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked
    held = body["metadata"].get(_GRACE_FIELD)
    # A second DELETE may shorten the grace period, never make it longer.
    return int(given) if held is None else min(int(given), int(held))


def _mark(resource: Resource, body: Json, grace: int) -> None:
    meta = body["metadata"]
    first = "deletionTimestamp" not in meta
    if first or grace < meta.get(_GRACE_FIELD, 0):
        meta["deletionTimestamp"] = stamp(grace)
        if resource is not NAMESPACES:
            meta[_GRACE_FIELD] = grace
    if first and meta.get("generation"):
        meta["generation"] += 1
    if resource is NAMESPACES:
        body["status"] = {"phase": "Terminating"}
