"""`orchctl k8s manifests`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin
from orchctl.errors import UsageError

if TYPE_CHECKING:
    from orchctl.cli.invocation import Invocation


def manifests(
    context: typer.Context,
    image: Annotated[str, typer.Option(metavar="IMAGE", help="Of the service.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CMD",
            help="What `orchctl run --` starts; else the image's entrypoint is to be that.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Of every object.")] = "app",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where.")] = "default",
    port: Annotated[int, typer.Option(min=1, max=65535, help="It listens on.")] = 8000,
    database: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="In the container (/data/NAME.db); its folder's claim."),
    ] = None,
    storage: Annotated[str, typer.Option(help="Size of the claim.")] = "10Gi",
    access_mode: Annotated[
        str, typer.Option(help="ReadWriteOnce where the storage knows no ReadWriteOncePod.")
    ] = "ReadWriteOncePod",
    health_path: Annotated[
        str, typer.Option(metavar="PATH", help="Good when it can work.")
    ] = "/readyz",
    live_path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Good while it lives (else: the port is open)."),
    ] = None,
    parts: Annotated[
        str | None, typer.Option("--with", metavar="PARTS", help="Of backup,monitor,rbac.")
    ] = None,
    snapshots: Annotated[
        str | None,
        typer.Option(
            help="Who takes them: sidecar (as --with backup), cronjob (with ReadWriteOnce), none."
        ),
    ] = None,
    every: Annotated[str, typer.Option(help="Between two snapshots.")] = "6h",
    as_kustomization: Annotated[
        bool, typer.Option("--kustomize", help="With a kustomization; needs --output.")
    ] = False,
    as_chart: Annotated[
        bool, typer.Option("--helm", help="As a Helm chart; needs --output.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write files there.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
    as_json: Json = False,
) -> None:
    """Print the manifests of a SQLite service: one pod, its claim, probes, Service. No cluster.

    A StatefulSet with one pod, the database on a claim that outlives it. Read them, change them:
    they are yours.
    """
    from orchctl.workloads.kubernetes.manifests import (
        Service,
        chart,
        kustomization,
        manifest_files,
    )

    invocation = begin(context, as_json)
    if as_chart and as_kustomization:
        raise UsageError("--helm and --kustomize: one of them", hint="--helm, or --kustomize")
    if (as_chart or as_kustomization) and output is None:
        raise UsageError("Several files go into a folder", hint="--output DIR")
    service = Service(
        name=name,
        image=image,
        namespace=namespace,
        port=port,
        storage=storage,
        access_mode=access_mode,
        health_path=health_path,
        live_path=live_path or "",
        database=database or f"/data/{name}.db",
        command=tuple(command or ()),
        parts=frozenset(part for part in (parts or "").split(",") if part),
        snapshot_seconds=max(1, round(seconds_of(every, "--every"))),
        snapshots=snapshots or "",
    )
    layout = chart if as_chart else kustomization if as_kustomization else manifest_files
    _show(invocation, layout(service), output, overwrite=force)
    if output is not None:
        _advise(
            invocation, service.name, output, namespace, chart=as_chart, kustom=as_kustomization
        )


def _show(
    invocation: Invocation, files: dict[str, str], folder: Path | None, *, overwrite: bool
) -> None:
    from orchctl.workloads.kubernetes.manifest_folder import write_manifests

    output = invocation.output
    if folder is None:
        found = {"ok": True, "files": [{"path": path, "text": files[path]} for path in files]}
        output.result(found, lambda: output.raw("---\n".join(files.values())))
        return
    written = write_manifests(folder, files, overwrite=overwrite)
    output.result(
        {"ok": True, "files": [{"path": str(path)} for path in written]},
        lambda: output.raw("".join(f"{path}\n" for path in written)),
    )


def _advise(
    invocation: Invocation, name: str, folder: Path, namespace: str, *, chart: bool, kustom: bool
) -> None:
    place = shlex.quote(str(folder))
    if chart:
        told = f"helm upgrade --install {name} {place} --namespace {namespace}"
    else:
        told = f"kubectl apply {'-k' if kustom else '-f'} {place}"
    invocation.output.note(told)
