"""What goes when something else went: dependents, claims no pod uses, a namespace's content."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.kubernetes.fake.history import claims_of
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import (
    ACCOUNTS,
    CLAIMS,
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    STORAGE_CLASSES,
    VOLUMES,
    Json,
    Resource,
)
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, create, delete, mutate

_PROTECTION = "kubernetes.io/pvc-protection"
_CERTIFICATE = "kube-root-ca.crt"
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


def collect(state: State) -> float | None:
    """Owners first: what they leave to whom; then what has no owner any more."""
    store = state.store
    held = list(store.everything())
    uids = {body["metadata"]["uid"] for _, body in held}
    for resource, body in held:
        finalizers = body["metadata"].get("finalizers") or []
        if "deletionTimestamp" in body["metadata"]:
            dependents = _dependents(held, body)
            if _ORPHAN in finalizers:
                for kind, each in dependents:
                    _disown(store, kind, each, body)
                _drop_finalizer(store, resource, body, _ORPHAN)
            elif _FOREGROUND in finalizers:
                for kind, each in dependents:
                    _delete(store, kind, each, "Foreground" if kind is not PODS else "Background")
                if not dependents:
                    _drop_finalizer(store, resource, body, _FOREGROUND)
    for resource, body in held:
        owners = body["metadata"].get("ownerReferences") or []
        if owners and not any(each["uid"] in uids for each in owners):
            _delete(store, resource, body, "Background")
    return None


def _dependents(held: list[tuple[Resource, Json]], owner: Json) -> list[tuple[Resource, Json]]:
    uid = owner["metadata"]["uid"]
    return [
        (resource, body)
        for resource, body in held
        if any(each["uid"] == uid for each in body["metadata"].get("ownerReferences") or [])
    ]


def _disown(store: Store, resource: Resource, body: Json, owner: Json) -> None:
    def change(held: Json) -> None:
        references = held["metadata"].get("ownerReferences") or []
        left = [each for each in references if each["uid"] != owner["metadata"]["uid"]]
        held["metadata"].pop("ownerReferences", None)
        if left:
            held["metadata"]["ownerReferences"] = left

    mutate(store, resource, _namespace(body), body["metadata"]["name"], change)


def _drop_finalizer(store: Store, resource: Resource, body: Json, finalizer: str) -> None:
    def change(held: Json) -> None:
        left = [each for each in held["metadata"].get("finalizers") or [] if each != finalizer]
        held["metadata"].pop("finalizers", None)
        if left:
            held["metadata"]["finalizers"] = left

    mutate(store, resource, _namespace(body), body["metadata"]["name"], change)


def _namespace(body: Json) -> str:
    return str(body["metadata"].get("namespace", ""))


def _delete(store: Store, resource: Resource, body: Json, propagation: str) -> None:
    if "deletionTimestamp" in body["metadata"]:
        return
    options = DeleteOptions(propagation=propagation, uid=body["metadata"]["uid"])
    try:
        delete(store, resource, _namespace(body), body["metadata"]["name"], options)
    except Refused as refusal:
        if refusal.code not in {404, 409}:
            raise


def bind_claims(state: State) -> float | None:
    """Gives new claims a volume and a directory; lets deleted ones go once no pod uses them."""
    store = state.store
    for claim in store.all(CLAIMS):
        meta = claim["metadata"]
        namespace, name = meta["namespace"], meta["name"]
        if "deletionTimestamp" in meta:
            used = any(name in claims_of(each["spec"]) for each in store.all(PODS, namespace))
            if not used:
                _drop_finalizer(store, CLAIMS, claim, _PROTECTION)
                _let_go(store, claim)
                shutil.rmtree(state.claim_directory(namespace, name), ignore_errors=True)
        elif claim["status"]["phase"] == "Pending":
            _bind(state, claim)
    return None


def _let_go(store: Store, claim: Json) -> None:
    """The claim's volume goes too, or is kept for a person to look at."""
    name = claim["spec"].get("volumeName", "")
    volume = store.find(VOLUMES, "", name)
    if volume is None:
        return
    if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
        _drop_finalizer(store, VOLUMES, volume, "kubernetes.io/pv-protection")
        _delete(store, VOLUMES, volume, "Background")
    else:
        released = {**volume["status"], "phase": "Released"}
        mutate(store, VOLUMES, "", name, _with_status(released))


