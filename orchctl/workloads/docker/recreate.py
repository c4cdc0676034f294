"""A container replaced by a new one with the same configuration, maybe of another image.

The old one is only renamed until the new one is up; killed anywhere in between, `unfinished` and
`put_back` or `finish` bring it to an end from the names alone:

    web                                        nothing has begun, or all is over
    web.set-aside-by-orchctl                   the old one alone: put it back
    web.set-aside-by-orchctl and web           the new one is up: finish; else put back
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError, Refused, WorkloadFailed
from orchctl.workloads.docker.configuration import recipe_of
from orchctl.workloads.docker.database import unmounted_databases
from orchctl.workloads.docker.find import SET_ASIDE, look
from orchctl.workloads.docker.restart import (
    Restarted,
    Waiting,
    hold,
    require_awake,
    require_lasting,
    start,
    stop,
)
from orchctl.workloads.docker.set_aside import Unfinished, is_replacement, put_back, unfinished

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


_LEFT = "Its last lines are what is left of it: it is removed; --json has more of them"
# What the hint of a wait names, logs and status, would be that of the old container by now.
_HINTS_WHEN_GONE = {
    "container-ended": _LEFT,
    "crash-loop": _LEFT,
    "container-unhealthy": f"{_LEFT}, and what its health check said",
    "not-healthy-in-time": "--timeout waits longer",
}


def recreate(
    engine: Engine,
    facts: ContainerFacts,
    waiting: Waiting,
    *,
    image: str | None = None,
    grace: float | None = None,
    accept_loss: bool = False,
) -> Restarted:
    """Replace a container; put the old one back when the new one does not come up.

    Kept are mounts (anonymous volumes too), networks with aliases and addresses, labels, variables,
    restart policy, user, limits, health check and command, as far as they did not come from the old
    image. What the old one wrote outside its mounts is gone.

    Args:
        engine: The engine.
        facts: The container.
        waiting: What to wait for; without `wait` the old one is removed once the new one runs.
        image: The image of the next one; None takes the very same.
        grace: Seconds until SIGKILL; None takes the container's own.
        accept_loss: Also when a database lies on the old one's own layer, and goes with it.

    Raises:
        Refused: `removed-at-end`, `recreate-unfinished`, `database-on-layer`.
        WorkloadFailed: `container-paused`. It did not come up; the state says what is there now. As
            Engine does.
        TimedOut: Likewise.
    """
    began = time.monotonic()
    if left := unfinished(engine, facts.name):
        raise _unfinished_refusal(left)
    require_lasting(facts)
    require_awake(facts)
    if not accept_loss and (lost := unmounted_databases(engine, facts)):
        raise Refused(
            f"{', '.join(map(str, lost))} is on no volume or folder mounted into {facts.name}: it "
            "would be gone",
            code="database-on-layer",
            state="Nothing was changed",
            hint=f"docker cp {facts.name}:{lost[0]} . saves it (not from a tmpfs); mount a volume "
            "there; --accept-data-loss goes on",
        )
    content = engine.inspect(facts.id)
    recipe = recipe_of(content, _image(engine, facts.image_id), _reference(engine, facts, image))
    ran = facts.running or facts.state == "restarting"
    aside = facts.name + SET_ASIDE
    stopped = _stopped(engine, facts, grace, ran=ran)
    new = None
    try:
        engine.rename(facts.id, aside)
        new = engine.create(recipe.body, facts.name)
        for network, settings in recipe.networks:
            _connect(engine, new, network, settings)
        # An engine that is started anew would start both of them, on the same files.
        hold(engine, stopped)
        up = start(engine, look(engine, new), waiting)
    except BaseException as error:
        _put_back_after(error, engine, Unfinished(facts.name, stopped, None), new, ran=ran)
        raise
    engine.remove(facts.id)
    return Restarted(up.container, up.up, False, time.monotonic() - began)


def _stopped(
    engine: Engine, facts: ContainerFacts, grace: float | None, *, ran: bool
) -> ContainerFacts:
    try:
        return stop(engine, facts, grace=grace)
    except KeyboardInterrupt:
        if ran:
            engine.start(facts.id)
        raise


def _put_back_after(
    error: BaseException, engine: Engine, left: Unfinished, new: str | None, *, ran: bool
) -> None:
    """Undo a replacement that failed, and say in its error what is there now."""
    try:
        made = look(engine, new) if new else _made_unheard(engine, left.name)
        if look(engine, left.old.id).name == left.name:
            if ran:
                engine.start(left.old.id)
        else:
            put_back(engine, Unfinished(left.name, left.old, made), run=ran)
        now = f"The old container is back{' and runs' if ran else ''}, with the image it had"
        if isinstance(error, OrchctlError):
            error.hint = _HINTS_WHEN_GONE.get(error.code, error.hint)
    except OrchctlError as second:
        now = (
            f"The old container could not be put back ({second.message}); it is set aside as "
            f"{left.name}{SET_ASIDE}, nothing of it is lost"
        )
        if isinstance(error, OrchctlError):
            error.hint = f"orchctl docker restart {left.name} brings it to an end"
    if isinstance(error, OrchctlError):
        error.state = now if error.state is None else f"{now}. The new one: {error.state}"


def _made_unheard(engine: Engine, name: str) -> ContainerFacts | None:
    """What was made, but its id not heard of any more: Ctrl-C, or an engine that went away."""
    found = unfinished(engine, name)
    new = found.new if found and is_replacement(found) else None
    return new if new is not None and new.state == "created" else None


def _image(engine: Engine, reference: str) -> dict[str, object] | None:
    try:
        return engine.image(reference)
    except WorkloadFailed as error:
        if error.code in ("no-such-image", "engine-refused"):
            return None
        raise


def _reference(engine: Engine, facts: ContainerFacts, image: str | None) -> str:
    """The image of the next one: what is asked for, else the same, by its tag while that is it."""
    if image is not None:
        engine.image(image)
        return image
    tagged = _image(engine, facts.image)
    return facts.image if tagged and tagged["Id"] == facts.image_id else facts.image_id


def _connect(engine: Engine, container: str, network: str, settings: dict[str, object]) -> None:
    address = settings.get("IPAMConfig")
    found = address if isinstance(address, dict) else {}
    engine.ask(
        engine.api.connect_container_to_network,
        container,
        network,
        aliases=settings.get("Aliases"),
        links=_pairs(settings.get("Links")),
        ipv4_address=found.get("IPv4Address"),
        ipv6_address=found.get("IPv6Address"),
        link_local_ips=found.get("LinkLocalIPs"),
        driver_opt=settings.get("DriverOpts"),
        mac_address=settings.get("MacAddress"),
    )


def _pairs(links: object) -> list[tuple[str, str]] | None:
    if not isinstance(links, list):
        return None
    return [(one.partition(":")[0], one.partition(":")[2]) for one in links]


def _unfinished_refusal(left: Unfinished) -> Refused:
    new = f"{left.name} stands in its place" if left.new else "nothing stands in its place"
    return Refused(
        f"An earlier replacement of {left.name} was not brought to an end: the old container is "
        f"{left.old.name}, and {new}",
        code="recreate-unfinished",
        state="Nothing was changed",
        hint=f"orchctl docker restart {left.name} brings it to an end",
    )
