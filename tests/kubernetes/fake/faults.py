"""Trouble on demand: refusals, delays, dropped connections, answers that never arrive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.kubernetes.fake.refusals import Refused

_WORDS = {
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    502: ("", "Bad Gateway"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "request did not complete within the allotted timeout"),
}


@dataclass
class Fault:
    """What happens to the requests it covers, `times` times (None: until taken away).

    verb: as access knows it (get, list, watch, create, patch, …), path: a regular expression.
    status: answer with it, before anything is done; retry_after: seconds, as a header.
    drop: close the connection instead of asking anything.
    lose_answer: do what was asked, then close the connection without an answer.
    after_events: a watch is cut off after so many events.
    after_bytes: an exec is cut off after so many bytes.
    delay: seconds to wait first. before: called first, in a thread: it may block, to hold a
    request up while a test does something.
    """

    verb: str = "*"
    path: str = ""
    status: int | None = None
    message: str = ""
    retry_after: int | None = None
    drop: bool = False
    lose_answer: bool = False
    after_events: int | None = None
    after_bytes: int | None = None
    delay: float = 0.0
    before: Callable[[], None] | None = None
    times: int | None = 1
    met: int = field(default=0)

    def covers(self, verb: str, path: str) -> bool:
        spent = self.times is not None and self.met >= self.times
        return not spent and self.verb in {"*", verb} and re.search(self.path, path) is not None

    async def prepare(self) -> None:
        """What comes before the trouble: waiting, and whatever the test does meanwhile."""
        if self.before is not None:
            await asyncio.to_thread(self.before)
        await asyncio.sleep(self.delay)

    def refusal(self) -> Refused:
        code = self.status or 500
        reason, message = _WORDS.get(code, ("Unknown", "something went wrong"))
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        details = None if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
        return Refused(code, reason, self.message or message, details, headers)


@dataclass
class Faults:
    """The faults put in, in order: the first that covers a request is met."""

    waiting: list[Fault] = field(default_factory=list)
    # While true every connection is closed at once, as when nobody listens.
    outage: bool = False

    def meet(self, verb: str, path: str) -> Fault | None:
        for fault in self.waiting:
            if fault.covers(verb, path):
                fault.met += 1
                return fault
        return None
