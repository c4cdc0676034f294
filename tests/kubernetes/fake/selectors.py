"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.kubernetes.fake.refusals import bad_request
from tests.kubernetes.fake.resources import Json, Resource

Labels = dict[str, str]

_SET = re.compile(r"^(?P<key>[\w./-]+)\s+(?P<how>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[\w./-]+)\s*(?P<how>==|=|!=)\s*(?P<value>[\w.-]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[\w./-]+)$")

# What the real server allows besides metadata.name and metadata.namespace.
_FIELDS = {
    "pods": {"spec.nodeName", "status.phase", "spec.restartPolicy", "spec.serviceAccountName"},
    "events": {
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "involvedObject.fieldPath",
        "reason",
        "type",
        "source",
        "reportingComponent",
    },
    "jobs": {"status.successful"},
    "secrets": {"type"},
    "namespaces": {"status.phase"},
    "nodes": {"spec.unschedulable"},
}


def labels_match(selector: str, labels: Labels) -> bool:
    """Whether `labels` fulfil every requirement; refuses what is no selector with 400."""
    return all(_fulfilled(part, labels) for part in _requirements(selector))


def _requirements(selector: str) -> list[str]:
    # A comma inside brackets separates values, not requirements.
    return [part.strip() for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _fulfilled(requirement: str, labels: Labels) -> bool:
    if found := _SET.match(requirement):
        values = {value.strip() for value in found["values"].split(",")}
        return (labels.get(found["key"]) in values) == (found["how"] == "in")
    if found := _EQUAL.match(requirement):
        return (labels.get(found["key"]) == found["value"]) == (found["how"] != "!=")
    if found := _EXISTS.match(requirement):
        return (found["key"] in labels) != bool(found["no"])
    raise bad_request(f"unable to parse requirement: found '{requirement}'")


def object_matches(selector: Json | None, labels: Labels) -> bool:
    """A selector as objects carry it: matchLabels and matchExpressions; an empty one matches."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or [])


def _expression(expression: Json, labels: Labels) -> bool:
    held = labels.get(expression["key"])
    tests: dict[str, Callable[[], bool]] = {
        "In": lambda: held in expression["values"],
        "NotIn": lambda: held not in expression["values"],
        "Exists": lambda: held is not None,
        "DoesNotExist": lambda: held is None,
    }
    return tests[expression["operator"]]()


def fields_match(selector: str, resource: Resource, body: Json) -> bool:
    """Whether `body` fulfils a field selector; refuses unknown fields with 400."""
    allowed = {"metadata.name", "metadata.namespace"} | _FIELDS.get(resource.plural, set())
    for part in filter(None, selector.split(",")):
        found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", part)
        if found is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        field, how, value = found.groups()
        if field not in allowed:
            raise bad_request(
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match '
                f'label selector "", field selector "{selector}": field label not supported: '
                f"{field}"
            )
        if (_value(body, field) == value) != (how != "!="):
            return False
    return True


def _value(body: Json, field: str) -> str:
    if field == "status.successful":
        return str(body.get("status", {}).get("succeeded", 0))
    if field == "source":
        return str(body.get("source", {}).get("component") or body.get("reportingComponent", ""))
    held: object = body
    for step in field.split("."):
        held = held.get(step) if isinstance(held, dict) else None
    return "" if held is None else str(held)
