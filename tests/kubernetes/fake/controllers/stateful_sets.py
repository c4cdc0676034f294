"""StatefulSets: named pods with claims of their own, one after the other.

After pkg/controller/statefulset/stateful_set_control.go, its stuck update included: a pod that
never becomes ready is waited for even when the template was put right meanwhile.
"""

from __future__ import annotations

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.loop import soonest
from tests.kubernetes.fake.controllers.owned import (
    counts,
    create_pod,
    delete_pod,
    is_going,
    is_over,
    is_ready,
    owned,
    pod_from,
    reference,
    unavailable_for,
)
from tests.kubernetes.fake.controllers.revisions import HASH_LABEL, current, forget
from tests.kubernetes.fake.copies import copied
from tests.kubernetes.fake.resources import CLAIMS, PODS, REVISIONS, STATEFUL_SETS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import create, mutate

_BY = "statefulset-controller"


def reconcile(state: State) -> float | None:
    again: float | None = None
    for stateful_set in state.store.all(STATEFUL_SETS):
        if not is_going(stateful_set):
            again = soonest(again, _Sync(state.store, stateful_set).step())
    return again


class _Sync:
    """One look at one StatefulSet: its pods by ordinal, and what is to be done next."""

    def __init__(self, store: Store, stateful_set: Json) -> None:
        self.store = store
        self.set = stateful_set
        self.meta = stateful_set["metadata"]
        self.spec = stateful_set["spec"]
        self.ordered = self.spec["podManagementPolicy"] == "OrderedReady"
        self.update = current(store, stateful_set)
        self.update_name: str = self.update["metadata"]["name"]
        self.current_name: str = stateful_set["status"].get("currentRevision", self.update_name)
        self.first = (self.spec.get("ordinals") or {}).get("start", 0)

    def step(self) -> float | None:
        self._write_status()
        self._act()
        again = self._write_status()
        forget(self.store, self.set, {self.update_name, self.current_name})
        return again

    def _pods(self) -> dict[int, Json]:
        found: dict[int, Json] = {}
        for pod in owned(self.store, PODS, self.set):
            number = pod["metadata"]["name"].rpartition("-")[2]
            if number.isdigit():
                found[int(number)] = pod
        return found

    def _act(self) -> None:
        pods = self._pods()
        wanted = range(self.first, self.first + self.spec["replicas"])
        if any(not self._bring_up(number, pods.get(number)) for number in wanted):
            return
        if self._bring_down(pods, wanted) or self.spec["updateStrategy"]["type"] == "OnDelete":
            return
        self._roll(self._pods(), wanted)

    def _bring_up(self, number: int, pod: Json | None) -> bool:
        """Whether the next ordinal may be looked at."""
        if pod is not None and is_over(pod) and not is_going(pod):
            self._delete(pod)
            return not self.ordered
        if pod is None:
            self._create(number)
            return not self.ordered
        return not self.ordered or (is_ready(pod) and not is_going(pod) and self._lasts(pod))

    def _lasts(self, pod: Json) -> bool:
        return unavailable_for(pod, self.spec.get("minReadySeconds", 0)) == 0

    def _bring_down(self, pods: dict[int, Json], wanted: range) -> bool:
        """Whether pods beyond the wanted ones are still going."""
        condemned = sorted((each for each in pods if each not in wanted), reverse=True)
        for number in condemned:
            pod = pods[number]
            if not is_going(pod):
                self._bequeath(pod)
                self._delete(pod)
            if self.ordered:
                return True
        return bool(condemned)

    def _bequeath(self, pod: Json) -> None:
        """whenScaled: Delete gives a claim to the pod that goes, and both go together."""
        if self.spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] != "Delete":
            return
        for template in self.spec.get("volumeClaimTemplates") or []:
            name = f"{template['metadata']['name']}-{pod['metadata']['name']}"

            def give(claim: Json) -> None:
                claim["metadata"]["ownerReferences"] = [
                    {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "name": pod["metadata"]["name"],
                        "uid": pod["metadata"]["uid"],
                    }
                ]

            mutate(self.store, CLAIMS, self.meta["namespace"], name, give)

    def _roll(self, pods: dict[int, Json], wanted: range) -> None:
        partition = (self.spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
        for number in sorted(wanted, reverse=True):
            pod = pods.get(number)
            if number < self.first + partition:
                return
            if pod is None or is_going(pod):
                return
            if _revision(pod) != self.update_name:
                self._delete(pod)
                return
            if not is_ready(pod):
                return

    def _create(self, number: int) -> None:
        name = f"{self.meta['name']}-{number}"
        self._claim(name)
        revision = self._revision_for(number)
        pod = pod_from(revision["data"]["spec"]["template"], self.set)
        meta = pod["metadata"]
        meta["name"] = name
        meta.setdefault("labels", {}).update(
            {
                "apps.kubernetes.io/pod-index": str(number),
                HASH_LABEL: revision["metadata"]["name"],
                "statefulset.kubernetes.io/pod-name": name,
            }
        )
        pod["spec"] |= {"hostname": name, "subdomain": self.spec.get("serviceName", "")}
        volumes = [
            {
                "name": each["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{each['metadata']['name']}-{name}"},
            }
            for each in self.spec.get("volumeClaimTemplates") or []
        ]
        if volumes or pod["spec"].get("volumes"):
            pod["spec"]["volumes"] = volumes + (pod["spec"].get("volumes") or [])
        if create_pod(self.store, pod) is not None:
            self._tell("SuccessfulCreate", f"create Pod {name} in StatefulSet %s successful")

    def _revision_for(self, number: int) -> Json:
        strategy = self.spec["updateStrategy"]
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        if strategy["type"] == "RollingUpdate" and number < self.first + partition:
            held = self.store.find(REVISIONS, self.meta["namespace"], self.current_name)
            return held or self.update
        return self.update

    def _claim(self, pod: str) -> None:
        for template in self.spec.get("volumeClaimTemplates") or []:
            name = f"{template['metadata']['name']}-{pod}"
            if self.store.find(CLAIMS, self.meta["namespace"], name) is not None:
                continue
            meta = copied(template["metadata"])
            labels = {**(meta.get("labels") or {}), **self.spec["selector"].get("matchLabels", {})}
            meta |= {"name": name, "namespace": self.meta["namespace"], "labels": labels}
            if self.spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete":
                meta["ownerReferences"] = [reference(self.set)]
            create(self.store, CLAIMS, {"metadata": meta, "spec": copied(template["spec"])})
            self._tell(
                "SuccessfulCreate", f"create Claim {name} Pod {pod} in StatefulSet %s success"
            )

    def _delete(self, pod: Json) -> None:
        delete_pod(self.store, pod)
        name = pod["metadata"]["name"]
        self._tell("SuccessfulDelete", f"delete Pod {name} in StatefulSet %s successful")

    def _tell(self, reason: str, said: str) -> None:
        events.record(self.store, self.set, reason, said % self.meta["name"], by=_BY)

    def _write_status(self) -> float | None:
        pods = list(self._pods().values())
        waits = [unavailable_for(each, self.spec.get("minReadySeconds", 0)) for each in pods]
        staying = [each for each in pods if not is_going(each)]
        ready = sum(is_ready(each) for each in pods)
        updated = sum(_revision(each) == self.update_name for each in staying)
        done = updated == len(pods) == ready == self.spec["replicas"] and bool(pods)
        if done and self.spec["updateStrategy"]["type"] == "RollingUpdate":
            self.current_name = self.update_name
        status: Json = {
            "observedGeneration": self.meta["generation"],
            "replicas": len(pods),
            **counts(
                readyReplicas=ready,
                currentReplicas=sum(_revision(each) == self.current_name for each in staying),
                updatedReplicas=updated,
            ),
            "currentRevision": self.current_name,
            "updateRevision": self.update_name,
            "collisionCount": 0,
            "availableReplicas": sum(wait == 0 for wait in waits),
        }

        def write(body: Json) -> None:
            body["status"] = status

        mutate(self.store, STATEFUL_SETS, self.meta["namespace"], self.meta["name"], write)
        left = [wait for wait in waits if wait]
        return min(left) if left else None


def _revision(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))
