"""`orchctl docker restart | status | logs | upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.docker_logs import logs
from orchctl.cli.docker_text import (
    restarted_object,
    show_restarted,
    show_statuses,
    status_object,
)
from orchctl.cli.docker_upgrade import upgrade
from orchctl.cli.invocation import Invocation, Json, begin, listener
from orchctl.cli.workload import (
    Headers,
    HealthUrl,
    Timeout,
    chosen_check,
    chosen_seconds,
    chosen_target,
    docker_engine,
    settle_upgrade,
)
from orchctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchctl.output import Output
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.docker.restart import Restarted, Waiting
    from orchctl.workloads.docker.set_aside import Unfinished
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target

TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="NAME, label=KEY=VALUE or compose:PROJECT/SERVICE; else the one in the settings.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command group to the tree."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("restart")(restart)
    group.command("status")(status)
    group.command("logs")(logs)
    group.command("upgrade")(upgrade)
    app.add_typer(group, name="docker", help="Containers: restart, status, logs, upgrade.")


def restart(
    context: typer.Context,
    target: TargetArgument = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is up (default).")] = (
        True
    ),
    timeout: Timeout = None,
    health: HealthUrl = None,
    header: Headers = None,
    grace: Annotated[
        str | None,
        typer.Option(help="Time to end before it is killed (the container's own, else 10s)."),
    ] = None,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="A new container with the same configuration.")
    ] = False,
    image: Annotated[
        str | None, typer.Option(metavar="REF", help="With --recreate: of this image.")
    ] = None,
    accept_data_loss: Annotated[
        bool,
        typer.Option(
            "--accept-data-loss", help="With --recreate: although a database is on no mount."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Stop with grace, start, and wait until health check and URL are good.

    Exit 9 as soon as it can't come up any more, with its last lines; 10 when time is over.
    """
    invocation = begin(context, as_json)
    settings = invocation.settings.workload
    if (image or accept_data_loss) and not recreate:
        raise UsageError("--image and --accept-data-loss go with --recreate")
    chosen = chosen_target(target, settings, bare="docker")
    check = chosen_check(health, header, settings)
    within = chosen_seconds(timeout, "--timeout", settings.timeout)
    allowed = chosen_seconds(grace, "--grace", settings.grace)

    def how(engine: Engine, facts: ContainerFacts, waiting: Waiting) -> Restarted:
        if not recreate:
            from orchctl.workloads.docker.restart import restart as restart_container

            return restart_container(engine, facts, waiting, grace=allowed)
        from orchctl.workloads.docker.guests import require_no_guests
        from orchctl.workloads.docker.recreate import recreate as recreate_container

        require_no_guests(engine, facts)
        return recreate_container(
            engine, facts, waiting, image=image, grace=allowed, accept_loss=accept_data_loss
        )

    done = restart_target(invocation, chosen, check, how, wait=wait, timeout=within or 0.0)
    invocation.output.result(
        {"ok": True, "containers": [restarted_object(one) for one in done]},
        lambda: show_restarted(invocation.output, done),
    )


def restart_target(
    invocation: Invocation,
    target: Target,
    check: Check | None,
    how: Callable[[Engine, ContainerFacts, Waiting], Restarted],
    *,
    wait: bool,
    timeout: float,
) -> list[Restarted]:
    """Restart the containers of a target, one after the other; the first that fails ends it.

    Args:
        invocation: The run of the command line.
        target: What to restart.
        check: The URL that must answer.
        how: Restarts one.
        wait: Whether to wait until each is up.
        timeout: Seconds for each.
    """
    from orchctl.workloads.docker.restart import Waiting

    output = invocation.output
    with docker_engine() as engine, output.live(f"Asking for {target}") as rename:
        waiting = Waiting(wait, timeout, check, rename)
        done: list[Restarted] = []
        for facts in _found(engine, target, waiting, output):
            rename(f"{facts.name}: stopping and starting")
            done.append(how(engine, facts, waiting))
        return done


def _found(
    engine: Engine, target: Target, waiting: Waiting, output: Output
) -> tuple[ContainerFacts, ...]:
    """The containers, after bringing to an end what an earlier run was killed in."""
    from orchctl.deploy.interference import require_no_deploy
    from orchctl.errors import WorkloadFailed
    from orchctl.workloads.docker.find import find
    from orchctl.workloads.docker.set_aside import unfinished
    from orchctl.workloads.target import NamedContainer

    try:
        found = find(engine, target)
    except WorkloadFailed as error:
        left = unfinished(engine, target.name) if isinstance(target, NamedContainer) else None
        if error.code != "no-such-container" or left is None:
            raise
        require_no_deploy(engine, [left.old])
        return _brought_to_an_end(engine, target, [left], waiting, output)
    require_no_deploy(engine, found)
    if settle_upgrade(engine, found, output):
        found = find(engine, target)
    begun = [left for facts in found if (left := unfinished(engine, facts.name))]
    return _brought_to_an_end(engine, target, begun, waiting, output) if begun else found


def _brought_to_an_end(
    engine: Engine, target: Target, begun: list[Unfinished], waiting: Waiting, output: Output
) -> tuple[ContainerFacts, ...]:
    from orchctl.workloads.docker.find import find
    from orchctl.workloads.docker.resumption import bring_to_an_end

    for left in begun:
        listener(output).step(bring_to_an_end(engine, left, waiting))
    return find(engine, target)


def status(context: typer.Context, target: TargetArgument = None, as_json: Json = False) -> None:
    """State, health, image, mounts, and the database it holds with its revision.

    Exit 1 when it does not run or is unhealthy.
    """
    invocation = begin(context, as_json)
    chosen = chosen_target(target, invocation.settings.workload, bare="docker")
    from orchctl.deploy.interference import unfinished_deploy
    from orchctl.workloads.docker.status import read_statuses

    with docker_engine() as engine:
        statuses = read_statuses(engine, chosen)
        deploys = [unfinished_deploy(engine, one.facts) for one in statuses]
    good = all(one.good for one in statuses)
    invocation.output.result(
        {"ok": good, "containers": list(map(status_object, statuses, deploys))},
        lambda: show_statuses(invocation.output, statuses, deploys),
    )
    if not good:
        raise typer.Exit(1)
