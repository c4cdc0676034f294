"""Listening to what happens to a container, and asking a URL beside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from orchctl.errors import OrchctlError
from orchctl.workloads.health import Expectation, Headers, Trust, look_at_health

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine

_PAUSE = 0.15  # seconds between two questions to the URL
_ANSWER = 5.0  # seconds in which the URL must answer


@dataclass(frozen=True)
class Check:
    """A URL that must answer.

    Attributes:
        url: An http or https URL.
        headers: Sent along; their values are shown nowhere.
        expect: What a good answer is.
        trust: Whose certificates are good.
    """

    url: str
    headers: Headers = field(default=(), repr=False)
    expect: Expectation = field(default_factory=Expectation)
    trust: Trust = field(default_factory=Trust)


class Watch:
    """What happens to a container from now on; open it before the container is started.

    Args:
        engine: The engine.
        container: The container's id.

    Attributes:
        heard: What came, with its kind: `event`, `answer` (of the URL), `lost` (the engine).
        exit_codes: Of every end of the container so far.

    Raises:
        WorkloadFailed: As Engine does.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine, self._container = engine, container
        self.exit_codes: list[int] = []
        self.heard: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._over = threading.Event()
        self._listen()

    def _listen(self) -> None:
        self._stream = self._engine.events(self._container)
        threading.Thread(target=self._pass_on, args=(self._stream,), daemon=True).start()

    def listen_again(self) -> None:
        """After the engine was away."""
        self._listen()

    def ask(self, check: Check) -> None:
        """Begin to ask a URL as well."""
        threading.Thread(target=self._ask, args=(check,), daemon=True).start()

    def close(self) -> None:
        """Stop listening and asking."""
        self._over.set()
        # The library shuts the socket down under the thread that reads it; whatever that gives.
        with contextlib.suppress(OSError, AttributeError):
            self._stream.close()

    def _pass_on(self, stream: Any) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        ends = (
            OSError,
            ValueError,
            KeyError,
            AttributeError,
            HTTPError,
            RequestException,
            DockerException,
        )
        with contextlib.suppress(*ends):
            for event in stream:
                if event.get("Action") == "die":
                    self.exit_codes.append(int(event["Actor"]["Attributes"]["exitCode"]))
                self.heard.put(("event", event.get("Action") or event.get("status")))
        if not self._over.is_set():
            self.heard.put(("lost", None))

    def _ask(self, check: Check) -> None:
        while not self._over.is_set():
            try:
                found = look_at_health(
                    check.url, check.headers, check.expect, check.trust, timeout=_ANSWER
                )
            except OrchctlError as error:
                return self.heard.put(("answer", error))
            self.heard.put(("answer", found))
            self._over.wait(_PAUSE)
        return None


@contextlib.contextmanager
def watching(engine: Engine, container: str) -> Iterator[Watch]:
    """A Watch until the end of the block."""
    watch = Watch(engine, container)
    try:
        yield watch
    finally:
        watch.close()
