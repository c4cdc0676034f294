"""What the `k8s` commands show."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchctl.output import seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchctl.output import Output
    from orchctl.workloads.health import HealthResult
    from orchctl.workloads.kubernetes.events import EventFacts
    from orchctl.workloads.kubernetes.pods import ContainerState, PodFacts
    from orchctl.workloads.kubernetes.restart import Change
    from orchctl.workloads.kubernetes.rollout import Standstill
    from orchctl.workloads.kubernetes.shape import Hazard
    from orchctl.workloads.kubernetes.status import WorkloadStatus
    from orchctl.workloads.kubernetes.waiting import RolledOut

    Done = tuple[Change, tuple[Hazard, ...], HealthResult | None, float]
    Waited = tuple[str, RolledOut | None, Standstill | None, HealthResult | None]


def change_object(
    change: Change,
    dangers: Sequence[Hazard],
    answer: HealthResult | None,
    seconds: float,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    """One workload of `restart`, `set-image` and `rollback --json`."""
    return {
        "target": change.target,
        "namespace": change.after["metadata"].get("namespace"),
        "changed": change.changed,
        "dry_run": dry_run,
        "images": {"from": _images(change.before), "to": _images(change.after)},
        "waited": change.rolled is not None,
        "held": _held_object(change.held),
        "warnings": [{"id": one.id, "message": one.told} for one in dangers],
        "pods": [pod_object(one) for one in change.rolled.pods] if change.rolled else [],
        "answer": _answer_object(answer),
        "seconds": round(seconds, 3),
    }


def show_changes(output: Output, done: Sequence[Done], *, dry_run: bool) -> None:
    """A line for each workload."""
    for change, _, answer, seconds in done:
        output.line(
            f"{change.target}: {_outcome(change, answer, dry_run)} ({seconds_text(seconds)})"
        )


def _outcome(change: Change, answer: HealthResult | None, dry_run: bool) -> str:
    before, after = _images(change.before), _images(change.after)
    new = [f"{name}={image}" for name, image in after.items() if before.get(name) != image]
    what = f"image {', '.join(new)}" if new else "restarted"
    if not change.changed:
        what = "nothing to change"
    if dry_run:
        return f"{what} (server dry run, nothing was changed)"
    if change.rolled is None:
        return what if change.held else f"{what}, not waited for"
    ready = sum(one.ready for one in change.rolled.pods)
    said = f"; {answer.url} says {answer.told}" if answer else ""
    pods = change.rolled.pods
    told = f"{pods[0].name} is ready" if change.target.startswith("pod/") else f"{ready} ready"
    return f"{what}, {told}{said}"


def waited_object(
    target: str, rolled: RolledOut | None, held: Standstill | None, answer: HealthResult | None
) -> dict[str, Any]:
    """One workload of `wait --json`."""
    return {
        "target": target,
        "waited": rolled is not None,
        "held": _held_object(held),
        "pods": [pod_object(one) for one in rolled.pods] if rolled else [],
        "answer": _answer_object(answer),
        "seconds": round(rolled.seconds, 3) if rolled else 0.0,
    }


def show_waited(output: Output, done: Sequence[Waited]) -> None:
    """A line for each workload."""
    for target, rolled, _, answer in done:
        if rolled is None:
            output.line(f"{target}: not waited for")
            continue
        ready = sum(one.ready for one in rolled.pods)
        said = f"; {answer.url} says {answer.told}" if answer else ""
        output.line(f"{target}: {ready} ready{said} ({seconds_text(rolled.seconds)})")


def status_object(one: WorkloadStatus) -> dict[str, Any]:
    """One workload of `status --json`."""
    return {
        "target": one.target,
        "namespace": one.namespace,
        "good": one.good,
        "rollout": {"done": one.progress.done, "told": one.progress.told},
        "held": _held_object(one.held),
        "replicas": one.wanted,
        "ready": sum(pod.ready for pod in one.pods),
        "restarted_at": one.restarted_at or None,
        "images": one.images,
        "revision": one.revision,
        "run": one.run and asdict(one.run),
        "pods": [pod_object(pod) for pod in one.pods],
        "claims": [
            {
                "name": claim.name,
                "access_modes": list(claim.access_modes),
                "phase": claim.phase or None,
                "size": claim.size or None,
            }
            for claim in one.claims
        ],
        "warnings": [{"id": each.id, "message": each.told} for each in one.hazards],
    }


def pod_object(pod: PodFacts) -> dict[str, Any]:
    """A pod."""
    from orchctl.workloads.kubernetes.pods import why_not_ready

    return {
        "name": pod.name,
        "uid": pod.uid,
        "phase": pod.phase,
        "ready": pod.ready,
        "terminating": pod.terminating,
        "why": why_not_ready(pod) or None,
        "node": pod.node or None,
        "started_at": pod.started_at or None,
        "revision": pod.revision or None,
        "restarts": pod.restarts,
        "containers": [_container_object(one) for one in pod.containers],
    }


def _container_object(one: ContainerState) -> dict[str, Any]:
    return {
        "name": one.name,
        "image": one.image,
        "image_id": one.image_id or None,
        "ready": one.ready,
        "state": one.state,
        "reason": one.reason or None,
        "message": one.message or None,
        "exit_code": one.exit_code,
        "restarts": one.restarts,
    }


def show_statuses(
    output: Output,
    statuses: Sequence[WorkloadStatus],
    *,
    asked: bool,
    typed: Callable[[str], str],
) -> None:
    """Everything about each workload.

    Args:
        output: Where to.
        statuses: Of each.
        asked: Whether pods were asked for their database's revision.
        typed: Makes of a hint one that says where, as it was said on the command line.
    """
    from orchctl.workloads.kubernetes.pods import why_not_ready

    for number, one in enumerate(statuses):
        if number:
            output.line()
        output.line(f"{one.target} in {one.namespace}: {one.progress.told}", "bold")
        pairs = [(f"image {name}", image) for name, image in one.images.items()]
        pairs += [("restarted", one.restarted_at)] if one.restarted_at else []
        if asked:
            told = "no pod can tell" if one.revision is None else one.revision or "base"
            pairs.append(("database", told))
        pairs += [
            ("claim", " ".join(filter(None, (c.name, *c.access_modes, c.size, c.phase))))
            for c in one.claims
        ]
        output.fields(pairs)
        rows = [
            (
                pod.name,
                why_not_ready(pod) or "ready",
                str(pod.restarts),
                pod.started_at,
                pod.node,
                ", ".join(_digest(each) for each in pod.containers if each.image_id),
            )
            for pod in one.pods
        ]
        if rows:
            output.table(("pod", "state", "restarts", "started", "node", "image"), rows)
        for danger in one.hazards:
            output.warning(danger.told)
        if one.run:
            output.warning(f"{one.run.told(one.target)} ({typed(one.run.hint(one.target))})")
        elif one.held:
            output.warning(f"{one.held.told} ({typed(one.held.hint)})")


def _digest(one: ContainerState) -> str:
    return f"{one.name}@{one.image_id.rpartition('sha256:')[2][:12]}"


def event_object(one: EventFacts) -> dict[str, Any]:
    """One event of `events --json`."""
    return {
        "at": one.at or None,
        "type": one.type,
        "reason": one.reason,
        "about": one.about,
        "message": one.message,
    }


def show_events(output: Output, events: Sequence[EventFacts]) -> None:
    """A line for each event."""
    rows = [(one.at, one.type, one.reason, one.about, one.message) for one in events]
    if rows:
        output.table(("last seen", "type", "reason", "about", "message"), rows)
    else:
        output.note("No events; a cluster keeps them for an hour")


def _held_object(held: Standstill | None) -> dict[str, Any] | None:
    return {"reason": held.reason, "message": held.told} if held else None


def _answer_object(answer: HealthResult | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {"url": answer.url, "status": answer.status, "told": answer.told}


def _images(workload: dict[str, Any]) -> dict[str, str]:
    from orchctl.workloads.kubernetes.kinds import images_of

    return images_of(workload)
