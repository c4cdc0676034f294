"""What is wrong with a container that does not come up, told with its last words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchctl.errors import WorkloadFailed

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
_HINTS = {
    "container-ended": "orchctl docker logs shows all it said",
    "crash-loop": "orchctl docker logs shows all it said; docker stop ends the loop",
    "container-unhealthy": "orchctl docker status shows what its health check said",
    "container-paused": "docker unpause lets it go on",
    "port-not-published": "Publish it (docker run -p, ports: in the Compose file), or ask another "
    "URL with --health",
    "port-silent": "Does the service listen on 0.0.0.0, and on the port that is published?",
}


def trouble_of(facts: ContainerFacts, revived: int = 0) -> tuple[str, str] | None:
    """What keeps a container that was started from ever coming up.

    Args:
        facts: How it is.
        revived: How often its restart policy had revived it before it was started.

    Returns:
        An error code and a sentence; None as long as it may come up.
    """
    ends = facts.restarts - revived
    if facts.state in ("restarting", "running") and ends >= 2:
        told = f"{facts.name} ends again and again: {ends} times, the last with {_end(facts)}"
        return "crash-loop", told
    if facts.state in ("exited", "dead", "created", "removing"):
        told = f"{facts.name} ended with {_end(facts)}"
        if facts.trouble:
            told += f": {facts.trouble}"
        return "container-ended", told
    if facts.state == "paused":
        return "container-paused", f"{facts.name} is paused"
    if facts.health == "unhealthy":
        last = facts.probes[-1] if facts.probes else None
        said = f": {_first(last.told) or f'exit code {last.exit_code}'}" if last else ""
        return "container-unhealthy", f"{facts.name} is unhealthy by its own check{said}"
    return None


def failure(engine: Engine, facts: ContainerFacts, code: str, told: str) -> WorkloadFailed:
    """The error for it: with state, exit code, out of memory or not, health log, last lines."""
    lines = engine.tail(facts.id, _LAST_LINES)
    state = f"{facts.name} is {facts.state}"
    if facts.state == "running" and facts.health:
        state += f" ({facts.health})"
    shown = [line for line in lines if line.strip()][-_SHOWN_LINES:]
    state += "; its last lines:\n  " + "\n  ".join(shown) if shown else "; it printed nothing"
    return WorkloadFailed(
        told, code=code, state=state, hint=_HINTS.get(code), details=_details(facts, lines)
    )


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
