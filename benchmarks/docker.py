"""Restarting a container: what orchctl adds to `docker restart`, and how soon it sees health."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.commands import ORCHCTL, timed
from benchmarks.figures import Added, Options, Report, Series, race

_BOUND = 0.5  # seconds, for both
_ENDS = "trap 'exit 0' TERM;"
_STAYS = "while :; do sleep 0.1; done"


def run(options: Options) -> Report:
    """Restart a container of the machine's own busybox on the machine's engine."""
    with _image() as image:
        return Report(
            "docker",
            "Restarting a container",
            "A container of busybox that ends at once when it is told to, on the engine of this "
            "machine. The second row is one restart, seen twice: by orchctl, which returns, and by "
            "the engine's own event; the URL answers before that.",
            (_overhead(image, options), _sight(image, options)),
        )


def _overhead(image: str, options: Options) -> Added:
    with _container(image, f"{_ENDS} {_STAYS}") as name:
        ours, theirs = "orchctl docker restart --no-wait", "docker restart"
        sides = {
            ours: partial(timed, [ORCHCTL, *ours.split()[1:], name], options.folder),
            theirs: partial(timed, [*theirs.split(), name], options.folder),
        }
        seconds = race(sides, options.rounds)
    return Added(ours, seconds[ours], theirs, seconds[theirs], _BOUND)


def _sight(image: str, options: Options) -> Added:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = (
        f"{_ENDS} rm -f /tmp/ok; mkdir -p /tmp/www; echo up > /tmp/www/health; sleep 0.5;"
        f"httpd -p 80 -h /tmp/www; sleep 0.5; touch /tmp/ok; {_STAYS}"
    )
    words = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "200ms"]
    words += ["--health-retries", "1000", "--publish", f"127.0.0.1:{port}:80"]
    url = f"http://127.0.0.1:{port}/health"
    with _container(image, script, *words) as name:
        both = [_seen(name, url, options.folder) for _ in range(options.rounds + 1)][1:]
    ours, theirs = (Series(tuple(seconds)) for seconds in zip(*both, strict=True))
    case = "orchctl docker restart --wait returns"
    return Added(case, ours, "healthy, and the URL answers", theirs, _BOUND)


def _seen(name: str, url: str, folder: Path) -> tuple[float, float]:
    """Seconds from the start of a restart until orchctl returned, and until all was good."""
    words = ["docker", "events", "--format", "{{json .}}", "--filter", f"container={name}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as events:
        began = time.time()
        command = [ORCHCTL, "docker", "restart", name, "--health", url]
        restart = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        good = _healthy_at(events)
        # The container listens half a second before: this is to be sure, and costs no time.
        if not _answers(url):
            raise RuntimeError(f"{url} did not answer when the container was healthy")
        code = restart.wait()
        returned = time.time()
        events.terminate()
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return returned - began, good - began


def _healthy_at(events: subprocess.Popen[str]) -> float:
    """When the engine says that it became healthy, after its start."""
    assert events.stdout is not None
    started = False
    for line in events.stdout:
        event = json.loads(line)
        started = started or event["Action"] == "start"
        if started and event["Action"] == "health_status: healthy":
            return float(event["timeNano"]) / 1e9
    raise RuntimeError("docker events ended")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def _image() -> Iterator[str]:
    """An image of busybox alone, which the tests use, too."""
    from tests.support.docker_engine import busybox_image, running_engine

    with running_engine():
        yield busybox_image()


@contextmanager
def _container(image: str, script: str, *words: str) -> Iterator[str]:
    name = f"orchctl-bench-{uuid.uuid4().hex[:12]}"
    command = ["docker", "run", "--detach", "--name", name, *words, image, "sh", "-c", script]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        yield name
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", name], check=True, stdout=subprocess.DEVNULL
        )
