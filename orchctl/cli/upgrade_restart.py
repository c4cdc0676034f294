"""`orchctl upgrade --restart [TARGET]`: the workload restarted once the database is upgraded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.cli.upgrade_text import arrivals_object, show_arrivals
from orchctl.cli.workload import chosen_check, chosen_target, docker_engine
from orchctl.errors import OrchctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchctl.cli.invocation import Invocation
    from orchctl.upgrade.course import Arrival
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.restart import Restarted, Waiting
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found
    from orchctl.workloads.kubernetes.restart import Change, Patience
    from orchctl.workloads.target import Target


@dataclass(frozen=True)
class _Restart:
    """What was restarted: as JSON has it, and how to show it."""

    objects: list[dict[str, Any]]
    show: Callable[[], None]


def upgrade_and_restart(
    invocation: Invocation, target: str, upgrade: Callable[[], Sequence[Arrival]]
) -> None:
    """Upgrade, then restart what uses the database; also when there was nothing to upgrade.

    An earlier run may have upgraded and then failed to restart, so being at head says nothing.

    Args:
        invocation: The run of the command line.
        target: As typed; "" takes the one in the settings.
        upgrade: Upgrades the databases.
    """
    from orchctl.workloads.target import KubernetesObject

    output = invocation.output
    chosen = chosen_target(target, invocation.settings.workload)
    chosen_check(None, None, invocation.settings.workload)
    of_cluster = isinstance(chosen, KubernetesObject)
    try:  # what can't be restarted is told before anything is changed
        (_look_in_cluster if of_cluster else _look_at_engine)(invocation, chosen)
    except OrchctlError as error:
        error.state = error.state or "Nothing was changed"
        raise
    arrivals = upgrade()
    if not output.as_json:
        show_arrivals(output, arrivals)
    try:
        done = (_in_cluster if of_cluster else _at_engine)(invocation, chosen)
    except OrchctlError as error:
        error.state = f"The database is upgraded. {error.state or ''}".rstrip()
        error.details["upgrade"] = arrivals_object(arrivals)
        raise
    if output.as_json:
        output.json(arrivals_object(arrivals) | {"restarted": done.objects})
    else:
        done.show()


def _look_at_engine(_: Invocation, target: Target) -> None:
    from orchctl.deploy.interference import require_no_deploy
    from orchctl.workloads.docker.find import find

    with docker_engine() as engine:
        require_no_deploy(engine, find(engine, target))


def _at_engine(invocation: Invocation, target: Target) -> _Restart:
    from orchctl.cli.docker import restart_target
    from orchctl.cli.docker_text import restarted_object, show_restarted

    settings = invocation.settings.workload
    check = chosen_check(None, None, settings)

    def how(engine: Engine, facts: ContainerFacts, waiting: Waiting) -> Restarted:
        from orchctl.workloads.docker.restart import restart

        return restart(engine, facts, waiting, grace=settings.grace)

    done = restart_target(invocation, target, check, how, wait=True, timeout=settings.timeout)
    return _Restart(
        [restarted_object(one) for one in done], lambda: show_restarted(invocation.output, done)
    )


def _look_in_cluster(invocation: Invocation, target: Target) -> None:
    """Whether it is there, and a restart would reach its pods."""
    from orchctl.cli.kubernetes_cluster import Place, looked_up
    from orchctl.workloads.kubernetes.restart import Patience, restart

    with looked_up(invocation, Place(str(target), None, None, None, None)) as (cluster, every):
        for found in every:
            restart(cluster, found, Patience(False, 0.0, invocation.output.note, dry_run=True))


def _in_cluster(invocation: Invocation, target: Target) -> _Restart:
    from orchctl.cli.kubernetes_change import changed_workloads
    from orchctl.cli.kubernetes_cluster import Place
    from orchctl.cli.kubernetes_text import change_object, show_changes

    def how(cluster: Cluster, found: Found, patience: Patience) -> Change:
        from orchctl.workloads.kubernetes.restart import restart

        return restart(cluster, found, patience)

    place = Place(str(target), None, None, None, None)
    check = chosen_check(None, None, invocation.settings.workload)
    done = changed_workloads(invocation, place, how, check)
    return _Restart(
        [change_object(*one, dry_run=False) for one in done],
        lambda: show_changes(invocation.output, done, dry_run=False),
    )
