"""What the server holds: objects, one counter of versions, and every change since the start."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.moments import new_uid, stamp
from tests.kubernetes.fake.refusals import already_exists, expired, not_found
from tests.kubernetes.fake.resources import Json, Resource

Listener = Callable[["Change"], None]

# A server that was just started has already numbered what it needs itself: version 1 is too old.
FIRST_VERSION = 370


@dataclass(frozen=True)
class Change:
    """`before` is the object as it was: a selector may match it no longer."""

    version: int
    kind: str
    resource: Resource
    object: Json
    before: Json | None


class Store:
    """Objects by kind, namespace and name.

    What is held is never changed in place, only replaced: what was handed out stays as it was.
    """

    def __init__(self) -> None:
        self.version = FIRST_VERSION
        self.oldest = FIRST_VERSION
        self.changes: list[Change] = []
        self.listeners: list[Listener] = []
        self._tables: dict[Resource, dict[tuple[str, str], Json]] = {}
        self._written: dict[str, float] = {}
        # The names of events by what they say of whom, to count those that happen again.
        self.told: dict[tuple[str, ...], str] = {}

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, or None; not to be changed by the caller."""
        return self._tables.get(resource, {}).get((namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """A copy of the object that the caller may change; refuses with 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return copied(found)

    def all(self, resource: Resource, namespace: str = "") -> list[Json]:
        """Every object of a kind, in order of namespace and name; not to be changed."""
        table = self._tables.get(resource, {})
        return [table[key] for key in sorted(table) if not namespace or key[0] == namespace]

    def everything(self) -> Iterator[tuple[Resource, Json]]:
        for resource, table in list(self._tables.items()):
            for found in list(table.values()):
                yield resource, found

    def add(self, resource: Resource, body: Json) -> Json:
        """Puts in what is complete but for uid, times and version."""
        meta = body["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        if key in self._tables.get(resource, {}):
            raise already_exists(resource, meta["name"])
        meta = {**meta, "uid": new_uid(), "creationTimestamp": stamp()}
        if resource.generation:
            meta["generation"] = 1
        return self._write("ADDED", resource, {**body, "metadata": meta}, None)

    def replace(self, resource: Resource, body: Json) -> Json:
        """Puts `body` in the place of what has its name; unchanged, no new version is made."""
        meta = body["metadata"]
        before = self.find(resource, meta.get("namespace", ""), meta["name"])
        if before is None:
            raise not_found(resource, meta["name"])
        if _without_version(before) == _without_version(body):
            return before
        return self._write("MODIFIED", resource, body, before)

    def remove(self, resource: Resource, namespace: str, name: str) -> Json:
        before = self.get(resource, namespace, name)
        return self._write("DELETED", resource, before, self.find(resource, namespace, name))

    def written_at(self, body: Json) -> float:
        """The monotonic time of an object's last change; times in objects know no fractions."""
        return self._written.get(body["metadata"]["uid"], 0.0)

    def since(self, version: int) -> list[Change]:
        """Every change after `version`; refuses with 410 when that is forgotten."""
        if version < self.oldest:
            raise expired(version, self.oldest)
        start = len(self.changes)
        while start and self.changes[start - 1].version > version:
            start -= 1
        return self.changes[start:]

    def compact(self) -> None:
        """Forgets all changes, so that every older version is too old to watch from."""
        self.changes.clear()
        self.version += 1
        self.oldest = self.version

    def _write(self, kind: str, resource: Resource, body: Json, before: Json | None) -> Json:
        self.version += 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        held = copied({**body, "metadata": meta})
        table = self._tables.setdefault(resource, {})
        key = (meta.get("namespace", ""), meta["name"])
        if kind == "DELETED":
            table.pop(key, None)
        else:
            table[key] = held
        change = Change(self.version, kind, resource, held, before)
        self.changes.append(change)
        self._written[meta["uid"]] = time.monotonic()
        for listener in list(self.listeners):
            listener(change)
        return held


def _without_version(body: Json) -> Json:
    meta = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": meta}
