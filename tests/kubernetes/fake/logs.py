"""What containers wrote, by pod, container and start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.kubernetes.fake.moments import micro_stamp


@dataclass(frozen=True)
class Line:
    at: float
    stamp: str
    text: str


@dataclass
class Output:
    """One container's output from one start to its end."""

    lines: list[Line] = field(default_factory=list)
    ended: bool = False
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, text: str) -> None:
        for line in text.splitlines():
            self.lines.append(Line(time.time(), micro_stamp(), line))
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def read(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """The lines asked for; with `follow` also those to come, until the container ends."""
        lines = self.lines
        if wanted.since_seconds is not None:
            oldest = time.time() - wanted.since_seconds
            lines = [line for line in lines if line.at >= oldest]
        if wanted.tail is not None:
            lines = lines[len(lines) - min(wanted.tail, len(lines)) :]
        position = len(self.lines)
        for line in lines:
            yield _encode(line, wanted)
        while wanted.follow:
            more = self._more
            fresh, position = self.lines[position:], len(self.lines)
            for line in fresh:
                yield _encode(line, wanted)
            if position == len(self.lines):
                if self.ended:
                    return
                await more.wait()


@dataclass(frozen=True)
class Wanted:
    """The parameters of a log request."""

    follow: bool = False
    tail: int | None = None
    since_seconds: float | None = None
    timestamps: bool = False


def _encode(line: Line, wanted: Wanted) -> bytes:
    prefix = f"{line.stamp} " if wanted.timestamps else ""
    return f"{prefix}{line.text}\n".encode()


@dataclass
class Logs:
    """Outputs by pod uid and container, one for each start, the oldest first."""

    outputs: dict[tuple[str, str], list[Output]] = field(default_factory=dict)

    def begin(self, uid: str, container: str) -> Output:
        output = Output()
        self.outputs.setdefault((uid, container), []).append(output)
        return output

    def of(self, uid: str, container: str) -> list[Output]:
        return self.outputs.get((uid, container), [])
