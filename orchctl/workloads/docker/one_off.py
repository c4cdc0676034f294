"""A command in a container of its own: an image, and the mounts, variables and user of a service.

It has no network and no restart policy, and is removed when its command ends, or when we do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchctl.errors import LockHeld, WorkloadFailed
from orchctl.workloads.docker.attached import Attached, Ran
from orchctl.workloads.docker.configuration import recipe_of
from orchctl.workloads.docker.find import ONE_OFF, ONE_OFF_LABEL, STOPPED_LABEL, look

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

# Seconds that a command has to unwind; an upgrade that is killed is undone by SQLite.
_GRACE = 10.0


def create_one_off(
    engine: Engine,
    service: ContainerFacts,
    image: str,
    words: Sequence[str],
    labels: Mapping[str, str] | None = None,
) -> str:
    """Create a container for one command, in place of what an earlier run left; its id.

    Args:
        engine: The engine.
        service: Whose mounts, variables, user and limits it gets; may run meanwhile.
        image: What it is made of.
        words: The command.
        labels: Its labels, besides the service's own.

    Raises:
        LockHeld: `one-off-running`: an earlier one for the same service is at it still.
        WorkloadFailed: As Engine does.
    """
    name = service.name + ONE_OFF
    _clear(engine, name)
    content = engine.inspect(service.id)
    body = _body(content, _image(engine, service.image_id), image, words)
    body["Labels"] |= labels or {}
    return engine.create(body, name)


def run_one_off(
    engine: Engine, container: str, image: str, words: Sequence[str], tell: Callable[[str], None]
) -> Ran:
    """Start what was created, and wait for its end.

    Args:
        engine: The engine.
        container: Its id.
        image: What it is made of, for the error.
        words: Its command, for the error.
        tell: Called with every line that it prints on stderr.

    Raises:
        WorkloadFailed: `command-not-in-image`; as `Attached` and Engine do.
    """
    try:
        attached = Attached(engine, container, tell)
        _start(engine, container, image, words)
        return attached.until_end()
    except BaseException as error:
        # Ctrl-C: it shall unwind like one here, not be killed in the middle.
        if not _stands_still(error):
            with contextlib.suppress(WorkloadFailed):
                engine.stop(container, _GRACE)
        raise


def run_once(
    engine: Engine,
    service: ContainerFacts,
    image: str,
    words: Sequence[str],
    tell: Callable[[str], None],
) -> Ran:
    """Run a command in a container of its own, wait for its end, and remove it.

    Args:
        engine: The engine.
        service: As for `create_one_off`.
        image: What it is made of.
        words: The command.
        tell: Called with every line that it prints on stderr.

    Raises:
        LockHeld, WorkloadFailed: As `create_one_off` and `run_one_off` do.
    """
    container = create_one_off(engine, service, image, words)
    try:
        ran = run_one_off(engine, container, image, words, tell)
    except BaseException as error:
        if not _stands_still(error):
            _remove(engine, container)
        raise
    _remove(engine, container)
    return ran


def _stands_still(error: BaseException) -> bool:
    """Whether the engine stands still: whatever it is asked would be waited for again."""
    silent = isinstance(error, WorkloadFailed) and error.details.get("silent")
    return bool(silent)


def _remove(engine: Engine, container: str) -> None:
    with contextlib.suppress(WorkloadFailed):
        engine.remove(container, force=True)


def _body(
    content: Mapping[str, Any], old: Mapping[str, Any] | None, image: str, words: Sequence[str]
) -> dict[str, Any]:
    body = recipe_of(content, old, image).body
    host = dict(body["HostConfig"])
    host |= {
        "NetworkMode": "none",
        "RestartPolicy": {"Name": "no"},
        "PortBindings": {},
        "PublishAllPorts": False,
        "AutoRemove": False,
        "Links": None,
    }
    for name in ("NetworkingConfig", "Hostname", "Domainname", "MacAddress", "ExposedPorts"):
        body.pop(name, None)
    # What it is not: a service, Compose's container, or something with a health of its own.
    labels = {k: v for k, v in body.get("Labels", {}).items() if not k.startswith("com.docker.")}
    return body | {
        "HostConfig": host,
        "Entrypoint": [words[0]],
        "Cmd": list(words[1:]),
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {**labels, ONE_OFF_LABEL: content["Name"].lstrip("/")},
        "Tty": False,
        "OpenStdin": False,
    }


def _start(engine: Engine, container: str, image: str, words: Sequence[str]) -> None:
    try:
        engine.start(container)
    except WorkloadFailed as error:
        if "executable file not found" not in error.message and "no such file" not in error.message:
            raise
        raise WorkloadFailed(
            f"There is no {words[0]} in {image}",
            code="command-not-in-image",
            hint="Install orchctl in the image: pip install orchctl",
        ) from error


def _clear(engine: Engine, name: str) -> None:
    """Remove what a run left that was killed; not one at work, nor what others may need."""
    try:
        left = look(engine, name)
    except WorkloadFailed as error:
        if error.code == "no-such-container":
            return
        raise
    if left.running or STOPPED_LABEL in left.labels:
        raise LockHeld(
            f"{name} is there already: of an orchctl that is at work, or was killed",
            code="one-off-running",
            state="Nothing was changed",
            hint=f"docker logs -f {name} shows what it does; docker stop --time 60 {name} ends it",
        )
    engine.remove(left.id)


def _image(engine: Engine, reference: str) -> dict[str, Any] | None:
    try:
        return engine.image(reference)
    except WorkloadFailed as error:
        if error.code == "no-such-image":
            return None
        raise
