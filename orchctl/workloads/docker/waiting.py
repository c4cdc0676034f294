"""Waiting until a container is up, by listening to its engine.

What an event says is not believed: it only makes us look again, so that an event too many, one
too few or one from before the start does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchctl.errors import OrchctlError, TimedOut, WorkloadFailed
from orchctl.workloads.docker.engine import has_closed
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.listening import Check, Watch, watching
from orchctl.workloads.docker.trouble import not_published, trouble_of, with_last_words

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.health import HealthResult

_SETTLED = 2.0  # seconds that a container without any check must stay up
# A healthy container whose URL is not even connected to for this long never will be.
_SILENCE = 5.0
# Nothing heard for this long: is the engine still there? One that is stopped (SIGSTOP) closes
# nothing, so listening alone would go on for ever.
_HEARTBEAT = 5.0
RETURN = 20.0  # seconds that an engine has to come back


@dataclass(frozen=True)
class Up:
    """A container that came up.

    Attributes:
        container: How it is now.
        answer: What the URL said; None when none was asked.
        seconds: How long that was waited for.
    """

    container: ContainerFacts
    answer: HealthResult | None
    seconds: float


def wait_until_healthy(
    engine: Engine,
    container: str,
    check: Check | None = None,
    *,
    timeout: float,
    watch: Watch | None = None,
    revived: int = 0,
    on_wait: Callable[[str], None] | None = None,
) -> Up:
    """Wait until a container runs, its own health check is good, and a URL answers.

    Without both it must stay up for two seconds.

    Args:
        engine: The engine.
        container: The container's id; it has been started.
        check: The URL; None asks none.
        timeout: Seconds.
        watch: What listens to it since before it was started; None begins now.
        revived: How often its restart policy had revived it before this wait.
        on_wait: Called with what is waited for, whenever that changes.

    Raises:
        WorkloadFailed: `container-ended`, `crash-loop`, `container-unhealthy`, `container-paused`,
            `port-not-published`, `port-silent`; each with its last lines. As Engine does.
        TimedOut: `not-healthy-in-time`.
        UsageError: `bad-url` and others of the check.
    """
    if watch is None:
        with watching(engine, container) as own:
            return _Wait(engine, container, check, own, timeout, revived, on_wait).over()
    return _Wait(engine, container, check, watch, timeout, revived, on_wait).over()


def after_return(engine: Engine, container: str, timeout: float) -> ContainerFacts:
    """How a container is once an engine that closed its connections is back.

    Args:
        engine: The engine.
        container: The container's id.
        timeout: Seconds; more than twenty are not waited.

    Raises:
        WorkloadFailed: `engine-away`: it did not come back.
    """
    until = time.monotonic() + min(RETURN, timeout)
    while True:
        try:
            return look(engine, container)
        except WorkloadFailed as error:
            if not has_closed(error) or time.monotonic() > until:
                raise
        time.sleep(0.25)


class _Wait:
    """One wait: what is known so far, and what it waits for."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        check: Check | None,
        watch: Watch,
        timeout: float,
        revived: int,
        on_wait: Callable[[str], None] | None,
    ) -> None:
        self._engine, self._container, self._check = engine, container, check
        self._watch, self._timeout, self._revived = watch, timeout, revived
        self._tell = on_wait or (lambda text: None)
        self._told = ""
        self._began = time.monotonic()
        self._answer: HealthResult | None = None
        self._healthy_since: float | None = None

    def over(self) -> Up:
        if self._check is not None:
            self._watch.ask(self._check)
        try:
            return self._until_up()
        except WorkloadFailed as error:
            if error.code == "engine-away":
                error.state = error.state or "Whether the container is up is not known"
            raise

    def _until_up(self) -> Up:
        facts = self._looked()
        while True:
            if self._came_up(facts):
                # Once more: what made it look good may be older than its end.
                facts = self._looked()
                if self._came_up(facts):
                    return Up(facts, self._answer, time.monotonic() - self._began)
            self._say(facts)
            left = self._began + self._timeout - time.monotonic()
            if left <= 0:
                raise self._too_late(facts)
            facts = self._heard(facts, min(left, self._until_settled(), _HEARTBEAT))

    def _heard(self, facts: ContainerFacts, most: float) -> ContainerFacts:
        """Wait for a word, at most so many seconds; how things are then."""
        try:
            kind, what = self._watch.heard.get(timeout=most)
        except Empty:
            return self._looked()
        if kind == "lost":
            self._tell("the engine went away; waiting for it to come back")
            after_return(self._engine, self._container, self._timeout)
            self._watch.listen_again()
            return self._looked()
        if kind == "event":
            return self._looked()
        if isinstance(what, OrchctlError):
            raise what
        self._answer = what
        if not what.healthy and what.status is None:
            self._refuse_silence(facts, what)
        return facts

    def _looked(self) -> ContainerFacts:
        try:
            facts = look(self._engine, self._container)
        except WorkloadFailed as error:
            if not has_closed(error):
                raise
            facts = after_return(self._engine, self._container, self._timeout)
        if trouble := trouble_of(facts, self._revived):
            raise with_last_words(self._engine, facts, trouble)
        if facts.state != "running" or facts.health not in (None, "healthy"):
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = time.monotonic()
        return facts

    def _came_up(self, facts: ContainerFacts) -> bool:
        if self._healthy_since is None:
            return False
        if self._check is not None:
            return self._answer is not None and self._answer.healthy
        return facts.health == "healthy" or self._until_settled() <= 0

    def _until_settled(self) -> float:
        if self._check is not None or self._healthy_since is None:
            return _HEARTBEAT
        return max(0.0, self._healthy_since + _SETTLED - time.monotonic())

    def _refuse_silence(self, facts: ContainerFacts, answer: HealthResult) -> None:
        """See that the URL can't ever answer: its port leads nowhere."""
        if facts.state != "running":
            return
        port = not_published(self._engine, facts, answer.url)
        if port is not None:
            shown = ", ".join(map(str, facts.ports)) or "none"
            error = WorkloadFailed(
                f"{facts.name} runs, but port {port} is not published (published: {shown})",
                code="port-not-published",
                hint="Publish it (docker run -p, ports: in the Compose file), or ask another URL "
                "with --health",
            )
            raise with_last_words(self._engine, facts, error)
        since = self._healthy_since
        if facts.health == "healthy" and since and time.monotonic() - since > _SILENCE:
            error = WorkloadFailed(
                f"{facts.name} is healthy, but {answer.url} says: {answer.told}",
                code="port-silent",
                hint="Does the service listen on 0.0.0.0, and on the port that is published?",
            )
            raise with_last_words(self._engine, facts, error)

    def _say(self, facts: ContainerFacts) -> None:
        text = "; ".join(self._waits_for(facts))
        if text != self._told:
            self._told = text
            self._tell(text)

    def _waits_for(self, facts: ContainerFacts) -> Iterator[str]:
        if facts.state == "restarting":
            yield f"{facts.name} ended with exit code {facts.exit_code}; its engine starts it again"
        elif facts.health == "starting":
            # The engine keeps what the check said before the start.
            began = facts.started_at[:19]
            told = [one.told for one in facts.probes if one.at[:19] > began]
            failed = f" (last: {told[-1] or 'no output'})" if told else ""
            yield f"{facts.name}: waiting for its health check{failed}"
        elif self._check is None:
            yield f"{facts.name}: it has no health check; seeing that it stays up"
        if self._check is not None:
            said = self._answer.told if self._answer else "not asked yet"
            yield f"{urlsplit(self._check.url)._replace(query='', fragment='').path}: {said}"

    def _too_late(self, facts: ContainerFacts) -> TimedOut:
        waits = "; ".join(self._waits_for(facts))
        error = TimedOut(
            f"{facts.name} is not up after {self._timeout:g}s: {waits}",
            code="not-healthy-in-time",
            hint="--timeout waits longer; orchctl docker logs -f shows what it does",
        )
        return with_last_words(self._engine, facts, error)
