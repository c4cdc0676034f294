"""`orchctl doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.doctor.examination import Diagnosis
    from orchctl.doctor.fix import Mended
    from orchctl.doctor.subject import Subject
    from orchctl.output import Output


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing a row.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Check indexes and foreign keys too, and long chains."),
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a .tar.gz or .zip for support: no rows, no secrets."
        ),
    ] = None,
    as_json: Json = False,
) -> ExitCode:
    """What is wrong with the database, its place, chain and snapshots. Exit 1 on an error.

    Changes nothing without --fix. docs/doctor.md explains every finding.
    """
    invocation = begin(context, as_json)
    from orchctl.doctor.bundle import checks_object, collect, write_bundle
    from orchctl.doctor.examination import find_subjects
    from orchctl.doctor.fix import mend

    output, settings = invocation.output, invocation.settings
    subjects = find_subjects(settings, full=full)
    diagnosis = _examined(output, subjects)
    mended: tuple[Mended, ...] = ()
    if fix:
        mended = mend(diagnosis.findings, timeout=settings.lock_timeout)
        diagnosis = _examined(output, subjects) if mended else diagnosis
    data: dict[str, Any] = checks_object(diagnosis)
    if fix:
        data["fixed"] = [{"id": one.id, "done": one.done, "told": one.told} for one in mended]
    if bundle is not None:
        write_bundle(bundle, collect(data, subjects))
        data["bundle"] = str(bundle)
    output.result(data, lambda: _draw(output, diagnosis, mended, bundle))
    return ExitCode.DONE if diagnosis.ok else ExitCode.NEGATIVE


def _examined(output: Output, subjects: Sequence[Subject]) -> Diagnosis:
    from orchctl.doctor.examination import examine

    with output.live("Looking") as rename:
        return examine(subjects, lambda name: rename(f"Looking at {name}"))


def _draw(
    output: Output, diagnosis: Diagnosis, mended: Sequence[Mended], bundle: Path | None
) -> None:
    from orchctl.cli.doctor_text import draw

    draw(output, diagnosis, mended)
    if bundle is not None:
        output.line(f"Written for support, to be looked through before it is sent: {bundle}")
