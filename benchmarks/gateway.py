"""What a gateway in between costs, and whether it holds: latency, log rows, memory.

Everything is on loopback and on the same processors: load generator, gateway and provider. So the
provider takes a time that a real one takes, and what is asked at once is far from what the machine
can do; how much that is at most is measured as well.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Flat, Kept, Latency, Options, Report
from benchmarks.gateway_service import KEY, Service, gateway, litellm, litellm_version, provider
from benchmarks.load import Answers, Asked, closed, paced

# What the provider takes for an answer; as a stream, two fifths of it to the first part.
_SECONDS = 0.5
_P50, _P99 = 5.0, 50.0
_RATE, _RATE_SECONDS = 200, 60
_REQUESTS = 50_000
_GROWTH = 1.1
_OURS = "orchestrator"


@contextlib.contextmanager
def _ours(folder: Path, upstream: int) -> Iterator[Service]:
    with gateway(folder, upstream) as (service, _):
        yield service


# By name, ours first.
_GATEWAYS = {_OURS: _ours, "LiteLLM": litellm}


def run(options: Options) -> Report:
    """Measure all of it."""
    figures: list[Figure] = []
    notes: list[str] = []
    # One after the other: what a gateway still does when it is no longer asked slows the next one.
    with provider(_SECONDS) as slow, provider(0) as fast:
        for name, start in _GATEWAYS.items():
            with start(options.folder / "slow" / name, slow) as service:
                for callers in (50, 500):
                    for stream in (False, True):
                        figures += _added(name, service, slow, callers, stream, options)
                notes.append(_paced_note(name, service, slow, options))
        with gateway(options.folder / "fast", fast) as (ours, database):
            figures.append(_kept(ours, database, options))
            figures.append(_flat(ours, options))
        notes.append(_most_note(fast, options))
    return Report(
        "gateway",
        "The service under load",
        "Chats through the gateway against chats sent to the provider directly, in turn in one "
        "run, one gateway after the other; load generator, gateway and provider share the "
        "processors. The provider is a process on loopback that answers after "
        f"{_SECONDS:g} s (a stream: twenty parts, the first "
        f"after {_SECONDS * 0.4:g} s). So many callers at once, each asks again as soon as it is "
        "answered; times are to the last byte, in a stream also to the first. "
        f"LiteLLM's proxy ({litellm_version()}, one worker, no database) stands in the same place.",
        tuple(figures),
        tuple(notes),
        ("case", "measured", "against", "more, or ratio", "bound"),
    )


def _added(
    name: str, service: Service, upstream: int, callers: int, stream: bool, options: Options
) -> Iterator[Figure]:
    """Latency through a gateway against none, at so many callers."""
    requests = _requests(name, options)
    direct = _sound(closed(Asked(upstream, stream), callers, requests))
    through = _sound(closed(Asked(service.port, stream, KEY), callers, requests))
    bounds = (_P50, _P99) if callers == 50 and name == _OURS else None
    kind = "streams" if stream else "chats"
    for first in (True, False) if stream else (False,):
        part = ", first byte" if first else ""
        yield Latency(
            f"{callers} {kind} at once{part}: {name}",
            through.percentile(50, first=first) * 1000,
            through.percentile(99, first=first) * 1000,
            direct.percentile(50, first=first) * 1000,
            direct.percentile(99, first=first) * 1000,
            bounds,
        )


def _requests(name: str, options: Options) -> int:
    # At 500 at once LiteLLM would take a quarter of an hour for as many.
    return 1000 if options.quick or name != _OURS else 5000


def _paced_note(name: str, service: Service, upstream: int, options: Options) -> str:
    """Latency at a steady rate, each request from when it was due."""
    rate, seconds = 100, 3 if options.quick else 20
    direct = _sound(paced(Asked(upstream, False), rate, seconds))
    before = service.processor_seconds
    through = _sound(paced(Asked(service.port, False, KEY), rate, seconds))
    used = (service.processor_seconds - before) / (rate * seconds) * 1000
    p50 = (through.percentile(50) - direct.percentile(50)) * 1000
    p99 = (through.percentile(99) - direct.percentile(99)) * 1000
    return (
        f"At a steady {rate} chats a second for {seconds} s, each timed from when it was due, "
        f"{name} adds {p50:.1f} ms (p50) and {p99:.1f} ms (p99), and uses {used:.2f} ms of a "
        f"processor for each; {service.megabytes:.0f} MB in memory."
    )


def _kept(service: Service, database: Path, options: Options) -> Kept:
    """Log rows against answers, at a steady rate."""
    seconds = 5 if options.quick else _RATE_SECONDS
    # That of the chat which showed that the service runs.
    _wait_for_rows(database, 1)
    before = _rows(database)
    answers = _sound(paced(Asked(service.port, False, KEY), _RATE, seconds))
    _wait_for_rows(database, before + len(answers.whole))
    return Kept(
        f"log rows, {_RATE} chats/s for {seconds} s",
        _rows(database) - before,
        "answers",
        len(answers.whole),
    )


def _flat(service: Service, options: Options) -> Flat:
    """Memory after a tenth of the requests, and after all of them."""
    requests = 2_000 if options.quick else _REQUESTS
    seen = []
    for _ in range(10):
        _sound(closed(Asked(service.port, False, KEY), 50, requests // 10))
        seen.append(service.megabytes)
    return Flat(f"memory over {requests} chats", seen[0], max(seen), _GROWTH)


def _most_note(upstream: int, options: Options) -> str:
    """What each does at most, with a provider that answers at once."""
    requests = _requests(_OURS, options)
    rates = {"the provider alone": closed(Asked(upstream, False), 50, requests).rate}
    for name, start in _GATEWAYS.items():
        with start(options.folder / "most" / name, upstream) as service:
            asked = Asked(service.port, False, KEY)
            rates[name] = closed(asked, 50, _requests(name, options)).rate
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return f"Chats a second at most, 50 callers, a provider that answers at once: {told}."


def _sound(answers: Answers) -> Answers:
    if answers.failed:
        raise RuntimeError(f"not every answer was a 200: {answers.failed}")
    return answers


def _wait_for_rows(database: Path, rows: int) -> None:
    """Give the last batch time to be gathered and written; rows that are lost never come."""
    until = time.monotonic() + 10
    while _rows(database) < rows and time.monotonic() < until:
        time.sleep(0.05)


def _rows(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM request_logs").fetchall()
    return int(rows)
