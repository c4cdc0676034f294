"""Lists: selectors, pages, versions."""

from __future__ import annotations

import base64
import json

from tests.kubernetes.fake.refusals import bad_request, expired_continue, too_large_version
from tests.kubernetes.fake.resources import Json, Resource
from tests.kubernetes.fake.routing import Target
from tests.kubernetes.fake.selectors import fields_match, labels_match
from tests.kubernetes.fake.store import Store

Query = dict[str, str]


def matches(resource: Resource, body: Json, query: Query) -> bool:
    """Whether an object is among those the query's selectors select."""
    labels = body["metadata"].get("labels") or {}
    return labels_match(query.get("labelSelector", ""), labels) and fields_match(
        query.get("fieldSelector", ""), resource, body
    )


def list_objects(store: Store, target: Target, query: Query) -> Json:
    """The list a GET answers with, one page of it when a limit is given."""
    version = check_version(store, query)
    selected = [
        each
        for each in store.all(target.resource, target.namespace)
        if matches(target.resource, each, query)
    ]
    meta: Json = {"resourceVersion": version}
    if token := query.get("continue"):
        after, version = _decode(store, token)
        meta["resourceVersion"] = version
        selected = [each for each in selected if _key(each) > after]
    limit = int(query.get("limit") or 0)
    if limit and len(selected) > limit:
        left, selected = len(selected) - limit, selected[:limit]
        meta["continue"] = _encode(_key(selected[-1]), meta["resourceVersion"])
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = left
    return list_body(target.resource, meta, selected)


def list_body(resource: Resource, meta: Json, items: list[Json]) -> Json:
    """A list; its items carry no kind of their own."""
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": meta,
        "items": [
            {key: value for key, value in item.items() if key not in {"kind", "apiVersion"}}
            if not resource.custom
            else item
            for item in items
        ],
    }


def check_version(store: Store, query: Query) -> str:
    """The version a list has; refuses with 504 to answer for a version that is yet to come."""
    given = query.get("resourceVersion") or "0"
    if not given.isdigit():
        raise bad_request(f'Invalid value: "{given}": strconv.ParseUint: invalid syntax')
    if int(given) > store.version:
        raise too_large_version(int(given), store.version)
    return str(store.version)


def _key(body: Json) -> list[str]:
    return [body["metadata"].get("namespace", ""), body["metadata"]["name"]]


def _encode(after: list[str], version: str) -> str:
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": int(version), "start": after})
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _decode(store: Store, token: str) -> tuple[list[str], str]:
    try:
        held = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError as error:
        raise bad_request("continue key is not valid: invalid format") from error
    if held["rv"] < store.oldest:
        raise expired_continue()
    return held["start"], str(held["rv"])
