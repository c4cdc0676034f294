"""What the server refuses with 422: values out of range, missing, or not to be changed."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.kubernetes.fake.refusals import Refused, invalid
from tests.kubernetes.fake.resources import Json, Resource
from tests.kubernetes.fake.selectors import object_matches

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")

_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character"
)

_STATEFUL_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_STATEFUL_SET_RULE = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
    "'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
_ANNOTATIONS = 256 * 1024
_WITH_TEMPLATE = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"}


class Checks:
    """Refuses one object's fields in its name."""

    def __init__(self, resource: Resource, body: Json) -> None:
        self.resource = resource
        self.body = body
        self.name = body["metadata"].get("name", "")

    def refusal(self, field: str, why: str, cause: str = "FieldValueInvalid") -> Refused:
        return invalid(self.resource, self.name, field, why, cause)

    def required(self, field: str) -> Refused:
        return self.refusal(field, "Required value", "FieldValueRequired")


def validate(resource: Resource, body: Json) -> None:
    """What holds for every object, new or changed."""
    checks = Checks(resource, body)
    _check_metadata(checks)
    if resource.kind in _WITH_TEMPLATE:
        _check_workload(checks)
    elif resource.kind == "Pod":
        _check_pod(checks, body["spec"], "spec")


def _check_metadata(checks: Checks) -> None:
    annotations = checks.body["metadata"].get("annotations") or {}
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS:
        why = f"Too long: may not be more than {_ANNOTATIONS} bytes"
        raise checks.refusal("metadata.annotations", why, "FieldValueTooLong")
    if not checks.resource.group.startswith("rbac") and not _NAME.match(checks.name):
        raise checks.refusal("metadata.name", f'Invalid value: "{checks.name}": {_NAME_RULE}')
    for value in (checks.body["metadata"].get("labels") or {}).values():
        if len(value) > 63:
            why = f'Invalid value: "{value}": must be no more than 63 bytes'
            raise checks.refusal("metadata.labels", why)
        if not _LABEL.match(value):
            raise checks.refusal("metadata.labels", f'Invalid value: "{value}": {_LABEL_RULE}')


def _check_workload(checks: Checks) -> None:
    spec = checks.body["spec"]
    _check_count(checks, spec, "replicas")
    _check_count(checks, spec, "backoffLimit")
    labels = spec["template"]["metadata"].get("labels") or {}
    if checks.resource.kind != "Job":
        if not spec.get("selector"):
            raise checks.required("spec.selector")
        if not object_matches(spec["selector"], labels):
            given = json.dumps(labels, separators=(",", ":"))
            why = f"Invalid value: {given}: `selector` does not match template `labels`"
            raise checks.refusal("spec.template.metadata.labels", why)
    pod = spec["template"]["spec"]
    _check_pod(checks, pod, "spec.template.spec")
    allowed = ("OnFailure", "Never") if checks.resource.kind == "Job" else ("Always",)
    if pod["restartPolicy"] not in allowed:
        quoted = ", ".join(f'"{each}"' for each in allowed)
        why = f'Unsupported value: "{pod["restartPolicy"]}": supported values: {quoted}'
        field = "spec.template.spec.restartPolicy"
        raise checks.refusal(field, why, "FieldValueNotSupported")
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        why = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        raise checks.refusal("spec.strategy.rollingUpdate", why, "FieldValueForbidden")


def _check_count(checks: Checks, spec: Json, field: str) -> None:
    value = spec.get(field)
    if isinstance(value, int) and value < 0:
        why = f"Invalid value: {value}: must be greater than or equal to 0"
        raise checks.refusal(f"spec.{field}", why)


def _check_pod(checks: Checks, spec: Json, path: str) -> None:
    containers = spec.get("containers") or []
    if not containers:
        raise checks.required(f"{path}.containers")
    volumes = {each["name"] for each in spec.get("volumes") or []}
    seen: set[str] = set()
    if checks.resource.kind == "StatefulSet":
        claims = checks.body["spec"].get("volumeClaimTemplates") or []
        volumes |= {each["metadata"]["name"] for each in claims}
    for number, container in enumerate(containers):
        at = f"{path}.containers[{number}]"
        for field in ("name", "image"):
            if not container.get(field):
                raise checks.required(f"{at}.{field}")
        if container["name"] in seen:
            why = f'Duplicate value: "{container["name"]}"'
            raise checks.refusal(f"{at}.name", why, "FieldValueDuplicate")
        seen.add(container["name"])
        _check_mounts(checks, container, volumes, at)


def _check_mounts(checks: Checks, container: Json, volumes: set[str], at: str) -> None:
    for number, mount in enumerate(container.get("volumeMounts") or []):
        if mount["name"] not in volumes:
            field = f"{at}.volumeMounts[{number}].name"
            why = f'Not found: "{mount["name"]}"'
            raise checks.refusal(field, why, "FieldValueNotFound")


def validate_change(resource: Resource, before: Json, body: Json) -> None:
    """What may not be changed once it is there."""
    checks = Checks(resource, body)
    old, new = before.get("spec") or {}, body.get("spec") or {}
    if resource.kind == "StatefulSet":
        if _without(old, _STATEFUL_SET_MUTABLE) != _without(new, _STATEFUL_SET_MUTABLE):
            raise checks.refusal("spec", _STATEFUL_SET_RULE, "FieldValueForbidden")
    elif resource.kind in {"Deployment", "DaemonSet", "ReplicaSet"}:
        _unchanged(checks, old, new, "selector")
    elif resource.kind == "Job":
        _unchanged(checks, old, new, "selector")
        _unchanged(checks, old, new, "completions")
        if not old.get("suspend"):
            _unchanged(checks, old, new, "template")
    elif resource.kind == "Pod" and _without_images(old) != _without_images(new):
        raise checks.refusal("spec", _POD_RULE, "FieldValueForbidden")
    elif before.get("immutable") and before.get("data") != body.get("data"):
        why = "Forbidden: field is immutable when `immutable` is set"
        raise checks.refusal("data", why, "FieldValueForbidden")


def _unchanged(checks: Checks, old: Json, new: Json, field: str) -> None:
    if old.get(field) != new.get(field):
        given = json.dumps(new.get(field), separators=(",", ":"))
        why = f"Invalid value: {given}: field is immutable"
        raise checks.refusal(f"spec.{field}", why)


def _without(spec: Json, fields: tuple[str, ...]) -> Json:
    return {key: value for key, value in spec.items() if key not in fields}


def _without_images(spec: Json) -> Json:
    left: dict[str, Any] = _without(
        spec, ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
    )
    for field in ("containers", "initContainers"):
        left[field] = [_without(each, ("image",)) for each in spec.get(field) or []]
    return left
