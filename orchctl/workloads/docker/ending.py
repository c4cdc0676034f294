"""Whether a container that runs is about to end, because somebody has asked for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from orchctl.workloads.docker.logs import unix_time

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


def is_being_stopped(engine: Engine, facts: ContainerFacts) -> bool:
    """Whether a container was told to end since its start: its engine goes on with that.

    An engine that has forgotten (it keeps a few hundred events) says no.

    Args:
        engine: The engine.
        facts: A container that runs.

    Raises:
        WorkloadFailed: As Engine does.
    """
    began = unix_time(facts.started_at)
    meant = (str(signal.SIGKILL.value), _number(facts.stop_signal))
    return any(
        event.get("Action") == "kill"
        and event["timeNano"] / 1e9 > began
        and event["Actor"]["Attributes"].get("signal") in meant
        for event in engine.past_events(facts.id, began)
    )


def _number(name: str) -> str:
    """The number of a signal, as events have it."""
    name = name.upper()
    found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    return str(found.value) if isinstance(found, signal.Signals) else name
