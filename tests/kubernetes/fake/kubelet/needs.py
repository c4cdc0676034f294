"""What a pod refers to and must be there before it can run: ConfigMaps and Secrets."""

from __future__ import annotations

from tests.kubernetes.fake.resources import CONFIG_MAPS, SECRETS, Json, Resource
from tests.kubernetes.fake.store import Store


def missing_configuration(store: Store, pod: Json, container: Json) -> str | None:
    """Why the container's environment can't be made, or None."""
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or []:
        for key, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
            if key in source and (why := _absent(store, resource, namespace, source[key])):
                return why
    for variable in container.get("env") or []:
        value = variable.get("valueFrom") or {}
        for key, resource in (("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)):
            if key in value and (why := _absent(store, resource, namespace, value[key])):
                return why
    return None


def _absent(store: Store, resource: Resource, namespace: str, reference: Json) -> str | None:
    if reference.get("optional"):
        return None
    name = reference["name"]
    held = store.find(resource, namespace, name)
    if held is None:
        return f'{resource.kind.lower()} "{name}" not found'
    key = reference.get("key")
    if key and key not in {**(held.get("data") or {}), **(held.get("binaryData") or {})}:
        return f"couldn't find key {key} in {resource.kind} {namespace}/{name}"
    return None


def missing_volume(store: Store, pod: Json) -> str | None:
    """Why a volume can't be mounted, or None."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or []:
        for kind, key, resource in (
            ("secret", "secretName", SECRETS),
            ("configMap", "name", CONFIG_MAPS),
        ):
            held = volume.get(kind)
            if held and not held.get("optional") and not store.find(resource, namespace, held[key]):
                said = f'{kind.lower()} "{held[key]}" not found'
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {said}'
    return None
