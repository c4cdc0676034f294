"""`orchctl k8s logs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.docker_logs import pattern_of
from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import Json, begin
from orchctl.cli.kubernetes_cluster import (
    Context,
    Kubeconfig,
    Labels,
    Namespace,
    Place,
    TargetArgument,
    looked_up,
)
from orchctl.errors import NegativeAnswer, WorkloadFailed

if TYPE_CHECKING:
    import re

    from orchctl.output import Output
    from orchctl.workloads.kubernetes.logs import Line


def logs(
    context: typer.Context,
    target: TargetArgument = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the container before its last restart.")
    ] = False,
    since: Annotated[str | None, typer.Option(metavar="DURATION", help="From 10m ago on.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last N that are there.")] = None,
    container: Annotated[
        str | None, typer.Option("--container", help="Which (the default one, else the first).")
    ] = None,
    migrations: Annotated[
        bool, typer.Option("--migrations", help="Only what tells of migrations.")
    ] = False,
    around: Annotated[
        int, typer.Option("--around", "-C", min=0, help="With --migrations: lines around them.")
    ] = 2,
    expect: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Follow until a line matches; exit 10 if none does."),
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="For --expect (60s).")] = None,
    selector: Labels = None,
    namespace: Namespace = None,
    cluster_context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """What a pod prints, or all pods of a workload; upgrades only, or until something is said."""
    invocation = begin(context, as_json)
    pattern = pattern_of(expect)
    within = invocation.settings.workload.timeout
    within = within if timeout is None else seconds_of(timeout, "--timeout")
    began = None if since is None else seconds_of(since, "--since")
    place = Place(target, selector, namespace, cluster_context, kubeconfig)
    with looked_up(invocation, place) as (cluster, every):
        from orchctl.workloads.kubernetes.find import pods_of
        from orchctl.workloads.kubernetes.logs import Wanted, lines_of_all

        pods = [pod for found in every for pod in pods_of(cluster, found)]
        if not pods:
            raise NegativeAnswer(
                f"{', '.join(map(str, every))} has no pods",
                code="no-pods",
                hint=f"orchctl k8s status {every[0]}",
            )
        followed = (follow or pattern is not None) and not previous
        wanted = Wanted(container, previous, began, tail, followed)
        lines = lines_of_all(cluster, pods, wanted, within if pattern else None)
        if migrations:
            lines = _of_migrations(lines, around)
        _shown(invocation.output, lines, pattern, several=len(pods) > 1)


def _of_migrations(lines: Iterator[Line], around: int) -> Iterator[Line]:
    from orchctl.workloads.kubernetes.logs import Line
    from orchctl.workloads.migration_lines import migration_lines

    pod = ""

    def texts() -> Iterator[str]:
        nonlocal pod
        for line in lines:
            pod = line.pod
            yield line.text

    for text in migration_lines(texts(), around):
        yield Line(pod, text)


def _shown(
    output: Output, lines: Iterator[Line], pattern: re.Pattern[str] | None, *, several: bool
) -> None:
    """Print the lines; with a pattern until one matches, which must come."""
    kept: list[dict[str, str]] = []
    seen: str | None = None
    for line in lines:
        if output.as_json:
            kept.append({"pod": line.pod, "line": line.text})
        else:
            output.line(f"[{line.pod}] {line.text}" if several else line.text)
            sys.stdout.flush()
        if pattern is not None and pattern.search(line.text):
            seen = line.text
            break
    if pattern is not None and seen is None:
        raise WorkloadFailed(
            f"It ended without printing {pattern.pattern!r}",
            code="log-ended",
            hint="orchctl k8s status shows how it ended",
        )
    if output.as_json:
        output.json({"ok": True, "lines": kept, "seen": seen})
