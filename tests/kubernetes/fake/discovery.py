"""What clients ask first: versions, groups, kinds, and a schema that says nothing."""

from __future__ import annotations

from tests.kubernetes.fake.resources import VERBS, Json, Registry, Resource

VERSION: Json = {
    "major": "1",
    "minor": "34",
    "emulationMajor": "1",
    "emulationMinor": "34",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "33",
    "gitVersion": "v1.34.9",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.24.11",
    "compiler": "gc",
    "platform": "linux/amd64",
}

_POD_PARTS = {
    "pods/log": ("Pod", ["get"]),
    "pods/exec": ("PodExecOptions", ["create", "get"]),
    "pods/eviction": ("Eviction", ["create"]),
}
_WITHOUT_STATUS = {"Event", "ConfigMap", "Secret", "ServiceAccount", "Lease", "ControllerRevision"}


def discover(registry: Registry, path: str) -> Json | None:
    """The answer to a discovery path, or None when it is none."""
    fixed: dict[str, Json] = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": _groups(registry),
        "/openapi/v2": {"swagger": "2.0", "info": {"title": "Kubernetes"}, "paths": {}},
        "/openapi/v3": {"paths": {}},
    }
    path = path.rstrip("/")
    if path in fixed:
        return fixed[path]
    if path == "/api/v1":
        return _list("v1", [each for each in registry.known if not each.group])
    group_version = path.removeprefix("/apis/")
    if group_version == "authorization.k8s.io/v1":
        return _reviews()
    kinds = registry.groups().get(group_version) if path.startswith("/apis/") else None
    return None if kinds is None else _list(group_version, kinds)


def _groups(registry: Registry) -> Json:
    groups: list[Json] = []
    for group_version in [*registry.groups(), "authorization.k8s.io/v1"]:
        name, _, version = group_version.partition("/")
        offered = {"groupVersion": group_version, "version": version}
        groups.append({"name": name, "versions": [offered], "preferredVersion": offered})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _list(group_version: str, kinds: list[Resource]) -> Json:
    resources: list[Json] = []
    for kind in sorted(kinds, key=lambda each: each.plural):
        resources += _entries(kind)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


def _entries(kind: Resource) -> list[Json]:
    own: Json = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(VERBS),
    }
    if kind.short:
        own["shortNames"] = list(kind.short)
    if kind.group in {"apps", "batch"} or kind.plural in {"pods", "services"}:
        own["categories"] = ["all"]
    entries = [own]
    if kind.scale:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        entries.append(_part(kind, "scale", ["get", "patch", "update"]) | scale)
    if kind.kind not in _WITHOUT_STATUS:
        entries.append(_part(kind, "status", ["get", "patch", "update"]))
    if kind.kind == "Pod":
        for name, (of_kind, verbs) in _POD_PARTS.items():
            entries.append(_part(kind, name.partition("/")[2], verbs) | {"kind": of_kind})
    return entries


def _part(kind: Resource, sub: str, verbs: list[str]) -> Json:
    return {
        "name": f"{kind.plural}/{sub}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs,
    }


def _reviews() -> Json:
    review = {
        "name": "selfsubjectaccessreviews",
        "singularName": "selfsubjectaccessreview",
        "namespaced": False,
        "kind": "SelfSubjectAccessReview",
        "verbs": ["create"],
    }
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "authorization.k8s.io/v1",
        "resources": [review],
    }
