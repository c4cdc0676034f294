"""Requests on objects: get, list, create, update, patch, delete, and the scale subresource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.patching import json_patch, merge_patch, strategic_merge
from tests.kubernetes.fake.reading import Query, list_body, list_objects, matches
from tests.kubernetes.fake.refusals import (
    Refused,
    bad_request,
    invalid,
    method_not_allowed,
    no_such_path,
    unreadable_patch,
    unsupported_media_type,
)
from tests.kubernetes.fake.resources import Json, Resource
from tests.kubernetes.fake.routing import Target
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, Written, create, delete, update

_JSON, _MERGE, _STRATEGIC, _APPLY = (
    f"application/{name}"
    for name in (
        "json-patch+json",
        "merge-patch+json",
        "strategic-merge-patch+json",
        "apply-patch+yaml",
    )
)
_SCALE = Resource("autoscaling", "v1", "scales", "Scale")


@dataclass(frozen=True)
class Call:
    """One request on objects, with its body read."""

    verb: str
    target: Target
    query: Query
    body: Any
    content_type: str

    @property
    def dry_run(self) -> bool:
        asked = self.query.get("dryRun", "")
        in_body = self.body.get("dryRun") if isinstance(self.body, dict) else None
        if asked not in {"", "All"}:
            raise bad_request(f'invalid dry run value: Unsupported value: "{asked}"')
        return asked == "All" or in_body == ["All"]


def answer(store: Store, call: Call) -> tuple[int, Json]:
    """The status code and body of the answer; raises Refused."""
    if call.target.sub == "scale" and call.target.resource.scale:
        return 200, _scale(store, call)
    if call.target.sub not in {"", "status", "finalize"}:
        raise no_such_path()
    verbs = {
        "get": _get,
        "list": lambda store, call: (200, list_objects(store, call.target, call.query)),
        "create": _create,
        "update": _update,
        "patch": _patch,
        "delete": _delete,
        "deletecollection": _delete_collection,
    }
    if call.verb not in verbs:
        raise method_not_allowed()
    return verbs[call.verb](store, call)


def _get(store: Store, call: Call) -> tuple[int, Json]:
    target = call.target
    return 200, store.get(target.resource, target.namespace, target.name)


def _create(store: Store, call: Call) -> tuple[int, Json]:
    target = call.target
    if target.name:
        raise method_not_allowed()
    body = _checked(call)
    meta = body.setdefault("metadata", {})
    if target.resource.namespaced:
        given = meta.setdefault("namespace", target.namespace)
        if given != target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
    return 201, create(store, target.resource, body, dry_run=call.dry_run)


def _checked(call: Call) -> Json:
    resource = call.target.resource
    if not isinstance(call.body, dict):
        raise bad_request("the object provided is unrecognized: not an object")
    body = copied(call.body)
    kind = body.get("kind", resource.kind)
    version = body.get("apiVersion", resource.api_version)
    if (kind, version) != (resource.kind, resource.api_version):
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    _check_types(resource, body, _undecodable)
    return body


def _update(store: Store, call: Call) -> tuple[int, Json]:
    target, body = call.target, _checked(call)
    meta = body.setdefault("metadata", {})
    if meta.setdefault("name", target.name) != target.name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL "
            f"({target.name})"
        )
    if target.resource.namespaced:
        meta["namespace"] = target.namespace
    return 200, _updated(store, call, body)


def _updated(store: Store, call: Call, body: Json) -> Json:
    sub = "status" if call.target.sub == "status" else ""
    return update(store, call.target.resource, body, sub=sub, dry_run=call.dry_run).object


def _patch(store: Store, call: Call) -> tuple[int, Json]:
    target = call.target
    if call.content_type == _APPLY and store.find(*_place(target)) is None:
        body = {**call.body, "metadata": {**call.body.get("metadata", {}), "name": target.name}}
        return _create(store, Call("create", _collection(target), call.query, body, _JSON))
    held = store.get(*_place(target))
    body = apply_patch(target.resource, held, call)
    return 200, _updated(store, call, body)


def _place(target: Target) -> tuple[Resource, str, str]:
    return target.resource, target.namespace, target.name


def _collection(target: Target) -> Target:
    return Target(target.resource, target.namespace)


def apply_patch(resource: Resource, held: Json, call: Call) -> Json:
    """The object with the patch applied; refuses with 415 and 422."""
    if call.content_type == _JSON:
        body = json_patch(held, call.body)
    elif call.content_type == _MERGE:
        body = merge_patch(held, call.body)
        _check_types(resource, body, _undecodable)
    elif call.content_type in {_STRATEGIC, _APPLY} and not resource.custom:
        body = strategic_merge(held, call.body)
        _check_types(resource, body, lambda *_: _unreadable(call.body))
    else:
        raise unsupported_media_type()
    return body


def _check_types(resource: Resource, body: Json, refusal: Any) -> None:
    spec = body.get("spec")
    for field in ("replicas", "backoffLimit", "parallelism"):
        value = spec.get(field) if isinstance(spec, dict) else None
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise refusal(resource, field)


def _unreadable(patch: Json) -> Refused:
    return unreadable_patch(_as_go(patch), "unrecognized type: int32")


def _as_go(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_as_go(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_as_go(each) for each in value) + "]"
    return str(value)


def _undecodable(resource: Resource, field: str) -> Refused:
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
        f"json: cannot unmarshal string into Go struct field {resource.kind}Spec.spec.{field} of "
        "type int32"
    )


def delete_options(call: Call) -> DeleteOptions:
    """From the body or, where there is none, from the query."""
    body = call.body if isinstance(call.body, dict) else {}
    conditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    return DeleteOptions(
        grace_seconds=None if grace is None else int(grace),
        propagation=body.get("propagationPolicy") or call.query.get("propagationPolicy"),
        uid=conditions.get("uid"),
        version=conditions.get("resourceVersion"),
        dry_run=call.dry_run,
    )


def _delete(store: Store, call: Call) -> tuple[int, Json]:
    target = call.target
    done = delete(store, *_place(target), delete_options(call))
    # Pods and what is only marked are answered as they are, the rest with a Status.
    if done.removed and target.resource.kind != "Pod":
        return 200, _deleted(target, done)
    return 200, done.object


def _deleted(target: Target, done: Written) -> Json:
    details: Json = {"name": target.name}
    if target.resource.group:
        details["group"] = target.resource.group
    details |= {"kind": target.resource.plural, "uid": done.object["metadata"]["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _delete_collection(store: Store, call: Call) -> tuple[int, Json]:
    target, options = call.target, delete_options(call)
    deleted = [
        delete(store, target.resource, target.namespace, each["metadata"]["name"], options).object
        for each in store.all(target.resource, target.namespace)
        if matches(target.resource, each, call.query)
    ]
    return 200, list_body(target.resource, {"resourceVersion": str(store.version)}, deleted)


def _scale(store: Store, call: Call) -> Json:
    held = store.get(*_place(call.target))
    if call.verb == "get":
        return _as_scale(held)
    if call.verb == "update":
        scale = call.body
    elif call.verb == "patch":
        scale = apply_patch(_SCALE, _as_scale(held), call)
    else:
        raise method_not_allowed()
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(_SCALE, call.target.name, "spec.replicas", why, "FieldValueInvalid")
    meta = scale.get("metadata") or {}
    for key in ("resourceVersion", "uid"):
        if meta.get(key):
            held["metadata"][key] = meta[key]
    held["spec"]["replicas"] = replicas
    return _as_scale(_updated(store, call, held))


def _as_scale(held: Json) -> Json:
    meta = held["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = (held["spec"].get("selector") or {}).get("matchLabels") or {}
    replicas = held["spec"].get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": held.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={selector[key]}" for key in sorted(selector)),
        },
    }
