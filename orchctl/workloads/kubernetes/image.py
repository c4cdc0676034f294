"""Other images for a workload: set, or taken from its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.errors import NegativeAnswer, UsageError
from orchctl.workloads.kubernetes.find import Found, pods_of
from orchctl.workloads.kubernetes.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    Object,
    controller_of,
    images_of,
    selector_text,
    template_of,
)
from orchctl.workloads.kubernetes.pods import read_pod
from orchctl.workloads.kubernetes.restart import Change, Patience, apply_change
from orchctl.workloads.kubernetes.rollout import revision_number

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster


@dataclass(frozen=True)
class Revision:
    """A template that a workload has, or had.

    Attributes:
        number: Which one; they have gaps after an undo.
        images: The image of each container, by its name.
        created_at: ISO 8601, UTC.
    """

    number: int
    images: dict[str, str]
    created_at: str


def set_image(cluster: Cluster, found: Found, words: Sequence[str], patience: Patience) -> Change:
    """Give containers other images.

    Args:
        cluster: The cluster.
        found: The workload.
        words: `IMAGE` for a workload with one container, else `CONTAINER=IMAGE`.
        patience: Whether and how long to wait.

    Raises:
        UsageError: `bad-image`.
        OrchctlError: As `apply_change` does.
    """
    _require_workload(found, "set-image")
    return apply_change(cluster, found, images_patch(found.object, _read(found, words)), patience)


def images_patch(workload: Object, images: dict[str, str]) -> Object:
    """The patch that gives containers their images, whichever list of the template has them."""
    spec, lists = template_of(workload), {}
    for key in ("initContainers", "containers"):
        names = [one["name"] for one in spec.get(key, ())]
        changed = [{"name": name, "image": images[name]} for name in names if name in images]
        if changed:
            lists[key] = changed
    return {"spec": {"template": {"spec": lists}}}


def history(cluster: Cluster, found: Found) -> list[Revision]:
    """The templates that a workload has had and the cluster still knows, the newest last."""
    kind = REPLICA_SET if found.kind is DEPLOYMENT else CONTROLLER_REVISION
    every, _ = cluster.every(kind, selector_text(found.object))
    uid = found.object["metadata"]["uid"]
    own = [one for one in every if (controller_of(one) or {}).get("uid") == uid]
    revisions = [
        Revision(revision_number(one), _images(one), one["metadata"].get("creationTimestamp", ""))
        for one in own
    ]
    return sorted(revisions, key=lambda one: one.number)


def rollback(
    cluster: Cluster, found: Found, patience: Patience, *, to_revision: int | None = None
) -> Change:
    """Go back to the images of an earlier revision.

    Only the images: a ConfigMap's name, a probe, the resources stay as they are now.

    Args:
        cluster: The cluster.
        found: The workload.
        patience: Whether and how long to wait.
        to_revision: Which one; None means the newest whose images are others than now.

    Raises:
        NegativeAnswer: `no-earlier-image`.
        UsageError: `no-such-revision`.
        OrchctlError: As `apply_change` does.
    """
    _require_workload(found, "rollback")
    chosen = earlier_revision(found, history(cluster, found), to_revision)
    patch = images_patch(found.object, chosen.images)
    stuck = _stuck_pods(cluster, found)

    def unstick() -> None:
        # A StatefulSet waits for the broken pod of the last template before it goes on with the
        # next: it has to be told to make that pod anew.
        # https://github.com/kubernetes/kubernetes/issues/67250
        for pod in stuck:
            cluster.delete(POD, pod["metadata"]["name"], uid=pod["metadata"]["uid"])

    return apply_change(cluster, found, patch, patience, unstick)


def earlier_revision(
    found: Found, revisions: Sequence[Revision], to_revision: int | None
) -> Revision:
    """The revision to go back to; raises as `rollback` does."""
    now = images_of(found.object)
    if to_revision is not None:
        for one in revisions:
            if one.number == to_revision:
                return one
        known = ", ".join(str(one.number) for one in revisions) or "none"
        raise UsageError(
            f"{found} has no revision {to_revision}",
            code="no-such-revision",
            hint=f"Known: {known}",
        )
    for one in reversed(revisions):
        if any(now.get(name, image) != image for name, image in one.images.items()):
            return one
    raise NegativeAnswer(
        f"{found} had no other image in the {len(revisions)} revisions that the cluster knows",
        code="no-earlier-image",
        state="Nothing was changed",
        hint=f"orchctl k8s set-image {found} IMAGE sets any",
    )


def _stuck_pods(cluster: Cluster, found: Found) -> list[Object]:
    if found.kind is not STATEFUL_SET:
        return []
    # Whatever they say of it at this moment: between two back-offs they seem to be starting.
    newest = found.object.get("status", {}).get("updateRevision")
    read = [(one, read_pod(one)) for one in pods_of(cluster, found)]
    return [
        one for one, pod in read if not (pod.ready or pod.terminating) and pod.revision == newest
    ]


def _images(revision: Object) -> dict[str, str]:
    if "data" not in revision:
        return images_of(revision)
    data: Any = revision["data"]
    return images_of(data)


def _read(found: Found, words: Sequence[str]) -> dict[str, str]:
    known = images_of(found.object)
    names = [one["name"] for one in template_of(found.object).get("containers", ())]
    images: dict[str, str] = {}
    for word in words:
        name, equals, image = word.partition("=")
        if not equals:
            name, image = (names[0] if len(names) == 1 else ""), word
        if not image or (name not in known and name != "*"):
            raise UsageError(
                f"{word!r} names no container and image of {found}",
                code="bad-image",
                hint=f"CONTAINER=IMAGE, its containers are {', '.join(known)}",
            )
        images |= dict.fromkeys(known, image) if name == "*" else {name: image}
    return images


def _require_workload(found: Found, command: str) -> None:
    if found.kind is POD:
        raise UsageError(
            f"{found} is a pod; {command} is for what makes pods",
            code="bad-target",
            hint="deployment/NAME, statefulset/NAME or daemonset/NAME",
        )
