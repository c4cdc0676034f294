"""Watches: collections of objects kept up to date by one connection each, never by polling.

What a watch is: list, then watch from that version on; when the connection ends, go on from the
last version seen; when that is too old (410), list again.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError
from orchctl.workloads.kubernetes.client import Away, selecting
from orchctl.workloads.kubernetes.refusal import Refused, read_refusal, translated

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.kinds import Kind, Object

# Servers send a bookmark a minute; a connection without a word for longer is lost. The server is
# asked to end the watch before that, so that silence never is the usual end.
_WATCHED, _SILENCE = 50, 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


@dataclass(frozen=True)
class Source:
    """A collection to watch.

    Attributes:
        kind: Of its objects.
        labels: Label selector.
        fields: Field selector.
        optional: Whether to do without it where it may not be read.
    """

    kind: Kind
    labels: str = ""
    fields: str = ""
    optional: bool = False


@dataclass(frozen=True)
class _News:
    source: int
    objects: tuple[Object, ...] = ()
    gone: tuple[Object, ...] = ()
    afresh: bool = False
    error: OrchctlError | None = None


class Picture:
    """Collections as they are now; `update` waits for news.

    Attributes:
        objects: For each source its objects by uid.
        gone: For each source those that were deleted meanwhile, as they were last.
    """

    def __init__(self, cluster: Cluster, sources: Sequence[Source]) -> None:
        self.objects: list[dict[str, Object]] = [{} for _ in sources]
        self.gone: list[dict[str, Object]] = [{} for _ in sources]
        self._news: SimpleQueue[_News] = SimpleQueue()
        self._ended = threading.Event()
        self._cluster = cluster
        self._threads = [
            _Follower(cluster, one, number, self) for number, one in enumerate(sources)
        ]

    def begin(self) -> None:
        """List every source, then watch it; raises as Cluster does."""
        for one in self._threads:
            self.take(one.listed())
            one.start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether nobody looks any more."""
        return self._ended.is_set()

    def tell(self, news: _News) -> None:
        """Hand in news, from another thread."""
        self._news.put(news)

    def update(self, timeout: float) -> bool:
        """Wait until something changes, and take in all that has; False when nothing did.

        Raises:
            OrchctlError: A source can't be watched any more.
        """
        try:
            self.take(self._news.get(timeout=max(timeout, 0.0)))
            while not self._news.empty():
                self.take(self._news.get())
        except Empty:
            return False
        return True

    def take(self, news: _News) -> None:
        """Take in one piece of news."""
        if news.error is not None:
            raise news.error
        known = self.objects[news.source]
        if news.afresh:
            known.clear()
        for one in news.objects:
            known[one["metadata"]["uid"]] = one
        for one in news.gone:
            known.pop(one["metadata"]["uid"], None)
            self.gone[news.source][one["metadata"]["uid"]] = one


@contextmanager
def picture(cluster: Cluster, *sources: Source) -> Iterator[Picture]:
    """Collections kept up to date until the end of the block.

    Raises:
        OrchctlError: As Cluster does.
    """
    kept = Picture(cluster, sources)
    try:
        kept.begin()
        yield kept
    finally:
        kept.end()


class _Follower(threading.Thread):
    """Follows one source; what it learns it hands to the picture."""

    def __init__(self, cluster: Cluster, source: Source, number: int, kept: Picture) -> None:
        super().__init__(name=f"watch-{source.kind.plural}", daemon=True)
        self._cluster, self._source, self._number, self._kept = cluster, source, number, kept
        self._version = ""

    def listed(self) -> _News:
        source = self._source
        try:
            found, self._version = self._cluster.every(source.kind, source.labels, source.fields)
        except OrchctlError as error:
            if source.optional and error.code == "no-rights":
                self._version = ""
                return _News(self._number)
            raise
        return _News(self._number, tuple(found), afresh=True)

    def run(self) -> None:
        if not self._version:
            return None  # not allowed, and not needed
        pause = _FIRST_PAUSE
        while not self._kept.ended:
            began = time.monotonic()
            try:
                self._watch()
            except OrchctlError as error:
                if self._source.optional and error.code == "no-rights":
                    return None  # it may be listed, but not watched
                return self._kept.tell(_News(self._number, error=error))
            # One that ends at once must not become polling.
            pause = _FIRST_PAUSE if time.monotonic() - began > 1 else min(pause * 2, _LONGEST_PAUSE)
            time.sleep(pause)
        return None

    def _watch(self) -> None:
        source = self._source
        query = {
            **selecting(source.labels, source.fields),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(_WATCHED),
        }
        path = source.kind.path(self._cluster.namespace)
        try:
            with self._cluster.stream(path, query, _SILENCE) as lines:
                for line in lines:
                    if self._kept.ended or not self._heard(line):
                        return
        except Refused as error:
            self._refused(error)
        except Away as error:
            if time.monotonic() >= self._cluster.gives_up_at():
                raise self._cluster.away(error) from error

    def _heard(self, line: bytes) -> bool:
        """Take in a line; False when the watch is over."""
        try:
            event = json.loads(line)
        except ValueError:
            return False  # cut off in the middle: told again from the last version
        thing = event["object"]
        if event["type"] == "ERROR":
            raw = json.dumps(thing).encode()
            self._refused(Refused(read_refusal(int(thing.get("code", 500)), raw)))
            return False
        self._version = thing["metadata"]["resourceVersion"]
        if event["type"] == "DELETED":
            self._kept.tell(_News(self._number, gone=(thing,)))
        elif event["type"] != "BOOKMARK":
            self._kept.tell(_News(self._number, (thing,)))
        return True

    def _refused(self, error: Refused) -> None:
        refusal = error.refusal
        if refusal.status == 410:
            return self._kept.tell(self.listed())
        if refusal.transient and time.monotonic() < self._cluster.gives_up_at():
            return None
        raise translated(refusal, self._cluster.connection.host) from error
