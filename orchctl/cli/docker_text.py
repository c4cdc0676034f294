"""What the `docker` commands show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.output import seconds_text
from orchctl.workloads.docker.worker import is_alive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.deploy.record import Deployment
    from orchctl.output import Output
    from orchctl.workloads.docker.database import HeldDatabase
    from orchctl.workloads.docker.restart import Restarted
    from orchctl.workloads.docker.status import ContainerStatus
    from orchctl.workloads.docker.stoppage import Stoppage
    from orchctl.workloads.facts import ContainerFacts, Mount

_SHOWN_PROBES = 3


def restarted_object(one: Restarted) -> dict[str, Any]:
    """One container of `docker restart --json`."""
    answer = one.up.answer if one.up else None
    return {
        "name": one.container.name,
        "id": one.container.id,
        "image": one.container.image,
        "image_id": one.container.image_id,
        "state": one.container.state,
        "health": one.container.health,
        "waited": one.up is not None,
        "answer": answer and {"url": answer.url, "status": answer.status, "told": answer.told},
        "killed": one.killed,
        "seconds": round(one.seconds, 3),
    }


def show_restarted(output: Output, done: Sequence[Restarted]) -> None:
    """A line for each container."""
    for one in done:
        if one.killed:
            output.warning(f"{one.container.name} did not end within its grace and was killed")
        output.line(f"{one.container.name}: {_outcome(one)} ({seconds_text(one.seconds)})")


def _outcome(one: Restarted) -> str:
    if one.up is None:
        return f"restarted, {one.container.state}; not waited for"
    said = [one.container.health or "it stays up (it has no health check)"]
    if one.up.answer:
        said = [one.container.health] if one.container.health else []
        said.append(f"{one.up.answer.url} says {one.up.answer.told}")
    return f"up: {', '.join(said)}"


def status_object(one: ContainerStatus, deploy: Deployment | None) -> dict[str, Any]:
    """One container of `docker status --json`, with its deploy that is not over."""
    facts = one.facts
    return {
        "name": facts.name,
        "id": facts.id,
        "state": facts.state,
        "health": facts.health,
        "health_log": [
            {"at": probe.at, "exit_code": probe.exit_code, "told": probe.told}
            for probe in facts.probes
        ],
        "exit_code": None if facts.running else facts.exit_code,
        "oom_killed": facts.oom_killed,
        "restarts": facts.restarts,
        "restart_policy": facts.restart_policy,
        "image": facts.image,
        "image_id": facts.image_id,
        "digests": list(one.digests),
        "started_at": facts.started_at or None,
        "finished_at": facts.finished_at or None,
        "up_seconds": None if one.up_for is None else round(one.up_for, 3),
        "user": facts.user or "root",
        "ports": [str(port) for port in facts.ports],
        "mounts": [_mount_object(mount) for mount in facts.mounts],
        "database": one.database and _database_object(one.database),
        "other_writers": list(one.writers),
        "set_aside": one.unfinished.old.name if one.unfinished else None,
        "upgrade": one.stoppage and _stoppage_object(one.stoppage),
        "deploy": deploy and {"id": deploy.id, "stage": deploy.stage, "image": deploy.image},
    }


def _stoppage_object(stoppage: Stoppage) -> dict[str, Any]:
    return {
        "container": stoppage.name,
        "service": stoppage.service,
        "state": stoppage.state,
        "stopped": [one.name for one in stoppage.stopped],
        "host": stoppage.by.host,
        "pid": stoppage.by.pid,
        "alive": is_alive(stoppage.by),
    }


def _mount_object(mount: Mount) -> dict[str, Any]:
    return {
        "kind": mount.kind,
        "source": mount.source or None,
        "target": mount.target,
        "volume": mount.name or None,
        "writable": mount.writable,
    }


def _database_object(held: HeldDatabase) -> dict[str, Any]:
    return {
        "inside": str(held.inside),
        "outside": str(held.outside) if held.outside else None,
        "mounted": held.mount is not None,
        "revisions": None if held.revisions is None else list(held.revisions),
        "read_by": held.read_by,
        "unknown": held.unknown,
    }


def show_statuses(
    output: Output, statuses: Sequence[ContainerStatus], deploys: Sequence[Deployment | None]
) -> None:
    """A block for each container."""
    for number, (one, deploy) in enumerate(zip(statuses, deploys, strict=True)):
        if number:
            output.line()
        output.fields(_fields(one))
        if deploy:
            output.warning(
                f"Not over: {deploy.told}; orchctl deploy lock status {deploy.target} says whether "
                "it is at work, or was killed"
            )
        elif one.unfinished:
            name = one.unfinished.name
            output.warning(
                f"An earlier replacement of {name} was not brought to an end; "
                f"orchctl docker restart {name} does"
            )
        if one.stoppage:
            output.warning(_stoppage_text(one.stoppage))


def _stoppage_text(stoppage: Stoppage) -> str:
    if is_alive(stoppage.by):
        return f"{stoppage.told}; it is at work (docker logs -f {stoppage.name})"
    again = f"orchctl docker upgrade {stoppage.service}"
    return f"{stoppage.told}; it was not brought to an end: {again} does"


def _fields(one: ContainerStatus) -> list[tuple[str, str]]:
    facts = one.facts
    fields = [("container", f"{facts.name} ({facts.id[:12]})"), ("state", _state(one))]
    if facts.health:
        fields.append(("health", facts.health))
    fields += [
        ("", f"{probe.at[:19]}  exit {probe.exit_code}  {' '.join(probe.told.split())[:120]}")
        for probe in facts.probes[-_SHOWN_PROBES:]
    ]
    fields.append(("image", f"{facts.image} ({facts.image_id[:19]})"))
    fields += [("", digest) for digest in one.digests]
    fields.append(("restart policy", facts.restart_policy))
    if facts.ports:
        fields.append(("ports", ", ".join(map(str, facts.ports))))
    fields += _labelled("mounts", [_mount_text(mount) for mount in facts.mounts] or ["none"])
    if one.database is not None:
        fields += _database(one.database)
        if one.writers:
            fields.append(("also writes there", ", ".join(one.writers)))
    return fields


def _state(one: ContainerStatus) -> str:
    facts = one.facts
    if one.up_for is not None:
        return f"{facts.state} for {seconds_text(one.up_for)}{_restarts(facts)}"
    if facts.state == "created":
        return "created, never started"
    killed = ", out of memory" if facts.oom_killed else ""
    return f"{facts.state} (exit code {facts.exit_code}{killed}){_restarts(facts)}"


def _restarts(facts: ContainerFacts) -> str:
    return f", restarted {facts.restarts} times by its engine" if facts.restarts else ""


def _mount_text(mount: Mount) -> str:
    what = f"volume {mount.name}" if mount.kind == "volume" else mount.source or mount.kind
    return f"{mount.target}  {what}" + ("" if mount.writable else "  (read-only)")


def _database(held: HeldDatabase) -> list[tuple[str, str]]:
    where = f"{held.inside} inside"
    if held.mount is None:
        where += ", on the container's own layer: gone when it is recreated"
    elif held.mount.kind == "tmpfs":
        where += ", in memory: a restart empties it"
    elif held.outside is not None:
        where += f", {held.outside} here"
    if held.unknown:
        revision = f"unknown: {held.unknown}"
    else:
        revision = ", ".join(held.revisions or ()) or "none (never migrated)"
    return [("database", where), ("revision", revision)]


def _labelled(label: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(label if not number else "", line) for number, line in enumerate(lines)]
