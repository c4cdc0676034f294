"""What a container prints: line by line, as it comes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orchctl.config import masked_url
from orchctl.errors import TimedOut, WorkloadFailed
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.listening import watching
from orchctl.workloads.docker.trouble import trouble_of, with_last_words

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

# Lines that were printed just before a container became healthy may arrive just after the event.
_LATE = 0.3
_UNTOLD = 60.0  # seconds of a start that are shown when its end isn't known any more
_BEFORE = 1.0  # seconds that a process may have run before the engine notes its start
_HEARTBEAT = 5.0  # seconds of silence after which the container is looked at


def lines_of(
    engine: Engine,
    container: str,
    *,
    since: float | None = None,
    until: float | None = None,
    tail: int | None = None,
    follow: bool = False,
) -> Iterator[str]:
    """The lines of a container's output, passwords in URLs masked.

    Args:
        engine: The engine.
        container: Its id.
        since: Unix time from which on; None means from the beginning.
        until: Unix time up to which; None means now.
        tail: Only the last so many of those that are there; None means all.
        follow: Go on with what comes, until the container ends.

    Raises:
        WorkloadFailed: As Engine does.
    """
    stream = engine.output(container, since=since, until=until, tail=tail, follow=follow)
    rest = b""
    for chunk in _engine_away_told(engine, stream):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _text(line)
    if rest:
        yield _text(rest)


def lines_until(
    engine: Engine,
    facts: ContainerFacts,
    *,
    since: float | None,
    tail: int | None,
    timeout: float | None,
) -> Iterator[str]:
    """The lines that are there and that come, until the container ends.

    Args:
        engine: The engine.
        facts: The container.
        since: As `lines_of` says.
        tail: Likewise.
        timeout: Seconds; None means without end.

    Raises:
        TimedOut: `log-timeout`.
        WorkloadFailed: As Engine does.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    heard: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    _listen(engine, facts, heard, since=since, tail=tail)
    while True:
        left = _HEARTBEAT if deadline is None else min(deadline - time.monotonic(), _HEARTBEAT)
        try:
            kind, what = heard.get(timeout=max(0.0, left))
        except Empty:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut(
                    f"{facts.name} did not print it within {timeout:g}s", code="log-timeout"
                ) from None
            look(engine, facts.id)  # an engine that is stopped closes nothing
            continue
        if kind == "end":
            return
        if kind == "error":
            raise what
        yield what


def lines_of_start(engine: Engine, facts: ContainerFacts, *, timeout: float) -> Iterator[str]:
    """The lines since a container's last start, until it is healthy.

    One without a health check, or whose engine has forgotten when it became healthy, shows the
    first minute.

    Raises:
        WorkloadFailed: It ended, or is unhealthy (the codes of `wait_until_healthy`).
        TimedOut: `log-timeout`: it is not healthy in time.
    """
    since = _start_of_output(facts)
    if trouble := trouble_of(facts, facts.restarts):
        yield from lines_of(engine, facts.id, since=since)
        raise with_last_words(engine, facts, trouble)
    if facts.health == "starting":
        yield from _until_healthy(engine, facts, since, timeout)
        return
    healthy_at = _healthy_at(engine, facts)
    until = healthy_at or unix_time(facts.started_at) + _UNTOLD
    yield from lines_of(engine, facts.id, since=since, until=until)


def unix_time(text: str) -> float:
    """The engine's time (ISO 8601, UTC, nanoseconds) in seconds since 1970; 0 for none."""
    if not text:
        return 0.0
    whole, _, fraction = text.rstrip("Z").partition(".")
    began = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return began.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _start_of_output(facts: ContainerFacts) -> float:
    """When its last run may have printed its first line.

    The engine notes the start when it has seen the process run, which may have printed by then. The
    end of the run before is a better mark, where that is known: while it runs.
    """
    if facts.running:
        return unix_time(facts.finished_at)
    return max(0.0, unix_time(facts.started_at) - _BEFORE)


def _until_healthy(
    engine: Engine, facts: ContainerFacts, since: float, timeout: float
) -> Iterator[str]:
    deadline = time.monotonic() + timeout
    with watching(engine, facts.id) as watch:
        _listen(engine, facts, watch.heard, since=since, tail=None)
        while True:
            left = min(deadline - time.monotonic(), _HEARTBEAT)
            with contextlib.suppress(Empty):
                kind, what = watch.heard.get(timeout=max(0.0, left))
                if kind == "line":
                    yield what
                    continue
            now = look(engine, facts.id)
            if now.health == "healthy" or (trouble := trouble_of(now, facts.restarts)):
                break
            if time.monotonic() >= deadline:
                raise TimedOut(
                    f"{facts.name} is not healthy after {timeout:g}s", code="log-timeout"
                )
        yield from _late(watch.heard)
    if now.health != "healthy" and trouble:
        raise with_last_words(engine, now, trouble)


def _late(heard: SimpleQueue[Any]) -> Iterator[str]:
    # A deadline of its own: health checks go on, and each of them is heard of.
    deadline = time.monotonic() + _LATE
    with contextlib.suppress(Empty):
        while (left := deadline - time.monotonic()) > 0:
            kind, what = heard.get(timeout=left)
            if kind == "line":
                yield what


def _listen(
    engine: Engine,
    facts: ContainerFacts,
    heard: SimpleQueue[Any],
    *,
    since: float | None,
    tail: int | None,
) -> None:
    def pass_on() -> None:
        try:
            for line in lines_of(engine, facts.id, since=since, tail=tail, follow=True):
                heard.put(("line", line))
        except WorkloadFailed as error:
            heard.put(("error", error))
        heard.put(("end", None))

    threading.Thread(target=pass_on, daemon=True).start()


def _healthy_at(engine: Engine, facts: ContainerFacts) -> float | None:
    """When it first was healthy after its start, if the engine still knows."""
    if facts.health is None:
        return None
    began = unix_time(facts.started_at)
    for event in engine.past_events(facts.id, began):
        at = float(event["timeNano"]) / 1e9
        if event.get("Action") == "health_status: healthy" and at > began:
            return at
    return None


def _engine_away_told(engine: Engine, stream: Any) -> Iterator[bytes]:
    from orchctl.workloads.docker.engine import translated

    with translated(engine.address):
        yield from stream


def _text(line: bytes) -> str:
    return masked_url(line.decode(errors="replace").rstrip("\r"))
