"""What every step of a deploy works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.workloads.docker.restart import Waiting

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.deploy.hooks import Hooks
    from orchctl.deploy.record import Deployment
    from orchctl.upgrade.report import Listener
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.docker.listening import Check


@dataclass(frozen=True)
class Means:
    """What every step of a deploy works with.

    Attributes:
        settings: The run's settings, with the containers' database in them.
        engine: Where the containers are.
        listener: Who hears of the progress.
        hooks: The project's own commands.
        check: The URL that must answer; its headers are in no record.
    """

    settings: Settings
    engine: Engine
    listener: Listener
    hooks: Hooks
    check: Check | None

    def waiting(self, deployment: Deployment) -> Waiting:
        """What a start is followed by."""
        return Waiting(timeout=deployment.timeout, check=self.check, on_wait=self.listener.running)

    def run_hook(self, moment: str, deployment: Deployment) -> None:
        """Run the project's command for a moment; raises as `Hooks.run`."""
        self.hooks.run(moment, facts_of(deployment), self.listener)


def facts_of(deployment: Deployment) -> Mapping[str, str]:
    """What a hook is told, by the name of its variable without the ORCHCTL_."""
    replaced = [one for one in deployment.containers if one.replaced]
    return {
        "deploy": deployment.id,
        "target": deployment.target,
        "containers": " ".join(one.name for one in replaced),
        "database": deployment.database,
        "image": deployment.image,
        "image_id": deployment.image_id,
        "previous_image": replaced[0].image_id,
        "revision_from": ",".join(deployment.before),
        "revision_to": ",".join(deployment.after) or deployment.revision,
        "snapshot": deployment.snapshot or "",
        "failure": (deployment.failure or {}).get("message", ""),
    }
