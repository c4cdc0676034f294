"""What the API server's refusals mean: one line, an exit code, what to type next. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from orchctl.config import masked_url
from orchctl.errors import ConfigurationError, OrchctlError, WorkloadFailed

# "…: User "viewer" cannot patch resource "deployments" in API group "apps" in the namespace "rec""
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r' in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Refusal:
    """An answer that is none.

    Attributes:
        status: The HTTP status.
        reason: The API's own word: `NotFound`, `Conflict`, `Expired` …
        message: Its sentence.
        body: The whole Status object; empty when it was none.
        retry_after: Seconds the server asks to be left alone; None when it does not say.
    """

    status: int
    reason: str
    message: str
    body: dict[str, Any]
    retry_after: float | None = None

    @property
    def transient(self) -> bool:
        """Whether the same request may well be answered a moment later."""
        return self.status in _TRANSIENT


def read_refusal(status: int, raw: bytes, retry_after: str | None = None) -> Refusal:
    """Read the answer to a request that was not fulfilled."""
    text = raw.decode(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):  # from a proxy in between, perhaps
        body, message = {}, " ".join(text.split())[:200]
    else:
        message = " ".join(str(body.get("message", "")).split())
    after = retry_after or (body.get("details") or {}).get("retryAfterSeconds")
    try:
        seconds = None if after is None else float(after)
    except (TypeError, ValueError):
        seconds = None
    return Refusal(status, str(body.get("reason") or ""), masked_url(message), body, seconds)


class Refused(Exception):
    """The API server said no; `translated` makes orchctl's error of it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def translated(refusal: Refusal, host: str) -> OrchctlError:
    """The error for a person, and for a script its code.

    Args:
        refusal: What the server answered.
        host: Its URL.
    """
    told = refusal.message or f"HTTP status {refusal.status}"
    details = {"status": refusal.status, "reason": refusal.reason or None}
    match refusal.status:
        case 401:
            return ConfigurationError(
                f"The cluster at {host} does not accept the credentials (401 Unauthorized)",
                code="cluster-credentials",
                hint="They may have run out: sign in again; kubectl auth whoami asks the same",
                details=details,
            )
        case 403:
            return _without_rights(told, details)
        case 404:
            return WorkloadFailed(
                f"The cluster says: {told}",
                code="no-such-object",
                hint="kubectl get statefulsets,deployments,daemonsets,pods -A lists what there is",
                details=details,
            )
        case 409:
            return WorkloadFailed(
                f"Somebody else changed it meanwhile: {told}",
                code="cluster-conflict",
                hint="Look at what it is now (orchctl k8s status), then type the command again",
                details=details,
            )
    if refusal.transient:
        return _away(refusal, told, host, details)
    return WorkloadFailed(
        f"The cluster refused: {told}",
        code="cluster-refused",
        hint=_causes(refusal.body),
        details=details,
    )


def _away(refusal: Refusal, told: str, host: str, details: dict[str, Any]) -> WorkloadFailed:
    busy = refusal.status == 429
    return WorkloadFailed(
        f"The cluster at {host} {'takes no more requests now' if busy else 'is in trouble'}: "
        f"{told} ({refusal.status})",
        code="cluster-busy" if busy else "cluster-trouble",
        hint="It was asked again and again; a longer --timeout asks longer",
        details=details,
    )


def _without_rights(told: str, details: dict[str, Any]) -> WorkloadFailed:
    found = _FORBIDDEN.search(told)
    if found is None:
        return WorkloadFailed(
            f"The cluster does not allow it: {told}",
            code="no-rights",
            hint="kubectl auth can-i --list shows what is allowed",
            details=details,
        )
    user, verb, resource = found["user"], found["verb"], found["resource"]
    group, namespace = found["group"], found["namespace"]
    full = f"{resource}.{group}" if group else resource
    where = f" in namespace {namespace}" if namespace else ""
    return WorkloadFailed(
        f"{user} may not {verb} {full}{where} (403 Forbidden)",
        code="no-rights",
        hint=grant(user, (verb,), as_kubectl_names(resource, group), namespace),
        details={
            **details,
            "user": user,
            "verb": verb,
            "resource": full,
            "namespace": namespace,
            "role": role((verb,), resource, group, namespace),
        },
    )


def role(verbs: tuple[str, ...], resource: str, group: str, namespace: str | None) -> Any:
    """The Role (without a namespace the ClusterRole) that allows the verbs."""
    name = f"orchctl-{resource.replace('/', '-')}"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": [{"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}],
    }


def as_kubectl_names(resource: str, group: str) -> str:
    """A resource as `kubectl create role --resource` reads it: statefulsets.apps/scale."""
    plural, slash, sub = resource.partition("/")
    return f"{plural}.{group}{slash}{sub}" if group else resource


def grant(user: str, verbs: tuple[str, ...], resource: str, namespace: str | None) -> str:
    """The two commands that give a user these verbs on a resource."""
    name = "orchctl-" + "-".join(verbs) + "-" + re.sub(r"[./]", "-", resource)
    kind = "" if namespace else "cluster"
    within = f" -n {namespace}" if namespace else ""
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    who = f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={user}"
    return (
        f"Somebody who may: kubectl create {kind}role {name} --verb={','.join(verbs)} "
        f"--resource={resource}{within} && kubectl create {kind}rolebinding {name} "
        f"--{kind}role={name} {who}{within}"
    )


def _causes(body: dict[str, Any]) -> str | None:
    causes = (body.get("details") or {}).get("causes") or ()
    fields = [str(one["field"]) for one in causes if one.get("field")]
    return f"The field to correct: {', '.join(fields)}" if fields else None
