"""What a client asks about itself: what it may do, and a token for an account."""

from __future__ import annotations

from tests.kubernetes.fake.access import Request
from tests.kubernetes.fake.history import Asked
from tests.kubernetes.fake.moments import stamp, suffix
from tests.kubernetes.fake.refusals import bad_request, no_such_path
from tests.kubernetes.fake.resources import ACCOUNTS, Json
from tests.kubernetes.fake.routing import Target
from tests.kubernetes.fake.state import State


def review(state: State, asked: Asked) -> Json:
    """The answer to a SelfSubjectAccessReview; refuses other reviews with 404."""
    if not asked.path.endswith("/selfsubjectaccessreviews"):
        raise no_such_path()
    spec = (asked.body or {}).get("spec") or {}
    attributes = spec.get("resourceAttributes")
    if attributes is None:
        raise bad_request("spec.resourceAttributes is required")
    plural, sub = attributes.get("resource", ""), attributes.get("subresource", "")
    request = Request(
        user=asked.user,
        verb=attributes.get("verb", ""),
        group=attributes.get("group", ""),
        resource=f"{plural}/{sub}" if sub else plural,
        namespace=attributes.get("namespace", ""),
        name=attributes.get("name", ""),
    )
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": {"allowed": state.access.allows(state.store, request)},
    }


def request_token(state: State, target: Target, asked: Asked) -> Json:
    """The answer to a TokenRequest: who bears the token is that service account."""
    account = state.store.get(ACCOUNTS, target.namespace, target.name)
    spec = {"expirationSeconds": 3600, **((asked.body or {}).get("spec") or {})}
    token = f"{target.name}.{suffix(20)}"
    state.access.tokens[token] = f"system:serviceaccount:{target.namespace}:{target.name}"
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account["metadata"]["name"], "namespace": target.namespace},
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": stamp(spec["expirationSeconds"])},
    }
