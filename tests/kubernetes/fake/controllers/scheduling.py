"""The scheduler: which node a pod runs on, or why on none."""

from __future__ import annotations

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.owned import is_over
from tests.kubernetes.fake.history import claims_of
from tests.kubernetes.fake.kubelet.scripts import script_for
from tests.kubernetes.fake.kubelet.statuses import condition
from tests.kubernetes.fake.resources import CLAIMS, NODES, PODS, VOLUMES, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import mutate

_TRY_AGAIN = 0.05
_NO_HELP = (
    "no new claims to deallocate, preemption: {0} {1} Preemption is not helpful for scheduling."
)


def reconcile(state: State) -> float | None:
    """Gives nodes to pods that have none; looks again while there are any left."""
    again: float | None = None
    for pod in state.store.all(PODS):
        waiting = not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
        if waiting and not _schedule(state, pod):
            again = _TRY_AGAIN
    return again


def _schedule(state: State, pod: Json) -> bool:
    store = state.store
    why = _scripted(state, pod) or _claims_problem(store, pod)
    nodes: list[Json] = []
    if why is None:
        nodes, why = _suitable(store, pod)
    meta = pod["metadata"]
    if why is not None:
        mutate(store, PODS, meta["namespace"], meta["name"], lambda body: _refuse(body, why))
        events.record(store, pod, "FailedScheduling", why, by=events.SCHEDULER)
        return False
    node = _choose(store, pod, nodes)
    mutate(store, PODS, meta["namespace"], meta["name"], lambda body: _assign(body, node))
    said = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
    events.record(store, pod, "Scheduled", said, by=events.SCHEDULER)
    return True


def _refuse(pod: Json, why: str) -> None:
    values = {"status": "False", "reason": "Unschedulable", "message": why}
    pod["status"]["conditions"] = [condition(pod, "PodScheduled", values)]


def _assign(pod: Json, node: str) -> None:
    pod["spec"]["nodeName"] = node
    pod["status"]["conditions"] = [condition(pod, "PodScheduled", {"status": "True"})]


def _scripted(state: State, pod: Json) -> str | None:
    for container in pod["spec"]["containers"]:
        why = script_for(state.scripts, pod, container).unschedulable
        if why is not None:
            return why
    return None


def _claims_problem(store: Store, pod: Json) -> str | None:
    namespace = pod["metadata"]["namespace"]
    count = len(store.all(NODES))
    none = f"0/{count} nodes are available:"
    for name in claims_of(pod["spec"]):
        claim = store.find(CLAIMS, namespace, name)
        if claim is None:
            return f'{none} persistentvolumeclaim "{name}" not found. not found'
        if claim["metadata"].get("deletionTimestamp"):
            said = f'persistentvolumeclaim "{name}" is being deleted'
            return f"{none} {said}. not found"
        if claim["status"].get("phase") != "Bound":
            said = "pod has unbound immediate PersistentVolumeClaims"
            return f"{none} {said}. not found"
        if "ReadWriteOncePod" in claim["spec"]["accessModes"] and _users(store, pod, name):
            said = (
                "node has pod using PersistentVolumeClaim with the same name and "
                "ReadWriteOncePod access mode"
            )
            return f"{none} {count} {said}."
    return None


def _users(store: Store, pod: Json, claim: str) -> list[Json]:
    """Other pods with a node that use the claim."""
    meta = pod["metadata"]
    return [
        each
        for each in store.all(PODS, meta["namespace"])
        if each["metadata"]["uid"] != meta["uid"]
        and each["spec"].get("nodeName")
        and not is_over(each)
        and claim in claims_of(each["spec"])
    ]


def _suitable(store: Store, pod: Json) -> tuple[list[Json], str | None]:
    """The nodes the pod may run on; without any, why."""
    nodes = store.all(NODES)
    wanted = (pod["spec"].get("nodeSelector") or {}).items()
    named = _required_node(pod)
    matching = [
        each
        for each in nodes
        if wanted <= each["metadata"]["labels"].items()
        and named in {None, each["metadata"]["name"]}
        and _has_volumes(store, pod, each)
    ]
    # A DaemonSet's pods tolerate what keeps others away.
    free = [each for each in matching if named or not _closed(each)]
    if free:
        return free, None
    none = f"0/{len(nodes)} nodes are available:"
    if not matching:
        said = f"{len(nodes)} node(s) didn't match Pod's node affinity/selector."
    else:
        said = f"{len(matching)} node(s) had untolerated taint(s)."
    return [], f"{none} {said} {_NO_HELP.format(none, len(nodes))}"


def _has_volumes(store: Store, pod: Json, node: Json) -> bool:
    """Whether the volumes of its claims can be had on a node (one label's values are enough)."""
    labels = node["metadata"]["labels"]
    for name in claims_of(pod["spec"]):
        claim = store.get(CLAIMS, pod["metadata"]["namespace"], name)
        volume = store.find(VOLUMES, "", claim["spec"].get("volumeName", "")) or {"spec": {}}
        required = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
        for term in required.get("nodeSelectorTerms") or []:
            for one in term.get("matchExpressions") or []:
                if labels.get(one["key"]) not in one["values"]:
                    return False
    return True


def _closed(node: Json) -> bool:
    return bool(node["spec"].get("unschedulable") or node["spec"].get("taints"))


def _required_node(pod: Json) -> str | None:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            return str(field["values"][0])
    return None


def _choose(store: Store, pod: Json, nodes: list[Json]) -> str:
    """Where its claim is used already, otherwise the emptiest."""
    names = [each["metadata"]["name"] for each in nodes]
    for claim in claims_of(pod["spec"]):
        for user in _users(store, pod, claim):
            if user["spec"]["nodeName"] in names:
                return str(user["spec"]["nodeName"])
    held = [each["spec"].get("nodeName") for each in store.all(PODS)]
    return str(min(names, key=held.count))
