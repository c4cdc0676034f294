"""A replacement that was killed half-way, brought to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.errors import Refused, TimedOut, WorkloadFailed
from orchctl.workloads.docker.set_aside import Unfinished, finish, is_replacement, put_back
from orchctl.workloads.docker.waiting import wait_until_healthy

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.restart import Waiting


def bring_to_an_end(engine: Engine, left: Unfinished, waiting: Waiting) -> str:
    """Keep the new container if it is up, else put the old one back.

    Args:
        engine: The engine.
        left: What `unfinished` found.
        waiting: What "up" means.

    Returns:
        What was done, one sentence.

    Raises:
        Refused: `recreate-unfinished`: what stands in its place was not made of it.
        WorkloadFailed: As Engine does.
    """
    if left.new is not None and not is_replacement(left):
        raise Refused(
            f"{left.old.name} was set aside, and what is called {left.name} now is not made of it: "
            "it has other files",
            code="recreate-unfinished",
            state="Nothing was changed",
            hint=f"Keep one of them: docker rm {left.old.name} (its volumes stay), or "
            f"docker rm --force {left.name} and again",
        )
    if left.new is not None and _came_up(engine, left.new.id, waiting):
        finish(engine, left)
        return f"The earlier replacement of {left.name} had come up: the old container is removed"
    put_back(engine, left)
    return f"The earlier replacement of {left.name} had not come up: the old container is back"


def _came_up(engine: Engine, container: str, waiting: Waiting) -> bool:
    try:
        wait_until_healthy(
            engine,
            container,
            waiting.check,
            timeout=waiting.timeout,
            on_wait=waiting.on_wait,
        )
    except TimedOut:
        return False
    except WorkloadFailed as error:
        if error.code in ("engine-away", "engine-permission"):
            raise
        return False
    return True
