"""What a workload's template says: where its database is kept, as whom, from which image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchctl.doctor.findings import Finding, found
from orchctl.errors import Refused
from orchctl.workloads.kubernetes.kinds import Object

if TYPE_CHECKING:
    from orchctl.doctor.cluster import ClusterPatient

_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
_TO_CLAIM = "orchctl k8s manifests --image IMAGE shows it with a claim"


def check_mounts(patient: ClusterPatient) -> Iterator[Finding]:
    """D01 and D02: whether the database outlives its pod, and its sidecars with it.

    Raises:
        Refused: It is not known which container has the database.
    """
    container = _require_container(patient)
    mounts = container.get("volumeMounts") or []
    files = [one for one in mounts if _is_file(patient, one)]
    for one in files:
        yield _single_file(patient, one)
    if patient.inside is None:
        if not patient.claims:
            yield found(
                "container-layer",
                f"{patient.found} has no claim: a database in it is gone with its pod",
                evidence=_kept(patient, mounts),
                command=_TO_CLAIM,
                level="warning",
            )
        return
    mount = _mount_of(patient.inside, mounts)
    if mount is None:
        yield found(
            "container-layer",
            f"{patient.inside} is on the own layer of container {container['name']}: gone with its "
            "pod",
            evidence=_kept(patient, mounts),
            command=_TO_CLAIM,
        )
    elif mount not in files:
        yield from _volume(patient, mount)


def _is_file(patient: ClusterPatient, mount: Object) -> bool:
    path = PurePosixPath(mount["mountPath"])
    return path == patient.inside or (patient.inside is None and path.suffix in _SUFFIXES)


def _single_file(patient: ClusterPatient, mount: Object) -> Finding:
    path, sub = PurePosixPath(mount["mountPath"]), mount.get("subPath", "")
    return found(
        "single-file-mount",
        f"The file {path} alone is mounted: -wal and -journal stay in the container",
        evidence=(f"volumeMounts: {mount['name']} {sub} -> {path}",),
        command=f"In {patient.found}: mountPath {path.parent}, without subPath",
    )


def _mount_of(inside: PurePosixPath, mounts: list[Object]) -> Object | None:
    above = [one for one in mounts if inside.is_relative_to(one["mountPath"])]
    return max(above, key=lambda one: len(PurePosixPath(one["mountPath"]).parts), default=None)


def _kept(patient: ClusterPatient, mounts: list[Object]) -> tuple[str, ...]:
    told = tuple(f"{one['mountPath']}: {_sort(patient, one)}" for one in mounts)
    return told or ("Nothing is mounted",)


def _sort(patient: ClusterPatient, mount: Object) -> str:
    """What a mount is of: `persistentVolumeClaim`, `emptyDir`, `hostPath` …"""
    if mount["name"] in patient.claims:
        return "persistentVolumeClaim"
    volumes = {one["name"]: one for one in patient.spec.get("volumes") or ()}
    sorts = [key for key in volumes.get(mount["name"], {}) if key != "name"]
    return sorts[0] if sorts else "-"


def _volume(patient: ClusterPatient, mount: Object) -> Iterator[Finding]:
    sort = _sort(patient, mount)
    evidence = (f"volume {mount['name']}: {sort} -> {mount['mountPath']}",)
    if sort in ("emptyDir", "ephemeral", "csi"):
        told = f"{patient.inside} is on a volume that is deleted with its pod ({sort})"
        yield found("empty-dir", told, evidence=evidence, command=_TO_CLAIM)
    elif sort == "hostPath":
        told = f"{patient.inside} is on whichever node the pod is on: on another there is none"
        yield found("host-path", told, evidence=evidence, command=_TO_CLAIM)
    elif sort == "nfs":
        told = f"{patient.inside} is on a network filesystem"
        yield found("network-filesystem", told, evidence=evidence, command=_TO_CLAIM)


def check_user(patient: ClusterPatient) -> Iterator[Finding]:
    """D03: as whom it runs, and whether a new volume would be theirs.

    Raises:
        Refused: It is not known which container has the database.
    """
    container = _require_container(patient)
    of_pod = patient.spec.get("securityContext") or {}
    of_container = container.get("securityContext") or {}
    user = of_container.get("runAsUser", of_pod.get("runAsUser"))
    never_root = of_container.get("runAsNonRoot", of_pod.get("runAsNonRoot"))
    group = of_pod.get("fsGroup")
    evidence = (f"runAsUser {_or(user)}, runAsNonRoot {_or(never_root)}, fsGroup {_or(group)}",)
    if patient.claims and user != 0 and (user or never_root) and group is None:
        yield found(
            "no-fs-group",
            f"{patient.found}: a new volume belongs to root, and uid {_or(user)} can't write to it",
            evidence=evidence,
            command=patient.patch(f'{{"securityContext":{{"fsGroup":{user or 1000}}}}}'),
        )
    if user == 0 or (user is None and not never_root):
        who = "root" if user == 0 else "whoever its image says, root perhaps"
        yield found(
            "runs-as-root",
            f"Container {container['name']} runs as {who}: so are its database and its snapshots",
            evidence=evidence,
            command=patient.patch(
                '{"securityContext":{"runAsNonRoot":true,"runAsUser":1000,"fsGroup":1000}}'
            ),
        )


def _or(value: object) -> str:
    return "not set" if value is None else str(value).lower()


def check_image(patient: ClusterPatient) -> Iterator[Finding]:
    """Whether its images are the same tomorrow, and can be gone back to."""
    spec = patient.spec
    for one in (*(spec.get("initContainers") or ()), *spec.get("containers", ())):
        image = one.get("image", "")
        name, _, tag = image.rpartition("/")[2].partition(":")
        if "@" not in image and tag in ("", "latest"):
            word = f"{one['name']}=" if len(spec["containers"]) > 1 else ""
            whole = f"{image.rpartition(':')[0] if tag else image}:VERSION"
            yield found(
                "image-latest",
                f"Container {one['name']} has whatever image {name} is when its pod starts",
                evidence=(f"image: {image}",),
                command=f"orchctl k8s set-image {patient.place} {word}{whole}",
            )


def check_probes(patient: ClusterPatient) -> Iterator[Finding]:
    """Whether "ready" means anything, and an upgrade at the start is left alone.

    Raises:
        Refused: It is not known which container has the database.
    """
    container = _require_container(patient)
    name = container["name"]
    if "readinessProbe" not in container:
        yield found(
            "no-readiness-probe",
            f"Container {name} has no readiness probe: it counts as ready once it was started",
            evidence=(_probes(container),),
            command=_probe(patient, name, "readinessProbe"),
        )
    if "livenessProbe" in container and "startupProbe" not in container:
        yield found(
            "no-startup-probe",
            f"Container {name} has a liveness probe and no startup probe: an upgrade at its start "
            "that takes longer is killed",
            evidence=(_probes(container),),
            command=_probe(patient, name, "startupProbe"),
        )


def _probes(container: Object) -> str:
    names = ("startupProbe", "readinessProbe", "livenessProbe")
    return "probes: " + (", ".join(one for one in names if one in container) or "none")


def _probe(patient: ClusterPatient, name: str, probe: str) -> str:
    get = '{"httpGet":{"path":"/readyz","port":8000},"periodSeconds":5,"failureThreshold":180}'
    return patient.patch(f'{{"containers":[{{"name":"{name}","{probe}":{get}}}]}}')


def _require_container(patient: ClusterPatient) -> Object:
    if patient.container is None:
        names = ", ".join(one["name"] for one in patient.spec.get("containers") or ())
        raise Refused(f"which of its containers has the database is not clear: {names}")
    return patient.container
