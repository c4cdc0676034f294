"""What the `k8s` commands share: the cluster, and the objects that were named."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.durations import seconds_of
from orchctl.cli.invocation import heard_or_not
from orchctl.cli.workload import chosen_target
from orchctl.errors import OrchctlError, UsageError

if TYPE_CHECKING:
    from orchctl.cli.invocation import Invocation
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found

TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="statefulset/NAME, deployment/NAME, daemonset/NAME or pod/NAME (sts, deploy, ds, po); "
        "with -l a kind alone; else the one in the settings.",
    ),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Where it is (the context's).")
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Of the kubeconfig (its current).")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Instead of KUBECONFIG and ~/.kube/config."),
]
Labels = Annotated[
    str | None,
    typer.Option("--selector", "-l", metavar="LABELS", help="All with these labels: app=web."),
]
Timeout = Annotated[str | None, typer.Option(help="How long to wait until it is ready (300s).")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is over (default).")]
DryRun = Annotated[
    str | None,
    typer.Option("--dry-run", metavar="server", help="Let the server check it; change nothing."),
]

_TIMEOUT = 300.0
_TARGETS = "statefulset/NAME, deployment/NAME, daemonset/NAME or pod/NAME"


@dataclass(frozen=True)
class Place:
    """What was typed of where and what.

    Attributes:
        target: As typed.
        labels: A label selector.
        namespace: As typed.
        context: As typed.
        kubeconfig: As typed.
    """

    target: str | None
    labels: str | None
    namespace: str | None
    context: str | None
    kubeconfig: Path | None


@contextlib.contextmanager
def looked_up(
    invocation: Invocation,
    place: Place,
    *,
    patient_until: float | None = None,
    patience: float = 10.0,
) -> Iterator[tuple[Cluster, list[Found]]]:
    """The cluster, and the objects that were named, until the end of the block.

    Raises:
        UsageError: `no-target`, `bad-target`.
        OrchctlError: As `find_cluster` and `find` do.
    """
    kind, name, place = _named(invocation, place)
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.connection import ClusterChoice, find_cluster
    from orchctl.workloads.kubernetes.find import find, find_selected

    choice = ClusterChoice(place.context, place.kubeconfig, place.namespace)
    connection = find_cluster(choice, os.environ, Path.home())
    cluster = Cluster(
        connection,
        patient_until=patient_until,
        patience=patience,
        on_trouble=heard_or_not(invocation.output.note),
    )
    try:
        if place.labels:
            yield cluster, find_selected(cluster, kind, place.labels)
        else:
            yield cluster, [find(cluster, kind or "", name)]
    except OrchctlError as error:
        error.hint = error.hint and _with_options(error.hint, place)
        raise
    finally:
        cluster.close()


def in_place(invocation: Invocation, place: Place, text: str) -> str:
    """A hint whose commands, typed as they stand, are about the cluster and namespace meant.

    Args:
        invocation: The run of the command line.
        place: What was typed of where and what.
        text: The hint, its commands without options of that sort.
    """
    return _with_options(text, _named(invocation, place)[2])


# kubectl takes these anywhere; a command of orchctl takes them behind its own name.
_COMMAND = re.compile(r"\b(?:orchctl k8s (?:backup )?[a-z-]+|kubectl)(?= )")


def _with_options(text: str, place: Place) -> str:
    options = {"--context": place.context, "--kubeconfig": place.kubeconfig}
    if " -n " not in text:  # else it says itself where
        options["-n"] = place.namespace
    given = [f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value]
    return _COMMAND.sub(lambda found: " ".join([found[0], *given]), text)


def _named(invocation: Invocation, place: Place) -> tuple[str | None, str, Place]:
    from orchctl.workloads.target import KINDS, KubernetesObject

    if place.labels:
        words = {word: kind for kind, others in KINDS.items() for word in (kind, *others)}
        kind = words.get((place.target or "").lower().partition(".")[0])
        if place.target and kind is None:
            raise UsageError(
                f"With -l the target is a kind alone, not {place.target}",
                code="bad-target",
                hint=f"{', '.join(KINDS)}; nothing means the first three",
            )
        return kind, "", place
    try:
        target = chosen_target(place.target, invocation.settings.workload, bare="k8s")
    except UsageError as error:
        if error.code == "bad-target":
            error.hint = _TARGETS
        raise
    if not isinstance(target, KubernetesObject):
        raise UsageError(
            f"{target} is no object of a cluster",
            code="bad-target",
            hint=_TARGETS,
        )
    for option, typed, own in (
        ("--namespace", place.namespace, target.namespace),
        ("--context", place.context, target.context),
    ):
        if place.target and typed and own and typed != own:
            raise UsageError(f"{option} {typed} contradicts {target}", code="bad-target")
    namespace = place.namespace or target.namespace
    context = place.context or target.context
    return target.kind, target.name, Place(None, None, namespace, context, place.kubeconfig)


def deadline_of(invocation: Invocation, timeout: str | None) -> float:
    """Until when, on the monotonic clock: as typed, as in the settings, else 300 s from now."""
    settings = invocation.settings.workload
    within = settings.timeout if "timeout" in settings.origins else _TIMEOUT
    return time.monotonic() + (within if timeout is None else seconds_of(timeout, "--timeout"))


def is_dry(dry_run: str | None) -> bool:
    """Whether `--dry-run=server` was typed.

    Raises:
        UsageError: It was another word.
    """
    if dry_run not in (None, "server"):
        raise UsageError(f"--dry-run={dry_run}: only the server can tell", hint="--dry-run=server")
    return dry_run is not None
