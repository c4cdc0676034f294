"""What the commands on workloads share: the target, the health check, the engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.health import headers_of
from orchctl.cli.invocation import listener
from orchctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.config.workload import WorkloadSettings
    from orchctl.output import Output
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target

HealthUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Must answer too, once the workload runs.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        "-H",
        metavar="NAME:VALUE",
        help="Sent to that URL, its value never shown; @FILE reads such lines; repeatable.",
    ),
]
Timeout = Annotated[str | None, typer.Option(help="How long to wait until it is up (60s).")]


def chosen_target(given: str | None, settings: WorkloadSettings, *, bare: str = "") -> Target:
    """The target that was typed, else the one in the settings.

    Args:
        given: As typed; None or "" when nothing was.
        settings: Of the workload.
        bare: What a text without a scheme is, see `parse_target`.

    Raises:
        UsageError: `no-target`, `bad-target`.
    """
    from orchctl.workloads.target import FORMS, parse_target

    if given:
        return parse_target(given, bare=bare)
    if settings.target:
        return parse_target(settings.target, bare=bare)
    raise UsageError(
        "No target: neither on the command line nor in the settings",
        code="no-target",
        hint=f'{FORMS}; [tool.orchctl.workload] target = "docker:NAME" spares typing it',
    )


def chosen_check(
    url: str | None, headers: Sequence[str] | None, settings: WorkloadSettings
) -> Check | None:
    """The URL that must answer, as typed or as in the settings; None when there is none.

    Raises:
        UsageError: `bad-url`, `bad-header`, before anything is done.
    """
    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.health import read_header, require_url

    url = url or settings.health
    if not url:
        if headers:
            raise UsageError("--header goes with a URL", hint="--health http://localhost:8000/")
        return None
    require_url(url)
    if headers:
        return Check(url, tuple(headers_of(headers)))
    return Check(url, tuple(read_header(line) for line in settings.health_headers))


def chosen_seconds(given: str | None, option: str, else_: float | None) -> float | None:
    """The seconds of an option, or what holds without it."""
    return else_ if given is None else seconds_of(given, option)


def settle_upgrade(
    engine: Engine,
    containers: Sequence[ContainerFacts],
    output: Output,
    *,
    take_over: bool = False,
) -> bool:
    """Bring to an end a `docker upgrade` that was killed and has stopped one of the containers.

    Args:
        engine: The engine.
        containers: That matter.
        output: Is told what was done.
        take_over: Also where it can't be seen whether it was killed.

    Returns:
        Whether there was one; the containers are to be looked at anew then.

    Raises:
        LockHeld: `upgrade-running`.
    """
    from orchctl.workloads.docker.stoppage import settle

    names = [one.name for one in containers]
    told = listener(output)
    done = settle(engine, names, told.running, take_over=take_over)
    if done is not None:
        told.warning(f"An earlier upgrade was killed. {done}")
    return done is not None


@contextlib.contextmanager
def docker_engine() -> Iterator[Engine]:
    """The engine that the docker CLI would use, until the end of the block."""
    from orchctl.workloads.docker.address import find_engine
    from orchctl.workloads.docker.engine import connect

    engine = connect(find_engine(os.environ, Path.home()))
    try:
        yield engine
    finally:
        engine.close()
