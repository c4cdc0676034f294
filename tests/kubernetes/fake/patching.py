"""The three patches: JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.refusals import rejected_patch
from tests.kubernetes.fake.resources import Json

# A list's merge key by the name of its field; lists not named here are replaced as a whole.
# https://github.com/kubernetes/api: the patchMergeKey tags.
_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "taints": ("key",),
}
_MERGED_PRIMITIVES = {"finalizers"}


def merge_patch(held: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copied(patch)
    merged = dict(held) if isinstance(held, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(held: Json, operations: list[Json]) -> Json:
    """RFC 6902; refuses with 422 what doesn't apply, a failed `test` too."""
    body = copied(held)
    try:
        for operation in operations:
            body = _operate(body, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise rejected_patch() from error
    return body


def _operate(body: Json, operation: Json) -> Json:
    verb = operation["op"]
    steps = _steps(operation["path"])
    if verb == "test":
        if _at(body, steps) != operation.get("value"):
            raise ValueError(operation["path"])
        return body
    if verb in {"move", "copy"}:
        source = _steps(operation["from"])
        value = copied(_at(body, source))
        if verb == "move":
            _drop(body, source)
        _put(body, steps, value, insert=True)
    elif verb == "remove":
        _drop(body, steps)
    elif verb in {"add", "replace"}:
        if verb == "replace":
            _at(body, steps)
        _put(body, steps, operation["value"], insert=verb == "add")
    else:
        raise ValueError(verb)
    return body


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(body: Any, steps: list[str]) -> Any:
    for step in steps:
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


def _put(body: Any, steps: list[str], value: Any, *, insert: bool) -> None:
    parent, last = _at(body, steps[:-1]), steps[-1]
    if not isinstance(parent, list):
        parent[last] = value
    elif last == "-":
        parent.append(value)
    elif insert:
        parent.insert(int(last), value)
    else:
        parent[int(last)] = value


def _drop(body: Any, steps: list[str]) -> None:
    parent, last = _at(body, steps[:-1]), steps[-1]
    del parent[int(last) if isinstance(parent, list) else last]


def strategic_merge(held: Json, patch: Json) -> Json:
    """As the API server merges built-in kinds: lists of known fields by their key."""
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    merged = dict(held)
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(merged, key, value)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            merged[field] = [each for each in merged.get(field, []) if each not in value]
        if key.startswith("$setElementOrder/"):
            _order(merged, key.partition("/")[2], value)
    return merged


def _merge_field(merged: Json, key: str, value: Any) -> None:
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        if value.get("$patch") == "delete":
            merged.pop(key, None)
        else:
            held = merged.get(key)
            merged[key] = strategic_merge(held if isinstance(held, dict) else {}, value)
    elif isinstance(value, list):
        merged[key] = _merge_list(key, merged.get(key) or [], value)
    else:
        merged[key] = value


def _merge_list(field: str, held: list[Any], patch: list[Any]) -> list[Any]:
    if field in _MERGED_PRIMITIVES:
        return held + [each for each in patch if each not in held]
    merge_key = _merge_key(field, held + patch)
    if merge_key is None:
        return copied(patch)
    if any(each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if "$patch" not in each]
    merged = list(held)
    for each in patch:
        _merge_element(merged, merge_key, each)
    return merged


def _merge_key(field: str, elements: list[Any]) -> str | None:
    if not all(isinstance(each, dict) for each in elements):
        return None
    for key in _MERGE_KEYS.get(field, ()):
        if all(key in each or "$patch" in each for each in elements):
            return key
    return None


def _merge_element(merged: list[Any], merge_key: str, patch: Json) -> None:
    at = next(
        (i for i, held in enumerate(merged) if held.get(merge_key) == patch.get(merge_key)), None
    )
    if patch.get("$patch") == "delete":
        if at is not None:
            del merged[at]
    elif at is None:
        merged.append(strategic_merge({}, patch))
    else:
        merged[at] = strategic_merge(merged[at], patch)


def _order(merged: Json, field: str, wanted: list[Any]) -> None:
    """`kubectl apply` and `set image` say which order the list shall have."""
    held = merged.get(field)
    if not held:
        return
    key = _merge_key(field, held)
    names = [each.get(key) if key and isinstance(each, dict) else each for each in wanted]

    def place(element: Any) -> int:
        name = element.get(key) if key and isinstance(element, dict) else element
        return names.index(name) if name in names else len(names)

    merged[field] = sorted(held, key=place)
