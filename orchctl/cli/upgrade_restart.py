"""`orchctl upgrade --restart [TARGET]`: the workload restarted once the database is upgraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.cli.docker import restart_target
from orchctl.cli.docker_text import restarted_object, show_restarted
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
    from orchctl.workloads.docker.find import find

    settings, output = invocation.settings.workload, invocation.output
    chosen = chosen_target(target, settings)
    check = chosen_check(None, None, settings)
    with docker_engine() as engine:  # what can't be restarted is told before anything is changed
        try:
            find(engine, chosen)
        except OrchctlError as error:
            error.state = error.state or "Nothing was changed"
            raise
    arrivals = upgrade()
    if not output.as_json:
        show_arrivals(output, arrivals)

    def how(engine: Engine, facts: ContainerFacts, waiting: Waiting) -> Restarted:
        from orchctl.workloads.docker.restart import restart

        return restart(engine, facts, waiting, grace=settings.grace)

    try:
        done = restart_target(invocation, chosen, check, how, wait=True, timeout=settings.timeout)
    except OrchctlError as error:
        error.state = f"The database is upgraded. {error.state or ''}".rstrip()
        error.details["upgrade"] = arrivals_object(arrivals)
        raise
    if output.as_json:
        output.json(arrivals_object(arrivals) | {"restarted": [*map(restarted_object, done)]})
    else:
        show_restarted(output, done)
