"""A command in a container of its own: an image, and the mounts, variables and user of a service.

It has no network and no restart policy, and is removed when its command ends, or when we do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.config import masked_url
from orchctl.errors import LockHeld, WorkloadFailed
from orchctl.workloads.docker.configuration import recipe_of
from orchctl.workloads.docker.find import look

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

ONE_OFF = ".one-off-by-orchctl"
# Seconds that a command has to unwind; an upgrade that is killed is undone by SQLite.
_GRACE = 10.0


@dataclass(frozen=True)
class Ran:
    """A command that ended: its exit code, and what it printed on stdout."""

    exit_code: int
    stdout: str


def run_once(
    engine: Engine,
    service: ContainerFacts,
    image: str,
    words: Sequence[str],
    tell: Callable[[str], None],
) -> Ran:
    """Run a command in a container of its own, and wait for its end.

    Args:
        engine: The engine.
        service: Whose mounts, variables, user and limits it gets; may run meanwhile.
        image: What it is made of.
        words: The command.
        tell: Called with every line that it prints on stderr.

    Raises:
        LockHeld: `one-off-running`: an earlier one for the same service is at it still.
        WorkloadFailed: `command-not-in-image`; as Engine does.
    """
    name = service.name + ONE_OFF
    _clear(engine, name)
    content = engine.inspect(service.id)
    body = _body(content, _image(engine, service.image_id), image, words)
    container = engine.create(body, name)
    try:
        stream = engine.ask(
            engine.api.attach, container, stdout=True, stderr=True, stream=True, demux=True
        )
        _start(engine, container, image, words)
        out = _heard(stream, tell)
        # The stream may have been cut; what the engine says of its end counts.
        code = int(engine.ask(engine.api.wait, container, timeout=None)["StatusCode"])
        return Ran(code, out)
    except BaseException:
        # Ctrl-C: it shall unwind like one here, not be killed in the middle.
        with contextlib.suppress(WorkloadFailed):
            engine.stop(container, _GRACE)
        raise
    finally:
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
        "Labels": {**labels, "orchctl.one-off": content["Name"].lstrip("/")},
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


def _heard(stream: Any, tell: Callable[[str], None]) -> str:
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    out, rest = bytearray(), b""
    with contextlib.suppress(RequestException, HTTPError, OSError):
        for stdout, stderr in stream:
            out += stdout or b""
            *lines, rest = (rest + (stderr or b"")).split(b"\n")
            for line in lines:
                if line.strip():
                    tell(masked_url(line.decode(errors="replace").rstrip()))
    if rest.strip():
        tell(masked_url(rest.decode(errors="replace").rstrip()))
    return out.decode(errors="replace")


def _clear(engine: Engine, name: str) -> None:
    """Remove what a run left that was killed; one that is at work is waited for by nobody."""
    try:
        left = look(engine, name)
    except WorkloadFailed as error:
        if error.code == "no-such-container":
            return
        raise
    if left.running:
        raise LockHeld(
            f"{name} is at work still: an earlier orchctl started it and was killed",
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
