"""Who asks, and what they may do: tokens, RBAC objects, and rights taken away for a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.kubernetes.fake.refusals import unauthorized
from tests.kubernetes.fake.resources import (
    BINDINGS,
    CLUSTER_BINDINGS,
    CLUSTER_ROLES,
    ROLES,
    Json,
)
from tests.kubernetes.fake.store import Store

ADMIN = "admin"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class Request:
    """One thing asked for; `resource` with its subresource, as in pods/log."""

    user: str
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True)
class Denial:
    """A right taken away from everybody, or from one user; empty fields and * mean any."""

    verb: str = "*"
    resource: str = "*"
    user: str = "*"
    namespace: str = "*"

    def covers(self, request: Request) -> bool:
        return all(
            mine in {"*", "", theirs}
            for mine, theirs in (
                (self.verb, request.verb),
                (self.resource, request.resource),
                (self.user, request.user),
                (self.namespace, request.namespace),
            )
        )


@dataclass
class Access:
    """Tokens and rights. The admin may do everything that no denial takes away."""

    tokens: dict[str, str] = field(default_factory=lambda: {"admin-token": ADMIN})
    denials: list[Denial] = field(default_factory=list)
    # Plain HTTP: kubectl sends no token over it, so no token means the admin.
    anonymous: str = ADMIN

    def user_of(self, headers: Mapping[str, str]) -> str:
        """The user a request's headers name; refuses unknown tokens with 401.

        The admin may speak for others (Impersonate-User).
        """
        authorization = headers.get("Authorization", "")
        scheme, _, token = authorization.partition(" ")
        user = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if not authorization:
            user = self.anonymous
        if user is None:
            raise unauthorized()
        return headers.get("Impersonate-User", user) if user == ADMIN else user

    def allows(self, store: Store, request: Request) -> bool:
        if any(denial.covers(request) for denial in self.denials):
            return False
        if request.user == ADMIN or request.group == "authorization.k8s.io":
            return True
        return any(_rule_allows(rule, request) for rule in _rules(store, request))


def _rules(store: Store, request: Request) -> list[Json]:
    found: list[Json] = []
    bindings = store.all(CLUSTER_BINDINGS)
    if request.namespace:
        bindings = bindings + store.all(BINDINGS, request.namespace)
    for binding in bindings:
        if any(_is_subject(each, request.user) for each in binding.get("subjects") or []):
            reference = binding["roleRef"]
            in_cluster = reference["kind"] == "ClusterRole"
            role = store.find(
                CLUSTER_ROLES if in_cluster else ROLES,
                "" if in_cluster else binding["metadata"]["namespace"],
                reference["name"],
            )
            found += (role or {}).get("rules") or []
    return found


def _is_subject(subject: Json, user: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user == f"{_ACCOUNT}{subject.get('namespace', '')}:{subject['name']}"
    return subject["kind"] == "User" and subject["name"] == user


def _rule_allows(rule: Json, request: Request) -> bool:
    names = rule.get("resourceNames") or []
    return (
        _lists(rule.get("apiGroups"), request.group)
        and _lists(rule.get("resources"), request.resource)
        and _lists(rule.get("verbs"), request.verb)
        and (not names or request.name in names)
    )


def _lists(values: list[str] | None, wanted: str) -> bool:
    return bool({"*", wanted} & set(values or []))
