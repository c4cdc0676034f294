"""What is wrong with a container that does not come up, told with its last words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from orchctl.errors import OrchctlError, WorkloadFailed

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

_LAST_LINES = 20
_SHOWN_LINES = 10
# What a shell and an engine mean by an exit code (128 + signal).
_MEANINGS = {
    125: "the engine could not start it",
    126: "its command can't be executed",
    127: "its command was not found",
    137: "killed",
    139: "segmentation fault",
    143: "ended by SIGTERM",
}
_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - looked for, not bound
Failure = TypeVar("Failure", bound=OrchctlError)


def trouble_of(facts: ContainerFacts, revived: int = 0) -> WorkloadFailed | None:
    """What keeps a container that was started from ever coming up.

    Args:
        facts: How it is.
        revived: How often its restart policy had revived it before it was started.

    Returns:
        The error, to be completed by `with_last_words`; None as long as it may come up.
    """
    ends = facts.restarts - revived
    if facts.state in ("restarting", "running") and ends >= 2:
        return WorkloadFailed(
            f"{facts.name} ends again and again: {ends} times, the last with {_end(facts)}",
            code="crash-loop",
            hint="orchctl docker logs shows all it said; docker stop ends the loop",
        )
    if facts.state in ("exited", "dead", "created", "removing"):
        told = f": {facts.trouble}" if facts.trouble else ""
        return WorkloadFailed(
            f"{facts.name} ended with {_end(facts)}{told}",
            code="container-ended",
            hint="orchctl docker logs shows all it said",
        )
    if facts.state == "paused":
        return WorkloadFailed(
            f"{facts.name} is paused", code="container-paused", hint="docker unpause lets it go on"
        )
    if facts.health == "unhealthy":
        last = facts.probes[-1] if facts.probes else None
        said = f": {_first(last.told) or f'exit code {last.exit_code}'}" if last else ""
        return WorkloadFailed(
            f"{facts.name} is unhealthy by its own check{said}",
            code="container-unhealthy",
            hint="orchctl docker status shows what its health check said",
        )
    return None


def with_last_words(engine: Engine, facts: ContainerFacts, error: Failure) -> Failure:
    """The error with state, exit code, out of memory or not, health log and last lines."""
    lines = engine.tail(facts.id, _LAST_LINES)
    state = f"{facts.name} is {facts.state}"
    if facts.state == "running" and facts.health:
        state += f" ({facts.health})"
    shown = [line for line in lines if line.strip()][-_SHOWN_LINES:]
    state += "; its last lines:\n  " + "\n  ".join(shown) if shown else "; it printed nothing"
    error.state, error.details = state, _details(facts, lines)
    return error


def not_published(engine: Engine, facts: ContainerFacts, url: str) -> int | None:
    """The port of a URL that leads to this container and nowhere else, but isn't published."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    by_itself = facts.network_mode == "host" or facts.network_mode.startswith("container:")
    if host not in _LOCAL or by_itself or not engine.address.local:
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if any(one.outside == port for one in facts.ports):
        return None
    # A proxy in a container of its own may lead to this one.
    elsewhere = engine.containers({"publish": [str(port)]}, ended=False)
    return None if elsewhere else port


def _end(facts: ContainerFacts) -> str:
    meaning = "out of memory" if facts.oom_killed else _MEANINGS.get(facts.exit_code)
    return f"exit code {facts.exit_code}" + (f" ({meaning})" if meaning else "")


def _details(facts: ContainerFacts, lines: tuple[str, ...]) -> dict[str, Any]:
    return {
        "container": facts.name,
        "id": facts.id,
        "state": facts.state,
        "health": facts.health,
        "exit_code": None if facts.state == "running" else facts.exit_code,
        "oom_killed": facts.oom_killed,
        "restarts": facts.restarts,
        "health_log": [
            {"at": one.at, "exit_code": one.exit_code, "told": one.told} for one in facts.probes
        ],
        "last_lines": list(lines),
    }


def _first(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
