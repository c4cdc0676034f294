"""`orchctl doctor`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Invocation, Json, begin
from orchctl.errors import ExitCode, OrchctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.config import Settings
    from orchctl.doctor.cluster import ClusterPatient
    from orchctl.doctor.containers import Patient
    from orchctl.doctor.examination import Checked, Diagnosis
    from orchctl.doctor.fix import Mended
    from orchctl.doctor.subject import Subject
    from orchctl.output import Output
    from orchctl.workloads.target import Target


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Look at this container and its database, or at this workload: docker:NAME, "
            "compose:PROJECT/SERVICE, k8s:NAMESPACE/KIND/NAME.",
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
    """What is wrong with a database, its place, chain, snapshots, workload. Exit 1 on an error.

    Changes nothing without --fix. docs/doctor.md explains every finding.
    """
    invocation = begin(context, as_json)
    output, settings = invocation.output, invocation.settings
    with contextlib.ExitStack() as open_ones:
        case = _Case(invocation, full=full)
        case.find(open_ones, target)
        diagnosis = case.examine()
        mended: tuple[Mended, ...] = ()
        if fix:
            from orchctl.doctor.fix import mend

            mended = mend(diagnosis.findings, timeout=settings.lock_timeout)
            diagnosis = case.examine() if mended else diagnosis
        data = _object(diagnosis, mended if fix else None)
        if bundle is not None:
            from orchctl.doctor.bundle import collect, write_bundle

            write_bundle(bundle, collect(data, case.subjects, case.patients))
            data["bundle"] = str(bundle)
    output.result(data, lambda: _draw(output, diagnosis, mended, bundle))
    return ExitCode.DONE if diagnosis.ok else ExitCode.NEGATIVE


class _Case:
    """What is examined, once or, after mending, twice."""

    def __init__(self, invocation: Invocation, *, full: bool) -> None:
        self.invocation = invocation
        self.settings = invocation.settings
        self.full = full
        self.subjects: tuple[Subject, ...] = ()
        self.patients: tuple[Patient, ...] = ()
        self.workloads: tuple[ClusterPatient, ...] = ()
        self.undone: tuple[Checked, ...] = ()

    def find(self, open_ones: contextlib.ExitStack, target: str | None) -> None:
        """Find databases and workloads; engine and cluster are used until `open_ones` close."""
        from orchctl.doctor.containers import subjects_of
        from orchctl.doctor.examination import Checked

        named = target or self.settings.workload.target
        try:
            self._find_target(open_ones, named)
        except OrchctlError as error:
            if target:
                raise
            # The settings' own: an engine that is away is one more thing to tell, no reason to end.
            self.undone = (Checked("workload", named or "", (), error.message),)
        alone = target is not None
        try:
            self.subjects = subjects_of(self.patients, self.settings, alone=alone, full=self.full)
        except OrchctlError:
            if not self.workloads:
                raise

    def _find_target(self, open_ones: contextlib.ExitStack, target: str | None) -> None:
        from orchctl.workloads.target import KubernetesObject, parse_target

        if target is None:
            return
        wanted = parse_target(target, bare="docker")
        if not isinstance(wanted, KubernetesObject):
            self.patients = _patients(open_ones, wanted, self.settings)
            return
        from orchctl.cli.kubernetes_cluster import Place, looked_up
        from orchctl.doctor.cluster import cluster_patient

        place = Place(str(wanted), None, None, None, None)
        cluster, every = open_ones.enter_context(looked_up(self.invocation, place))
        self.workloads = tuple(cluster_patient(cluster, one) for one in every)

    def examine(self) -> Diagnosis:
        from orchctl.doctor.examination import Diagnosis, examine

        with self.invocation.output.live("Looking") as rename:

            def at(name: str) -> None:
                rename(f"Looking at {name}")

            found: tuple[Checked, ...] = ()
            if self.patients:
                from orchctl.doctor.workload_state import examine_containers

                found = examine_containers(self.patients, at)
            if self.workloads:
                from orchctl.doctor.cluster_state import examine_workloads

                found += examine_workloads(self.workloads, at)
            every = (*self.undone, *found, *examine(self.subjects, at).checks)
            return Diagnosis(tuple(map(self._retyped, every)))

    def _retyped(self, check: Checked) -> Checked:
        from orchctl.cli.retyped import retyped

        flags = self.invocation.flags
        findings = (replace(one, command=retyped(one.command, flags)) for one in check.findings)
        return replace(check, findings=tuple(findings))


def _patients(
    open_ones: contextlib.ExitStack, wanted: Target, settings: Settings
) -> tuple[Patient, ...]:
    from orchctl.cli.workload import docker_engine
    from orchctl.doctor.containers import patients_of
    from orchctl.workloads.docker.find import find

    engine = open_ones.enter_context(docker_engine())
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
