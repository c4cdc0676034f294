"""`orchctl docker logs`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin
from orchctl.cli.workload import chosen_target, docker_engine
from orchctl.errors import TimedOut, UsageError, WorkloadFailed

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


def logs(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="NAME, label=KEY=VALUE or compose:PROJECT/SERVICE; else the one in the settings.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From 10m ago, or 2025-10-20T12:00:00, on.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=0, help="Only the last N that are there.")
    ] = None,
    migrations: Annotated[
        bool, typer.Option("--migrations", help="Only what tells of migrations.")
    ] = False,
    around: Annotated[
        int, typer.Option("--context", "-C", min=0, help="With --migrations: lines around them.")
    ] = 2,
    startup: Annotated[
        bool, typer.Option("--startup", help="From the last start until it is healthy.")
    ] = False,
    expect: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Follow until a line matches; exit 10 if none does."),
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="For --expect and --startup (60s).")] = None,
    as_json: Json = False,
) -> None:
    """What a container prints; upgrades only, the last start only, or until something is said."""
    invocation = begin(context, as_json)
    settings = invocation.settings.workload
    if startup and (since or tail is not None or follow):
        raise UsageError("--startup goes without --since, --tail and --follow")
    pattern = pattern_of(expect)
    within = settings.timeout if timeout is None else seconds_of(timeout, "--timeout")
    chosen = chosen_target(target, settings, bare="docker")
    from orchctl.workloads.docker.find import find_one

    with docker_engine() as engine:
        facts = find_one(engine, chosen)
        if startup:
            from orchctl.workloads.docker.logs import lines_of_start

            lines = lines_of_start(engine, facts, timeout=within)
        else:
            unbounded = None if expect is None else within
            lines = _lines(engine, facts, since, tail, follow or expect is not None, unbounded)
        if migrations:
            from orchctl.workloads.migration_lines import migration_lines

            lines = migration_lines(lines, around)
        _shown(invocation.output, facts, lines, pattern)


def _lines(
    engine: Engine,
    facts: ContainerFacts,
    since: str | None,
    tail: int | None,
    follow: bool,
    timeout: float | None,
) -> Iterator[str]:
    from orchctl.workloads.docker.logs import lines_of, lines_until

    began = _since(since)
    if not follow:
        return lines_of(engine, facts.id, since=began, tail=tail)
    return lines_until(engine, facts, since=began, tail=tail, timeout=timeout)


def _shown(
    output: Output, facts: ContainerFacts, lines: Iterator[str], pattern: re.Pattern[str] | None
) -> None:
    """Print the lines; with a pattern until one matches, which must come."""
    kept: list[str] = []
    seen: str | None = None
    try:
        for line in lines:
            if output.as_json:
                kept.append(line)
            else:
                output.line(line)
                sys.stdout.flush()
            if pattern is not None and pattern.search(line):
                seen = line
                break
    except TimedOut as error:
        error.hint = error.hint or "--timeout waits longer"
        raise
    if pattern is not None and seen is None:
        raise WorkloadFailed(
            f"{facts.name} ended without printing {pattern.pattern!r}",
            code="log-ended",
            hint="orchctl docker status shows how it ended",
        )
    if output.as_json:
        output.json({"ok": True, "container": facts.name, "lines": kept, "seen": seen})


def pattern_of(expect: str | None) -> re.Pattern[str] | None:
    """A regular expression as it was typed.

    Raises:
        UsageError: `bad-pattern`.
    """
    if expect is None:
        return None
    try:
        return re.compile(expect)
    except re.error as error:
        raise UsageError(
            f"{expect!r} is no regular expression: {error}", code="bad-pattern"
        ) from error


def _since(text: str | None) -> float | None:
    """A moment as it is typed: a duration ago, or a date and time (here, unless it says where)."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time() - seconds_of(text, "--since")
