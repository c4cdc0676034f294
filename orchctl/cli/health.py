"""`orchctl health URL`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin
from orchctl.errors import OrchctlError, TimedOut, UsageError, WorkloadFailed
from orchctl.output import seconds_text

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.workloads.health import Expectation, HealthResult

_SHOWN = 4000  # characters of an answer


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("health")(health)


def health(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="An http or https URL.")],
    timeout: Annotated[
        str | None, typer.Option(help="How long to ask in all (60s; with --once 5s).")
    ] = None,
    interval: Annotated[str, typer.Option(help="How long to wait between two questions.")] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Ask once.")] = False,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="NAME:VALUE",
            help="Sent along, its value never shown; @FILE reads such lines; repeatable.",
        ),
    ] = None,
    expect_status: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help="A status that is good (200 to 299); repeatable."),
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Must be found in the answer.")
    ] = None,
    expect_json: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="In a JSON answer: status=healthy; repeatable."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="File with the certificates of who may vouch.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take any certificate.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a health endpoint until it is good; show what it says.

    Exit 9 when it answers, but not as expected; 10 when it did not answer. Redirects are followed
    on the same host, but not to a login page.
    """
    output = begin(context, as_json).output
    within = seconds_of(timeout or ("5s" if once else "60s"), "--timeout")
    pause = seconds_of(interval, "--interval")
    from orchctl.workloads.health import Trust, look_at_health, wait_healthy

    headers = headers_of(header or ())
    wanted = _expectation(expect_status or (), expect, expect_json or ())
    trust = Trust(ca, insecure)
    with output.live(f"Asking {url.partition('?')[0].rpartition('@')[2]}") as rename:
        if once:
            found = look_at_health(url, headers, wanted, trust, timeout=within)
        else:
            found = wait_healthy(
                url,
                headers,
                within,
                pause,
                wanted,
                trust,
                on_wait=lambda answer: rename(f"{answer.url}: {answer.told}"),
            )
    if not found.healthy:
        raise _unhealthy(found, once=once)
    output.result({"ok": True, **_object(found)}, lambda: _draw(output, found))


def headers_of(given: Sequence[str]) -> list[tuple[str, str]]:
    """Names and values of headers as they are typed, those in files (`@FILE`) read.

    Raises:
        UsageError: `bad-header`.
    """
    from orchctl.workloads.health import read_header

    lines: list[str] = []
    for one in given:
        if not one.startswith("@"):
            lines.append(one)
            continue
        try:
            text = Path(one[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--header {one}: it can't be read", code="bad-header") from error
        lines += [line for line in text.splitlines() if line.strip()]
    return [read_header(line) for line in lines]


def _expectation(
    statuses: list[str] | tuple[()], pattern: str | None, values: list[str] | tuple[()]
) -> Expectation:
    from orchctl.workloads.health import Expectation

    for status in statuses:
        if not (status.isascii() and status.isdigit() and 100 <= int(status) <= 599):
            raise UsageError(f"{status} is no HTTP status", hint="--expect-status 204")
    for value in values:
        if not value.partition("=")[1]:
            raise UsageError(f"{value} lacks a =", hint="--expect-json status=healthy")
    pairs = tuple((value.partition("=")[0], value.partition("=")[2]) for value in values)
    return Expectation(frozenset(map(int, statuses)), pattern, pairs)


def _unhealthy(found: HealthResult, *, once: bool) -> OrchctlError:
    tries = f"{found.attempts} {'try' if found.attempts == 1 else 'tries'}"
    message = f"{found.url}: {found.told} ({tries} in {seconds_text(found.seconds)})"
    if once or found.status is not None:
        return WorkloadFailed(
            message,
            code="unhealthy",
            hint="Look at the service's log; --timeout waits longer for it",
            details=_object(found),
        )
    return TimedOut(
        message,
        code="no-answer",
        hint="Is it running, and at this address? --timeout waits longer for it",
        details=_object(found),
    )


def _object(found: HealthResult) -> dict[str, Any]:
    try:
        answer = json.loads(found.body)
    except ValueError:
        answer = found.body or None
    return {
        "url": found.url,
        "status": found.status,
        "told": found.told,
        "answer": answer,
        "attempts": found.attempts,
        "seconds": round(found.seconds, 3),
    }


def _draw(output: Output, found: HealthResult) -> None:
    output.line(f"{found.url}: {found.told} ({seconds_text(found.seconds)})")
    body = found.body.strip()
    if body:
        output.line(body if len(body) <= _SHOWN else f"{body[:_SHOWN]}…")
