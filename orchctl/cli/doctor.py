"""`orchctl doctor`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.config import Settings
    from orchctl.doctor.containers import Patient
    from orchctl.doctor.examination import Diagnosis
    from orchctl.doctor.fix import Mended
    from orchctl.doctor.subject import Subject
    from orchctl.output import Output


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Look at this container and its database: docker:NAME, compose:PROJECT/SERVICE.",
        ),
    ] = None,
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
    """What is wrong with a database, its place, chain, snapshots, container. Exit 1 on an error.

    Changes nothing without --fix. docs/doctor.md explains every finding.
    """
    invocation = begin(context, as_json)
    output, settings = invocation.output, invocation.settings
    with contextlib.ExitStack() as open_ones:
        patients = _patients(open_ones, target, settings) if target else ()
        case = _Case(output, settings, patients, full=full)
        diagnosis = case.examine()
        mended: tuple[Mended, ...] = ()
        if fix:
            from orchctl.doctor.fix import mend

            mended = mend(diagnosis.findings, timeout=settings.lock_timeout)
            diagnosis = case.examine() if mended else diagnosis
        data = _object(diagnosis, mended if fix else None)
        if bundle is not None:
            from orchctl.doctor.bundle import collect, write_bundle

            write_bundle(bundle, collect(data, case.subjects, patients))
            data["bundle"] = str(bundle)
    output.result(data, lambda: _draw(output, diagnosis, mended, bundle))
    return ExitCode.DONE if diagnosis.ok else ExitCode.NEGATIVE


class _Case:
    """What is examined, once or, after mending, twice."""

    def __init__(
        self, output: Output, settings: Settings, patients: Sequence[Patient], *, full: bool
    ) -> None:
        self.output = output
        self.patients = patients
        self.subjects: tuple[Subject, ...]
        from orchctl.doctor.examination import find_subjects

        if not patients:
            self.subjects = find_subjects(settings, full=full)
            return
        from orchctl.doctor.containers import settings_of

        files = dict.fromkeys(one.outside for one in patients if one.outside is not None)
        named = [settings_of(settings, file) for file in files]
        self.subjects = tuple(one for each in named for one in find_subjects(each, full=full))

    def examine(self) -> Diagnosis:
        from orchctl.doctor.examination import Diagnosis, examine

        with self.output.live("Looking") as rename:

            def at(name: str) -> None:
                rename(f"Looking at {name}")

            found = examine(self.subjects, at)
            if self.patients:
                from orchctl.doctor.workload_state import examine_containers

                return Diagnosis((*examine_containers(self.patients, at), *found.checks))
            return found


def _patients(
    open_ones: contextlib.ExitStack, target: str, settings: Settings
) -> tuple[Patient, ...]:
    from orchctl.doctor.containers import patients_of
    from orchctl.workloads.docker.address import find_engine
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.find import find
    from orchctl.workloads.target import parse_target

    wanted = parse_target(target, bare="docker")
    engine = Engine(find_engine(os.environ, Path.home()))
    open_ones.callback(engine.close)
    return patients_of(engine, find(engine, wanted), settings)


def _object(diagnosis: Diagnosis, mended: Sequence[Mended] | None) -> dict[str, Any]:
    from orchctl.doctor.bundle import checks_object

    data = checks_object(diagnosis)
    if mended is not None:
        data["fixed"] = [{"id": one.id, "done": one.done, "told": one.told} for one in mended]
    return data


def _draw(
    output: Output, diagnosis: Diagnosis, mended: Sequence[Mended], bundle: Path | None
) -> None:
    from orchctl.cli.doctor_text import draw

    draw(output, diagnosis, mended)
    if bundle is not None:
        output.line(f"Written for support, to be looked through before it is sent: {bundle}")
