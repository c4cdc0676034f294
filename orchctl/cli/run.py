"""`orchctl run -- CMD…`: the entrypoint of a container."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import begin, listener
from orchctl.cli.upgrade import AllowLoss, Backup, LockTimeout, Proof, Rehearse, Unsafe
from orchctl.cli.wait_db import Interval, Timeout
from orchctl.database.holders import masked_command
from orchctl.errors import ConfigurationError, Interrupted, OrchctlError
from orchctl.output import StepLog, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.config import Settings
    from orchctl.database.readiness import Readiness
    from orchctl.workloads.command import Command


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    # What follows the command's name is the command's, options too.
    app.command("run", context_settings={"allow_interspersed_args": False})(run)


def run(
    context: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="CMD", help="What to start, with its arguments.")
    ],
    to: Annotated[str, typer.Option(metavar="REVISION", help="Where to: head, an id …")] = "head",
    timeout: Timeout = "60s",
    interval: Interval = "2s",
    backup: Backup = None,
    rehearse: Rehearse = None,
    allow_loss: AllowLoss = None,
    proof: Proof = None,
    unsafe: Unsafe = None,
    lock_timeout: LockTimeout = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The log as JSON lines, as LOG_FORMAT=json does.")
    ] = False,
) -> None:
    """Wait for the database, upgrade it, then become CMD; a failed upgrade never starts CMD.

    For the entrypoint of a container. SKIP_MIGRATION=true leaves the upgrade out. The log goes to
    stderr, a line for each step; stdout is CMD's own, and so is the exit code once it runs.
    """
    invocation = begin(
        context,
        backup=backup,
        rehearse=rehearse,
        lock_timeout=lock_timeout,
        allow_loss=allow_loss or None,
        proof=proof,
    )
    given = (context.parent.params if context.parent else {}) | {"own_json": as_json}
    log = StepLog(
        lines_as_json=bool(given.get("as_json") or as_json or _wants_json()),
        quiet=invocation.output.quiet,
        colour=not given.get("no_color"),
        debug=invocation.output.debug,
    )
    invocation.output = log
    within, pause = seconds_of(timeout, "--timeout"), seconds_of(interval, "--interval")
    from orchctl.workloads.command import find_command

    found = find_command(command, os.environ)
    state = "Nothing was changed"
    try:
        with _stdout_kept():
            settings = invocation.settings
            _wait(settings, log, within, pause)
            state = "No revision was running"
            _upgrade(settings, log, to, unsafe or ())
            state = "The upgrade is done, or there was none to do"
        log.event("start", f"Starting {found.name}", {"command": masked_command([*found.words])})
        found.take_over()
    except KeyboardInterrupt as error:
        hint = "orchctl status shows where the database is"
        raise _not_started(Interrupted("Interrupted", hint=hint), state, found) from error
    except OrchctlError as error:
        raise _not_started(error, state, found) from error


@contextlib.contextmanager
def _stdout_kept() -> Iterator[None]:
    """A context in which what env.py, revisions and their children print goes to stderr.

    stdout is the command's own.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _wants_json() -> bool:
    return os.environ.get("LOG_FORMAT", "").strip().lower() == "json"


def _wait(settings: Settings, log: StepLog, timeout: float, interval: float) -> None:
    from orchctl.upgrade.awaited import wait_for_databases

    def waiting(found: Readiness, gone: float) -> None:
        log.note(f"Waiting: {found.told} ({gone:.0f}s)")

    try:
        # Whoever holds the database is waited for by the upgrade, and named.
        awaited = wait_for_databases(
            settings, timeout=timeout, interval=interval, locks=False, on_wait=waiting
        )
    except ConfigurationError as error:
        if error.code != "cannot-wait":
            raise
        return log.warning(f"Not waited for: {error.message}")
    for one in awaited:
        took = f" (waited {seconds_text(one.wait.seconds)})" if one.wait.attempts > 1 else ""
        log.event("ready", f"{one.wait.last.told}{took}", {"database": one.database})
    return None


def _upgrade(settings: Settings, log: StepLog, revision: str, unsafe: Sequence[str]) -> None:
    if settings.skip_migration:
        why = settings.origins["skip-migration"]
        return log.event("skip", f"Not upgraded: {why} says skip; orchctl upgrade does it later")
    from orchctl.cli.upgrade_text import arrivals_object, summary
    from orchctl.upgrade.course import upgrade_databases

    arrivals = upgrade_databases(settings, revision, listener(log), unsafe=unsafe)
    told = "; ".join(summary(one) for one in arrivals)
    return log.event("upgraded", told, {"upgrade": arrivals_object(arrivals)})


def _not_started(error: OrchctlError, state: str, command: Command) -> OrchctlError:
    error.state = f"{error.state or state}; {command.name} was not started"
    return error
