"""What a container prints, heard until it ends; the engine may go away meanwhile.

A stream says nothing of an engine that stands still (SIGSTOP closes no connection), and ends when
one is started anew, which may or may not take the container with it. So the stream is read by a
thread, and where it is silent or over the engine is asked how the container is.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orchctl.config import masked_url
from orchctl.errors import WorkloadFailed
from orchctl.workloads.docker.engine import has_closed
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.waiting import RETURN, after_return

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

_HEARTBEAT = 5.0  # seconds of silence after which the engine is asked
_SIGNALLED = 128  # exit codes from here on are ends by a signal


@dataclass(frozen=True)
class Ran:
    """A command that ended: its exit code, and what it printed on stdout."""

    exit_code: int
    stdout: str


class Attached:
    """A connection to what a container prints; open it before the container is started.

    Args:
        engine: The engine.
        container: The container's id.
        tell: Called with every line that it prints on stderr.
        begun: It was started before: what it has printed since is heard, too.

    Raises:
        WorkloadFailed: As Engine does.
    """

    def __init__(
        self,
        engine: Engine,
        container: str,
        tell: Callable[[str], None],
        *,
        begun: bool = False,
    ) -> None:
        self._engine, self._container = engine, container
        self._out, self._lines = _Printed(), _Lines(tell)
        self._lost = False
        self._attach(begun=begun)

    def until_end(self) -> Ran:
        """Listen until the container has ended; an engine that is started anew is waited for.

        Raises:
            WorkloadFailed: `engine-away`: it stands still, did not come back, or has ended the
                container with itself; else as Engine does.
        """
        while True:
            over = self._heard_all()
            facts = self._looked()
            if facts.running:
                if over:  # its engine was started anew, and left it alone
                    self._attach(begun=True)
                continue
            if self._lost or not over:
                self._read_all()
            self._lines.close()
            if self._lost and facts.exit_code >= _SIGNALLED:
                raise _ended_with_engine(facts)
            return Ran(facts.exit_code, self._out.text.decode(errors="replace"))

    def _attach(self, *, begun: bool) -> None:
        self._heard: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        stream = self._printed(stream=True, logs=begun)
        if stream is not None:
            threading.Thread(target=_pass_on, args=(stream, self._heard), daemon=True).start()

    def _read_all(self) -> None:
        """Read what it has printed: between the log and the stream of a second look some is lost.

        No stream is asked for: that of a container which has ended may neither begin nor end.
        """
        printed = self._printed(stream=False, logs=True)
        if printed is not None:
            self._out.text = max(self._out.text, bytearray(printed[0] or b""), key=len)
            self._lines.add(printed[1] or b"")

    def _printed(self, *, stream: bool, logs: bool) -> Any:
        """What it prints, or has; None where its log can't be read, but for its end."""
        self._out.again()
        self._lines.again()
        words = {"stdout": True, "stderr": True, "stream": stream, "logs": logs, "demux": True}
        try:
            return self._engine.ask(self._engine.api.attach, self._container, **words)
        except WorkloadFailed as error:
            if not logs or error.code != "engine-refused":
                raise
            return None

    def _heard_all(self) -> bool:
        """Take in what comes; False where nothing came for a while."""
        while True:
            try:
                piece = self._heard.get(timeout=_HEARTBEAT)
            except Empty:
                return False
            if piece is None:
                return True
            self._out.add(piece[0])
            self._lines.add(piece[1])

    def _looked(self) -> ContainerFacts:
        """How it is, once its engine is there again."""
        try:
            return look(self._engine, self._container)
        except WorkloadFailed as error:
            if not has_closed(error):
                raise
            self._lost = True
            return after_return(self._engine, self._container, RETURN)


@dataclass
class _Printed:
    """What came of one stream; attached again, it comes from the beginning."""

    text: bytearray = field(default_factory=bytearray)
    skip: int = 0

    def again(self) -> None:
        self.skip = len(self.text)

    def add(self, piece: bytes) -> bytes:
        """The part of a piece that is new."""
        new = piece[self.skip :]
        self.skip = max(0, self.skip - len(piece))
        self.text += new
        return new


class _Lines:
    """What came on stderr, told line by line."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._printed, self._rest = tell, _Printed(), b""

    def again(self) -> None:
        self._printed.again()

    def add(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + self._printed.add(piece)).split(b"\n")
        for line in lines:
            self._say(line)

    def close(self) -> None:
        self._say(self._rest)
        self._rest = b""

    def _say(self, line: bytes) -> None:
        if line.strip():
            self._tell(masked_url(line.decode(errors="replace").rstrip()))


def _pass_on(stream: Any, heard: SimpleQueue[tuple[bytes, bytes] | None]) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    with contextlib.suppress(RequestException, HTTPError, DockerException, OSError, ValueError):
        for stdout, stderr in stream:
            heard.put((stdout or b"", stderr or b""))
    heard.put(None)


def _ended_with_engine(facts: ContainerFacts) -> WorkloadFailed:
    return WorkloadFailed(
        f"The Docker engine was started anew, and {facts.name} ended with it "
        f"(exit code {facts.exit_code})",
        code="engine-away",
        hint="Once more, when the engine stays up",
    )
