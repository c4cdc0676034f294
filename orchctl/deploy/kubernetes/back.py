"""What taking the last run back comes to: its images, and its database where it changed one."""

from __future__ import annotations

from orchctl.deploy.kubernetes.goal import LAST_RUN, Goal, Wish
from orchctl.deploy.kubernetes.record import LAST, Record, read_record
from orchctl.errors import Refused
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import images_of


def goal_back(found: Found, wish: Wish) -> Goal:
    """What a rollback of the last run that went through is to do.

    The database goes back to the snapshot that was taken before that run, by the orchctl of the
    image that is there now: it knows both revisions.

    Args:
        found: The workload.
        wish: What was asked for.

    Raises:
        Refused: `no-deploy`, `changed-since`, `several-databases`, `would-discard-writes`;
            `unreadable-run`.
    """
    last = read_record(found.object, LAST)
    if last is None:
        raise _refused(
            f"No run of orchctl k8s on {found} is on record",
            "no-deploy",
            f"orchctl k8s rollback {found} takes back the image alone",
        )
    _require_same_images(found, last)
    databases = last.answer["databases"]
    if last.changed and len(databases) > 1:
        raise _refused(
            f"The last {last.command} of {found} changed several databases",
            "several-databases",
            "At zero replicas, in a pod on the claim: orchctl rollback; then orchctl k8s rollback",
        )
    if last.changed and not wish.accept_loss:
        raise _refused(
            f"What was written since the last {last.command} of {found} would be put aside",
            "would-discard-writes",
            "--accept-data-loss goes on (the present is kept as a snapshot)",
        )
    snapshot = databases[0]["snapshot"].get("id") or LAST_RUN
    return Goal(
        container=last.container,
        job_image=last.job_image,
        old_images=last.new_images,
        new_images=last.old_images,
        revision=databases[0].get("from") or "base",
        snapshot=snapshot if last.changed else "",
    )


def _require_same_images(found: Found, last: Record) -> None:
    now = images_of(found.object)
    expected = {last.container: last.job_image, **last.new_images}
    for name, image in expected.items():
        if now.get(name) != image:
            raise _refused(
                f"{found} has another image since its last {last.command}: "
                f"{now.get(name, 'none')} instead of {image}",
                "changed-since",
                f"orchctl k8s set-image {found} {name}={image}, then again",
            )


def _refused(told: str, code: str, hint: str) -> Refused:
    return Refused(told, code=code, state="Nothing was changed", hint=hint)
