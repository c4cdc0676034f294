"""Deployments: one ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

import math

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.loop import soonest
from tests.kubernetes.fake.controllers.owned import (
    is_going,
    is_over,
    owned,
    reference,
    template_hash,
)
from tests.kubernetes.fake.controllers.progress import progressing, sync_paused, write_status
from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, create, delete, mutate

_BY = "deployment-controller"
_PREFIX = "deployment.kubernetes.io/"
REVISION = f"{_PREFIX}revision"


def reconcile(state: State) -> float | None:
    again: float | None = None
    for deployment in state.store.all(DEPLOYMENTS):
        if not is_going(deployment):
            again = soonest(again, _Rollout(state.store, deployment).step())
    return again


class _Rollout:
    """One look at one Deployment, and the one step that follows from it."""

    def __init__(self, store: Store, deployment: Json) -> None:
        self.store = store
        self.deployment = deployment
        self.meta = deployment["metadata"]
        self.spec = deployment["spec"]
        self._read()

    def _read(self) -> None:
        self.all = owned(self.store, REPLICA_SETS, self.deployment)
        wanted = template_hash(self.spec["template"])
        self.new = next(
            (each for each in self.all if template_hash(each["spec"]["template"]) == wanted), None
        )
        self.old = [each for each in self.all if each is not self.new]

    def step(self) -> float | None:
        sync_paused(self.store, self.deployment)
        if self.spec.get("paused"):
            self._scale_paused()
        elif self.spec["strategy"]["type"] == "Recreate":
            self._recreate()
        else:
            self._roll()
        self._read()
        again = write_status(self.store, self.meta, self.all, self.new)
        if not self.spec.get("paused"):
            self._forget()
        return again

    def _scale_paused(self) -> None:
        active = [each for each in self.all if each["spec"]["replicas"]] or self.all[-1:]
        if len(active) == 1:
            self._scale(active[0], self.spec["replicas"])

    def _recreate(self) -> None:
        for each in self.old:
            self._scale(each, 0)
        running = [
            pod for each in self.old for pod in owned(self.store, PODS, each) if not is_over(pod)
        ]
        if not running:
            self._have_new(self.spec["replicas"])
            assert self.new is not None
            self._scale(self.new, self.spec["replicas"])

    def _roll(self) -> None:
        wanted = self.spec["replicas"]
        surge, unavailable = self._limits()
        total = sum(each["spec"]["replicas"] for each in self.all)
        present = self.new["spec"]["replicas"] if self.new else 0
        room = max(0, wanted + surge - total)
        self._have_new(min(wanted, room))
        assert self.new is not None
        target = min(wanted, present + room) if present < wanted else wanted
        if target != self.new["spec"]["replicas"]:
            self._scale(self.new, target)
        elif any(each["spec"]["replicas"] for each in self.old):
            self._shrink_old(wanted - unavailable)

    def _limits(self) -> tuple[int, int]:
        rolling = self.spec["strategy"].get("rollingUpdate") or {}
        surge = _share(rolling.get("maxSurge", "25%"), self.spec["replicas"], up=True)
        unavailable = _share(rolling.get("maxUnavailable", "25%"), self.spec["replicas"], up=False)
        return surge, unavailable if surge or unavailable else 1

    def _shrink_old(self, at_least: int) -> None:
        assert self.new is not None
        total = sum(each["spec"]["replicas"] for each in self.all)
        new_missing = self.new["spec"]["replicas"] - _available(self.new)
        room = total - at_least - new_missing
        if room <= 0:
            return  # the old ones' statuses may still count a pod that was just told to go
        for each in self.old:
            unhealthy = each["spec"]["replicas"] - _available(each)
            down = min(room, unhealthy)
            if down > 0:
                self._scale(each, each["spec"]["replicas"] - down)
                room -= down
        self._read()
        spare = sum(_available(each) for each in self.all) - at_least
        for each in self.old:
            down = min(spare, each["spec"]["replicas"])
            if down > 0:
                self._scale(each, each["spec"]["replicas"] - down)
                spare -= down

    def _have_new(self, replicas: int) -> None:
        """The ReplicaSet of the present template, with the highest revision."""
        revision = max((_revision(each) for each in self.old), default=0) + 1
        if self.new is None:
            self._create_new(replicas, revision)
            said = f'Created new replica set "{self._new_name()}"'
            progressing(self.store, self.meta, "NewReplicaSetCreated", said)
        elif _revision(self.new) < revision:
            self._renumber(revision)
            said = f'Found new replica set "{self._new_name()}"'
            progressing(self.store, self.meta, "FoundNewReplicaSet", said)
        assert self.new is not None
        number = self.new["metadata"]["annotations"][REVISION]

        def annotate(body: Json) -> None:
            body["metadata"].setdefault("annotations", {})[REVISION] = number

        mutate(self.store, DEPLOYMENTS, self.meta["namespace"], self.meta["name"], annotate)

    def _new_name(self) -> str:
        return f"{self.meta['name']}-{template_hash(self.spec['template'])}"

    def _create_new(self, replicas: int, revision: int) -> None:
        template = copied(self.spec["template"])
        added = {"pod-template-hash": template_hash(template)}
        template["metadata"].setdefault("labels", {}).update(added)
        selector = copied(self.spec["selector"])
        selector.setdefault("matchLabels", {}).update(added)
        body: Json = {
            "metadata": {
                "name": self._new_name(),
                "namespace": self.meta["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {**self._sizes(), REVISION: str(revision)},
                "ownerReferences": [reference(self.deployment)],
            },
            "spec": {"replicas": replicas, "selector": selector, "template": template},
        }
        if self.spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = self.spec["minReadySeconds"]
        self.new = create(self.store, REPLICA_SETS, body)
        if replicas:
            self._tell("up", self._new_name(), 0, replicas)

    def _renumber(self, revision: int) -> None:
        """An old template again: its ReplicaSet gets the next number, the one it had is a gap."""
        assert self.new is not None

        def change(body: Json) -> None:
            annotations = body["metadata"]["annotations"]
            had = [annotations.get(f"{REVISION}-history"), annotations[REVISION]]
            annotations[f"{REVISION}-history"] = ",".join(filter(None, had))
            annotations[REVISION] = str(revision)

        meta = self.new["metadata"]
        self.new = mutate(self.store, REPLICA_SETS, meta["namespace"], meta["name"], change)

    def _sizes(self) -> dict[str, str]:
        replicas = self.spec["replicas"]
        return {
            f"{_PREFIX}desired-replicas": str(replicas),
            f"{_PREFIX}max-replicas": str(replicas + self._limits()[0]),
        }

    def _scale(self, replica_set: Json, replicas: int) -> None:
        before = replica_set["spec"]["replicas"]
        if before == replicas:
            return

        def change(body: Json) -> None:
            body["spec"]["replicas"] = replicas
            body["metadata"]["annotations"].update(self._sizes())

        meta = replica_set["metadata"]
        mutate(self.store, REPLICA_SETS, meta["namespace"], meta["name"], change)
        self._tell("up" if replicas > before else "down", meta["name"], before, replicas)

    def _tell(self, way: str, name: str, before: int, after: int) -> None:
        said = f"Scaled {way} replica set {name} from {before} to {after}"
        events.record(self.store, self.deployment, "ScalingReplicaSet", said, by=_BY)

    def _forget(self) -> None:
        """ReplicaSets beyond revisionHistoryLimit go, once the rollout is complete."""
        idle = [
            each
            for each in sorted(self.old, key=_revision)
            if not each["spec"]["replicas"] and not each["status"]["replicas"]
        ]
        excess = len(idle) - self.spec["revisionHistoryLimit"]
        for each in idle[: max(0, excess)]:
            meta = each["metadata"]
            try:
                delete(self.store, REPLICA_SETS, meta["namespace"], meta["name"], DeleteOptions())
            except Refused:
                continue


def _available(replica_set: Json) -> int:
    return int(replica_set["status"].get("availableReplicas", 0))


def _revision(replica_set: Json) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def _share(value: int | str, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = of * int(value.rstrip("%")) / 100
    return math.ceil(exact) if up else math.floor(exact)
