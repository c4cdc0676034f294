"""From a request's method, path and query to what it asks for."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kubernetes.fake.resources import NAMESPACES, Registry, Resource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# Under a namespace these are the namespace's own, not kinds of object.
_OF_NAMESPACE = {"status", "finalize"}


@dataclass(frozen=True)
class Target:
    """What a path names; `sub` is the subresource: status, scale, log, exec, eviction."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def plural(self) -> str:
        return f"{self.resource.plural}/{self.sub}" if self.sub else self.resource.plural


def find_target(registry: Registry, path: str) -> Target | None:
    """The target of a path, or None where there is no such kind."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    if group == "" and rest[0] == "namespaces":
        return _target(NAMESPACES, "", rest)
    resource = registry.find(group, version, rest[0])
    if resource is None or (namespace and not resource.namespaced):
        return None
    return _target(resource, namespace, rest)


def _target(resource: Resource, namespace: str, rest: list[str]) -> Target | None:
    if len(rest) > 3:
        return None
    name, sub = [*rest[1:], "", ""][:2]
    return Target(resource, namespace, name, sub)


def verb_of(method: str, target: Target, query: dict[str, str]) -> str:
    """The verb as access rules know it."""
    if method == "GET":
        if target.name:
            return "get"
        return "watch" if query.get("watch") in {"true", "1"} else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _VERBS.get(method, method.lower())