def protect_volumes(state: State) -> float | None:
    """Those that are to go stay as long as they are bound; the others are there for a claim."""
    store = state.store
    for volume in store.all(VOLUMES):
        phase = volume["status"]["phase"]
        if phase != "Bound" and "deletionTimestamp" in volume["metadata"]:
            _drop_finalizer(store, VOLUMES, volume, "kubernetes.io/pv-protection")
        elif phase == "Pending":
            free = {**volume["status"], "phase": "Available"}
            mutate(store, VOLUMES, "", volume["metadata"]["name"], _with_status(free))
    return None


def _with_status(status: Json) -> Callable[[Json], None]:
    return lambda held: held.update(status=status)


def _bind(state: State, claim: Json) -> None:
    meta, spec = claim["metadata"], claim["spec"]
    volume = _volume_for(state.store, claim)
    if volume is None:
        return  # as long as nobody makes one it waits
    state.claim_directory(meta["namespace"], meta["name"]).mkdir(parents=True, exist_ok=True)

    def take(held: Json) -> None:
        held["spec"]["claimRef"] = {
            "kind": "PersistentVolumeClaim",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": "v1",
            "resourceVersion": meta["resourceVersion"],
        }
        held["status"] = {**held["status"], "phase": "Bound"}

    name = volume["metadata"]["name"]
    mutate(state.store, VOLUMES, "", name, take)

    def change(held: Json) -> None:
        annotations = held["metadata"].setdefault("annotations", {})
        annotations["pv.kubernetes.io/bind-completed"] = "yes"
        annotations["pv.kubernetes.io/bound-by-controller"] = "yes"
        held["spec"]["volumeName"] = name
        status = {"phase": "Bound", "accessModes": spec["accessModes"]}
        held["status"] = status | {"capacity": volume["spec"]["capacity"]}

    mutate(state.store, CLAIMS, meta["namespace"], meta["name"], change)


def _volume_for(store: Store, claim: Json) -> Json | None:
    """One that is free and of its class, or one that the class's provisioner makes now."""
    spec, wanted = claim["spec"], claim["spec"].get("volumeName")
    for volume in store.all(VOLUMES):
        name, held = volume["metadata"]["name"], volume["spec"]
        same = held.get("storageClassName") == spec.get("storageClassName")
        if same and "claimRef" not in held and wanted in {None, name}:
            return volume
    if wanted or store.find(STORAGE_CLASSES, "", spec["storageClassName"]) is None:
        return None
    body: Json = {
        "metadata": {"name": f"pvc-{claim['metadata']['uid']}"},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
        },
    }
    return create(store, VOLUMES, body)


def keep_namespaces(state: State) -> float | None:
    """Each has its account and the cluster's certificate; one to go loses all, then goes."""
    store = state.store
    for namespace in store.all(NAMESPACES):
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" not in namespace["metadata"]:
            if store.find(ACCOUNTS, name, "default") is None:
                create(store, ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
            if store.find(CONFIG_MAPS, name, _CERTIFICATE) is None:
                body = {
                    "metadata": {"name": _CERTIFICATE, "namespace": name},
                    "data": {"ca.crt": ""},
                }
                create(store, CONFIG_MAPS, body)
            continue
        content = [(kind, body) for kind, body in store.everything() if _namespace(body) == name]
        for resource, body in content:
            _delete(store, resource, body, "Background")
        if not content:
            store.remove(NAMESPACES, "", name)
    return None
