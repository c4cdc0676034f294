"""ControllerRevisions: the templates a StatefulSet or DaemonSet has had."""

from __future__ import annotations

import json

from tests.kubernetes.fake.controllers.owned import owned, reference
from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.moments import content_hash
from tests.kubernetes.fake.resources import REVISIONS, Json
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, create, delete, mutate

HASH_LABEL = "controller-revision-hash"


def data_of(owner: Json) -> Json:
    """What a revision keeps: a patch that brings the template back."""
    return {"spec": {"template": {"$patch": "replace", **owner["spec"]["template"]}}}


def current(store: Store, owner: Json) -> Json:
    """The revision of the present template; one that was there before gets the next number."""
    data = data_of(owner)
    held = owned(store, REVISIONS, owner)
    last = max((each["revision"] for each in held), default=0)
    for each in held:
        if each["data"] == data:
            if each["revision"] < last:
                each = _renumber(store, each, last + 1)  # noqa: PLW2901
            return each
    return _create(store, owner, data, last + 1)


def _renumber(store: Store, revision: Json, number: int) -> Json:
    def change(body: Json) -> None:
        body["revision"] = number

    meta = revision["metadata"]
    return mutate(store, REVISIONS, meta["namespace"], meta["name"], change) or revision


def _create(store: Store, owner: Json, data: Json, number: int) -> Json:
    meta = owner["metadata"]
    digest = content_hash(meta["uid"] + json.dumps(data, sort_keys=True))
    label = "controller.kubernetes.io/hash"
    if owner["kind"] == "DaemonSet":
        label = HASH_LABEL
    body = {
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": {**(owner["spec"]["selector"].get("matchLabels") or {}), label: digest},
            "ownerReferences": [reference(owner)],
        },
        "data": copied(data),
        "revision": number,
    }
    return create(store, REVISIONS, body)


def forget(store: Store, owner: Json, used: set[str]) -> None:
    """Those beyond revisionHistoryLimit go, except those in use."""
    held = sorted(owned(store, REVISIONS, owner), key=lambda each: each["revision"])
    idle = [each for each in held if each["metadata"]["name"] not in used]
    excess = len(idle) - owner["spec"]["revisionHistoryLimit"]
    for each in idle[: max(0, excess)]:
        meta = each["metadata"]
        delete(store, REVISIONS, meta["namespace"], meta["name"], DeleteOptions())
