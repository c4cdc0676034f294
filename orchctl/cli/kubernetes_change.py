"""Changing workloads and waiting for what comes of it: `restart`, `set-image`, `rollback`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchctl.cli.invocation import heard_or_not
from orchctl.cli.kubernetes_cluster import Place, deadline_of, in_place, looked_up
from orchctl.cli.kubernetes_text import change_object, show_changes
from orchctl.errors import TimedOut, WorkloadFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchctl.cli.invocation import Invocation
    from orchctl.cli.kubernetes_text import Done
    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.health import HealthResult
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found
    from orchctl.workloads.kubernetes.restart import Change, Patience


def change_workloads(
    invocation: Invocation,
    place: Place,
    how: Callable[[Cluster, Found, Patience], Change],
    check: Check | None,
    *,
    wait: bool,
    timeout: str | None,
    dry_run: bool,
) -> None:
    """Change the workloads of a target, and tell what became of each."""
    output = invocation.output
    done = changed_workloads(
        invocation, place, how, check, wait=wait, timeout=timeout, dry_run=dry_run
    )
    objects = [change_object(*one, dry_run=dry_run) for one in done]
    output.result(
        {"ok": True, "workloads": objects}, lambda: show_changes(output, done, dry_run=dry_run)
    )


def changed_workloads(
    invocation: Invocation,
    place: Place,
    how: Callable[[Cluster, Found, Patience], Change],
    check: Check | None,
    *,
    wait: bool = True,
    timeout: str | None = None,
    dry_run: bool = False,
) -> list[Done]:
    """Change the workloads of a target, one after the other; the first that fails ends it."""
    output, began = invocation.output, time.monotonic()
    deadline = deadline_of(invocation, timeout)
    done: list[Done] = []
    with looked_up(invocation, place, patient_until=deadline) as (cluster, every):
        from orchctl.workloads.kubernetes.restart import Patience
        from orchctl.workloads.kubernetes.shape import hazards, read_claims

        for found in every:
            claims = read_claims(cluster, found.kind, found.object)
            dangers = hazards(found.kind, found.object, claims)
            for danger in dangers:
                output.warning(danger.told)
            change = how(
                cluster, found, Patience(wait, deadline, heard_or_not(output.note), dry_run)
            )
            answer = None
            if check is not None and change.rolled is not None:
                answer = healthy(invocation, str(found), check, deadline)
            if change.held is not None:
                hint = in_place(invocation, place, change.held.hint)
                output.warning(f"{change.held.told} ({hint})")
            done.append((change, dangers, answer, time.monotonic() - began))
    return done


def healthy(invocation: Invocation, target: str, check: Check, deadline: float) -> HealthResult:
    """Wait until the health check is good, too.

    Raises:
        TimedOut: `no-answer`.
        WorkloadFailed: `unhealthy`.
    """
    from orchctl.workloads.health import wait_healthy

    left = max(1.0, deadline - time.monotonic())
    note = invocation.output.note
    told: list[str] = []

    def on_wait(answer: HealthResult) -> None:
        if answer.told not in told[-1:]:
            told.append(answer.told)
            note(f"Waiting for {answer.url}: {answer.told}")

    found = wait_healthy(
        check.url, check.headers, left, 0.5, check.expect, check.trust, on_wait=on_wait
    )
    if found.healthy:
        return found
    message = f"{target} is rolled out, but {found.url} is not good: {found.told}"
    hint = f"orchctl k8s logs {target}; orchctl k8s rollback {target} goes back to the image before"
    details = {"url": found.url, "status": found.status, "told": found.told}
    if found.status is None:
        raise TimedOut(message, code="no-answer", hint=hint, details=details)
    raise WorkloadFailed(message, code="unhealthy", hint=hint, details=details)
