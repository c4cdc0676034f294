"""The images of a deploy: found, built, waited for; the old one kept from being pruned."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.errors import ConfigurationError, OperationFailed, TimedOut, UsageError, WorkloadFailed

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine

_PREVIOUS = "orchctl-previous"
_PAUSE = 3.0  # seconds between two questions to a registry
_PULL = 600.0  # seconds that the engine may take to answer while it pulls


def require_image(engine: Engine, reference: str) -> str:
    """The id of an image that the engine has.

    Raises:
        WorkloadFailed: `no-such-image`; as Engine does.
    """
    try:
        return str(engine.image(reference)["Id"])
    except WorkloadFailed as error:
        if error.code != "no-such-image":
            raise
        raise WorkloadFailed(
            f"The engine has no image {reference}",
            code="no-such-image",
            state="Nothing was changed",
            hint=f"docker pull {reference}; --wait-image {reference} pulls it as soon as it is "
            "there; --build builds it",
        ) from error


def wait_for_image(
    engine: Engine, reference: str, timeout: float, on_wait: Callable[[str], None]
) -> str:
    """Pull an image as soon as its registry has it; one that only the engine has will do.

    Args:
        engine: The engine.
        reference: The image's name, with tag or digest.
        timeout: Seconds.
        on_wait: Called with what is in the way, whenever that changes.

    Returns:
        Its id.

    Raises:
        TimedOut: `no-image-in-time`.
        WorkloadFailed: As Engine does.
    """
    until, told = time.monotonic() + timeout, ""
    while True:
        trouble = _pulled(engine, reference)
        try:
            return str(engine.image(reference)["Id"])
        except WorkloadFailed as error:
            if error.code != "no-such-image":
                raise
        if trouble and trouble != told:
            told = trouble
            on_wait(f"Waiting for {reference}: {trouble}")
        left = until - time.monotonic()
        if left <= 0:
            raise TimedOut(
                f"There is no image {reference} after {timeout:g}s" + (f": {told}" if told else ""),
                code="no-image-in-time",
                state="Nothing was changed",
                hint="Was it pushed under that name? --timeout waits longer",
            )
        time.sleep(min(_PAUSE, left))


def _pulled(engine: Engine, reference: str) -> str:
    """Ask the registry for an image; what was in the way, "" when it came."""
    try:
        for line in engine.ask(engine.api.pull, reference, stream=True, decode=True):
            if line.get("error"):
                return str(line["error"])
    except WorkloadFailed as error:
        if error.code in ("engine-away", "engine-permission"):
            raise
        return error.message
    return ""


def build_image(
    reference: str, folder: Path, tell: Callable[[str], None], file: Path | None = None
) -> None:
    """Build an image with `docker build`, which knows BuildKit, contexts and credentials.

    Args:
        reference: What it is called.
        folder: With what it is built from.
        tell: Called with every line that docker says.
        file: The Dockerfile; None takes the folder's.

    Raises:
        UsageError: `bad-image-name`: the image is named by a digest or an id.
        ConfigurationError: `no-docker`: there is no docker on the PATH.
        OperationFailed: `build-failed`.
    """
    if "@" in reference or re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", reference):
        raise UsageError(
            f"{reference} can't be the name of what is built",
            code="bad-image-name",
            hint="--image NAME:TAG names it",
        )
    words = ["docker", "build", "--tag", reference, *(["--file", str(file)] if file else [])]
    last: list[str] = []
    try:
        with subprocess.Popen(
            [*words, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as building:
            for line in building.stdout or ():
                last = [*last[-9:], line.rstrip()]
                tell(line.rstrip())
    except FileNotFoundError as error:
        raise ConfigurationError(
            "--build needs the docker command, which is not on the PATH", code="no-docker"
        ) from error
    if building.returncode:
        raise OperationFailed(
            f"docker build ended with {building.returncode}: " + " / ".join(last[-3:]),
            code="build-failed",
            state="Nothing was changed",
            hint=f"{' '.join(words)} {folder} shows all of it",
        )


def keep_previous(engine: Engine, container: str, image_id: str) -> None:
    """Give the image that a container ran a name, so that no prune takes what we may go back to.

    Raises:
        WorkloadFailed: As Engine does.
    """
    tag = re.sub(r"[^\w.-]", "-", container)[:128].lstrip(".-")
    engine.ask(engine.api.tag, image_id, _PREVIOUS, tag or "container", force=True)
