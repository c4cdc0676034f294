"""The containers that a target means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchctl.errors import UsageError, WorkloadFailed
from orchctl.workloads.docker.inspected import facts_of
from orchctl.workloads.target import ComposeService, LabelledContainers, NamedContainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"
# A container that `recreate` has renamed to make room for the next one.
SET_ASIDE = ".set-aside-by-orchctl"
# One that runs a command for a container: what its name ends with, and the label that names that.
ONE_OFF = ".one-off-by-orchctl"
ONE_OFF_LABEL = "orchctl.one-off"
# Where it is the record of what is stopped for it: see `stoppage`.
STOPPED_LABEL = f"{ONE_OFF_LABEL}.stopped"


def look(engine: Engine, container: str) -> ContainerFacts:
    """The facts of one container, by name or id."""
    return facts_of(engine.inspect(container))


def find(engine: Engine, target: Target) -> tuple[ContainerFacts, ...]:
    """The containers that a target means, running or not, in the order of their names.

    One-off containers, Compose's (`compose run`) and ours, and those set aside are left out of
    what is found by labels.

    Raises:
        UsageError: `wrong-target`: it is none of Docker's.
        WorkloadFailed: `no-such-container`: there is none; and as Engine does.
    """
    match target:
        case NamedContainer(name):
            return (look(engine, name),)
        case ComposeService(project, service):
            labels = [f"{PROJECT}={project}", f"{SERVICE}={service}"]
        case LabelledContainers(key, value):
            labels = [key if value is None else f"{key}={value}"]
        case _:
            raise UsageError(
                f"{target} is no container", code="wrong-target", hint="orchctl k8s works on it"
            )
    listed = [one for one in engine.containers({"label": labels}) if not _beside(one)]
    found = sorted((look(engine, one["Id"]) for one in listed), key=lambda one: one.name)
    if not found:
        raise _none(engine, target)
    return tuple(found)


def find_one(engine: Engine, target: Target) -> ContainerFacts:
    """The one container that a target means.

    Raises:
        UsageError: `several-containers`; else as `find` does.
    """
    found = find(engine, target)
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise UsageError(
            f"{target} means several containers: {names}",
            code="several-containers",
            hint=f"Name one of them: docker:{found[0].name}",
        )
    return found[0]


def all_containers(engine: Engine, *, ended: bool = True) -> tuple[ContainerFacts, ...]:
    """Every container of an engine; one that is removed meanwhile is left out."""
    found: list[ContainerFacts] = []
    for one in engine.containers(ended=ended):
        try:
            found.append(look(engine, one["Id"]))
        except WorkloadFailed as error:
            if error.code != "no-such-container":
                raise
    return tuple(sorted(found, key=lambda one: one.name))


def _beside(listed: Mapping[str, Any]) -> bool:
    labels = listed.get("Labels") or {}
    one_off = ONE_OFF_LABEL in labels or str(labels.get(_ONE_OFF)).lower() == "true"
    return one_off or any(name.endswith(SET_ASIDE) for name in listed.get("Names") or ())


def _none(engine: Engine, target: Target) -> WorkloadFailed:
    hint = "docker ps --all lists what the engine has"
    if isinstance(target, ComposeService):
        known = _services(engine.containers({"label": [PROJECT]}))
        hint = f"Compose has: {', '.join(known)}" if known else "docker compose up -d makes them"
    return WorkloadFailed(f"There is no container {target}", code="no-such-container", hint=hint)


def _services(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    named = {(one["Labels"].get(PROJECT), one["Labels"].get(SERVICE)) for one in listed}
    return sorted(f"compose:{project}/{service}" for project, service in named if service)[:10]
