"""`orchctl wait-db`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin
from orchctl.output import seconds_text

if TYPE_CHECKING:
    from orchctl.database.readiness import Readiness
    from orchctl.upgrade.awaited import Awaited

Timeout = Annotated[str, typer.Option(help="How long to wait in all, e.g. 90s or 5m.")]
Interval = Annotated[str, typer.Option(help="How long to wait between two looks.")]


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("wait-db")(wait_db)


def wait_db(
    context: typer.Context,
    timeout: Timeout = "60s",
    interval: Interval = "2s",
    as_json: Json = False,
) -> None:
    """Wait until the database, or the directory it will be in, can be used. Exit 10 if not.

    SQLite: the directory is there and can be written to; the file, if there is one, is a database
    and not locked. PostgreSQL: the server takes connections. Nothing is written, nobody logs in.
    """
    invocation = begin(context, as_json)
    output = invocation.output
    within, pause = seconds_of(timeout, "--timeout"), seconds_of(interval, "--interval")
    from orchctl.upgrade.awaited import wait_for_databases

    told: list[str] = []
    with output.live("Waiting") as rename:

        def waiting(found: Readiness, gone: float) -> None:
            rename(found.told)
            if found.told not in told[-1:]:  # on a pipe: once, not every two seconds
                told.append(found.told)
                output.note(f"Waiting: {found.told}")

        awaited = wait_for_databases(
            invocation.settings, timeout=within, interval=pause, locks=True, on_wait=waiting
        )

    def draw() -> None:
        for one in awaited:
            output.line(f"{one.wait.last.told} ({seconds_text(one.wait.seconds)})")

    objects = [_object(one) for one in awaited]
    output.result(objects[0] if len(objects) == 1 else {"ok": True, "databases": objects}, draw)


def _object(awaited: Awaited) -> dict[str, Any]:
    return {
        "ok": True,
        "database": awaited.database,
        "found": awaited.wait.last.told,
        "attempts": awaited.wait.attempts,
        "seconds": round(awaited.wait.seconds, 3),
    }
