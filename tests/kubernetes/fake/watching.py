"""Watches: changes as they happen, one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from tests.kubernetes.fake.reading import Query, matches
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import Json
from tests.kubernetes.fake.routing import Target
from tests.kubernetes.fake.store import Change, Store

# The real server sends a bookmark about once a minute; here it is once a second without changes.
BOOKMARK_EVERY = 1.0
_FOREVER = 1800


async def watch(store: Store, target: Target, query: Query) -> AsyncIterator[bytes]:
    """The events of a watch until its timeout; a version that is too old is its only event."""
    deadline = time.monotonic() + int(query.get("timeoutSeconds") or _FOREVER)
    # Listening begins before the first look, so nothing falls in between.
    queue: asyncio.Queue[Change] = asyncio.Queue()
    store.listeners.append(queue.put_nowait)
    try:
        try:
            begun = _beginning(store, target, query)
        except Refused as refusal:
            yield _line("ERROR", refusal.body)
            return
        for event in begun:
            yield event
        async for event in _following(store, queue, (target, query), deadline):
            yield event
    finally:
        store.listeners.remove(queue.put_nowait)


def _beginning(store: Store, target: Target, query: Query) -> list[bytes]:
    """What has already happened: all objects as added, or the changes since a version."""
    version = query.get("resourceVersion") or "0"
    initial = query.get("sendInitialEvents") == "true"
    if version == "0" or initial:
        held = store.all(target.resource, target.namespace)
        chosen = [each for each in held if matches(target.resource, each, query)]
        events = [_line("ADDED", each) for each in chosen]
        if initial:
            events.append(_bookmark(target, store.version, ended=True))
        return events
    return [
        line
        for change in store.since(int(version))
        if (line := _event(change, target, query)) is not None
    ]


async def _following(
    store: Store, queue: asyncio.Queue[Change], asked: tuple[Target, Query], deadline: float
) -> AsyncIterator[bytes]:
    target, query = asked
    bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
    while (left := deadline - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(min(left, BOOKMARK_EVERY)):
                change = await queue.get()
        except TimeoutError:
            if bookmarks:
                yield _bookmark(target, store.version)
            continue
        line = _event(change, target, query)
        if line is not None:
            yield line


def _event(change: Change, target: Target, query: Query) -> bytes | None:
    """The change as this watch sees it: what no longer matches is deleted for it."""
    if change.resource is not target.resource:
        return None
    if target.namespace and change.object["metadata"].get("namespace") != target.namespace:
        return None
    now = matches(target.resource, change.object, query)
    before = change.before is not None and matches(target.resource, change.before, query)
    if change.kind == "DELETED":
        return _line("DELETED", change.object) if now or before else None
    if now:
        return _line("MODIFIED" if before else "ADDED", change.object)
    return _line("DELETED", change.object) if before else None


def _line(kind: str, body: Json) -> bytes:
    return json.dumps({"type": kind, "object": body}, separators=(",", ":")).encode() + b"\n"


def _bookmark(target: Target, version: int, *, ended: bool = False) -> bytes:
    meta: Json = {"resourceVersion": str(version)}
    if ended:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = target.resource
    body: Json = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    if resource.kind == "Pod":
        # A bookmark is an empty object of its kind, with what the kind cannot leave out.
        body |= {"spec": {"containers": None}, "status": {}}
    return _line("BOOKMARK", body)
