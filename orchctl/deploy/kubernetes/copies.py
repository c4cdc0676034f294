"""Snapshots brought off the claim: out of a pod, to the machine that orchctl runs on."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchctl.deploy.kubernetes.job import Work, job_name, manifest
from orchctl.deploy.kubernetes.job_run import hold_job, make_job, remove_job
from orchctl.errors import ConfigurationError, OperationFailed, OrchctlError
from orchctl.snapshots.durable import FILE_MODE, make_directory, sync_directory
from orchctl.snapshots.seal import hash_file
from orchctl.workloads.kubernetes.find import Found, pods_of
from orchctl.workloads.kubernetes.inside import stream_inside
from orchctl.workloads.kubernetes.kinds import images_of, name_of
from orchctl.workloads.kubernetes.pods import read_pod

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

_TRIES = 5
_SILENCE = 60.0  # seconds
_HELD_FOR = 24 * 3600  # seconds after which a forgotten pod goes by itself
_TOLD_EVERY = 5.0  # seconds


@dataclass(frozen=True)
class Copied:
    """A snapshot that was brought off the claim.

    Attributes:
        path: Where it is now; its manifest is beside it.
        sha256: Of the file as it is here, the same as in the manifest.
        size: Bytes.
    """

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Source:
    """Where snapshots are read from.

    Attributes:
        cluster: The cluster.
        found: The workload.
        container: The container with the database.
        seconds: How long to wait for a pod to read from.
        on_line: Called with what is waited for.
        node: The node that an additional pod must be on; "" means any.
    """

    cluster: Cluster
    found: Found
    container: str
    seconds: float
    on_line: Callable[[str], None]
    node: str = ""


def snapshots_in(answer: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The snapshots that an upgrade's answer tells of."""
    databases = answer.get("databases") or [answer]
    return tuple(one["snapshot"] for one in databases if one.get("snapshot"))


def require_folder(folder: Path) -> None:
    """Make a folder for copies, and see whether it can be written to.

    Raises:
        ConfigurationError: `copies-not-writable`.
    """
    trial = folder / f".orchctl-{secrets.token_hex(4)}"
    try:
        make_directory(folder, like=None)
        trial.touch(FILE_MODE)
        trial.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"{folder} can't be written to: {error.strerror}",
            code="copies-not-writable",
            state="Nothing was changed",
            hint="--copy-to DIR (or workload.copy-to): a folder of yours",
        ) from error


def copy_off(
    source: Source, snapshots: Sequence[dict[str, Any]], folder: Path
) -> tuple[Copied, ...]:
    """Copy snapshots off the claim, each with its manifest; only what has the right hash stays.

    They are read from the workload's own pod where it runs, else from one that is made for it.

    Args:
        source: Where they are read from.
        snapshots: `id`, `path` and `sha256` of each, as `orchctl --json` told them.
        folder: Where they go.

    Raises:
        OperationFailed: `snapshot-not-copied`; what is on the claim stays there.
        OrchctlError: There is no pod to read from.
    """
    if not snapshots:
        return ()
    with _pod(source) as pod:
        return tuple(_copied(source, pod, one, folder) for one in snapshots)


@contextlib.contextmanager
def _pod(source: Source) -> Iterator[str]:
    """A pod in which the container runs."""
    cluster, found = source.cluster, source.found
    for pod in map(read_pod, pods_of(cluster, found)):
        running = [one.name for one in pod.containers if one.state == "running"]
        if source.container in running and not pod.terminating:
            yield pod.name
            return
    run = secrets.token_hex(3)
    name = job_name(found.name, run, "copy")
    image = images_of(found.object)[source.container]
    words = ("sleep", str(_HELD_FOR))
    work = Work(name, run, source.container, image, words, _HELD_FOR, source.node)
    body = manifest(found.kind, found.object, work)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1  # sleep heeds no TERM
    try:
        make_job(cluster, body)
        deadline = time.monotonic() + source.seconds
        pod_object = hold_job(cluster, name, deadline=deadline, on_line=source.on_line)
        yield name_of(pod_object)
    finally:
        remove_job(cluster, name, deadline=time.monotonic() + source.seconds)


def _copied(source: Source, pod: str, snapshot: dict[str, Any], folder: Path) -> Copied:
    inside = PurePosixPath(snapshot["path"])
    path, wanted = folder / inside.name, snapshot["sha256"]
    try:
        if not path.exists():
            _brought(source, pod, inside, path, wanted)
        if hash_file(path) != wanted:
            raise _failed(snapshot, f"{path} is another file with that name")
        # The manifest last: without it nothing is taken for a snapshot.
        _brought(source, pod, inside.with_suffix(".json"), path.with_suffix(".json"), None)
        return Copied(path, wanted, path.stat().st_size)
    except OSError as error:
        raise _failed(snapshot, f"{error.strerror or error}: {path}") from error
    except _NotBroughtError as error:
        raise _failed(snapshot, str(error)) from error


class _NotBroughtError(Exception):
    """A file could not be read out of the pod, or not unharmed."""


def _brought(
    source: Source, pod: str, inside: PurePosixPath, path: Path, sha256: str | None
) -> None:
    """Read a file out of the pod; one that was cut off is taken up where it was cut off."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 a descriptor, not a path
            _read(source, pod, inside, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if sha256 is not None and hash_file(partial) != sha256:
            raise _NotBroughtError(f"what came of {inside} has another hash")
        partial.rename(path)
        sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _read(source: Source, pod: str, inside: PurePosixPath, stream: Any) -> None:
    told = time.monotonic()

    def take(data: bytes) -> None:
        nonlocal told
        stream.write(data)
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            source.on_line(f"Copying {inside.name}: {stream.tell() >> 20} MiB")

    for number in range(_TRIES):
        words = ("tail", "-c", f"+{stream.tell() + 1}", str(inside))
        ended = stream_inside(source.cluster, pod, source.container, words, take, silence=_SILENCE)
        if ended.code == 0:
            return
        if ended.code is not None:
            break
        source.on_line(f"The connection to {pod} was lost ({ended.told})")
        time.sleep(0.2 * number)
    raise _NotBroughtError(f"{inside} can't be read in {pod}: {ended.told}")


def _failed(snapshot: dict[str, Any], told: str) -> OrchctlError:
    return OperationFailed(
        f"Snapshot {snapshot['id']} was not copied: {told}",
        code="snapshot-not-copied",
        state=f"It is on the claim: {snapshot['path']}",
        hint="Copying needs get and create on pods/exec, and tail in the image",
        details={"snapshot": snapshot},
    )
