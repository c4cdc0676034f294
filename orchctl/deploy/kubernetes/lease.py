"""One run at a time: a Lease beside the workload, renewed as long as the run lives.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.errors import LockHeld, OrchctlError
from orchctl.workloads.kubernetes.kinds import LEASE, Kind, Object

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

_SECONDS = 30


class Lease:
    """The right to change one workload.

    Args:
        cluster: The cluster.
        kind: Of the workload.
        name: Of the workload.
    """

    def __init__(self, cluster: Cluster, kind: Kind, name: str) -> None:
        self._cluster = cluster
        self.name = f"orchctl-{kind.name}-{name}"
        self._target = f"{kind.name}/{name}"
        self._holder = own_identity()
        self._object: Object = {}
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self, deadline: float) -> None:
        """Take the Lease, or wait for it.

        A Lease that was not renewed for as long as it lasts is taken over, by this machine's clock
        alone: others may go wrong. So is that of a process of this machine that is no more.

        Args:
            deadline: A time of the monotonic clock, until when another's end is waited for.

        Raises:
            LockHeld: `run-under-way`.
        """
        seen, since = "", 0.0
        while True:
            held = self._cluster.find(LEASE, self.name)
            if held is None:
                taken = self._made()
            else:
                version = held["metadata"]["resourceVersion"]
                if version != seen:
                    seen, since = version, time.monotonic()
                taken = _free(held, since) and self._replaced(held)
            if taken:
                self._thread.start()
                return
            if held is not None and time.monotonic() >= deadline:
                raise self._held(held)
            time.sleep(0.2)

    def check(self) -> None:
        """Go on only as long as the Lease is ours.

        Raises:
            LockHeld: `lease-lost`.
        """
        if self._lost:
            raise LockHeld(
                f"The Lease {self.name} was lost: {self._lost}",
                code="lease-lost",
                hint=f"orchctl k8s status {self._target}; --resume goes on, --abort undoes it",
            )

    def release(self) -> None:
        """Give it back; one that is another's by now stays.

        Where the cluster is away it runs out by itself: no reason to hide what went wrong before.
        """
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_SECONDS / 3)
        if self._object and not self._lost:
            with contextlib.suppress(OrchctlError):
                self._cluster.delete(LEASE, self.name, uid=self._object["metadata"]["uid"])

    def _made(self) -> bool:
        body: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {**self._spec(), "acquireTime": _now()},
        }
        return self._written(lambda: self._cluster.create(LEASE, body))

    def _replaced(self, held: Object) -> bool:
        spec = {**held["spec"], **self._spec(), "acquireTime": _now()}
        body = {**held, "spec": spec}
        return self._written(lambda: self._cluster.replace(LEASE, self.name, body))

    def _written(self, write: Callable[[], Object]) -> bool:
        try:
            self._object = write()
        except OrchctlError as error:
            if error.code != "cluster-conflict":
                raise
            return False  # another was faster
        return True

    def _held(self, held: Object) -> LockHeld:
        spec = held.get("spec") or {}
        holder = str(spec.get("holderIdentity", "")).partition("/")[0]
        return LockHeld(
            f"Another run has {self._target} in hand: {holder}, since {spec.get('acquireTime')}",
            code="run-under-way",
            state="Nothing was changed",
            hint="--lock-timeout 60s waits for it; a killed one's Lease is free after "
            f"{spec.get('leaseDurationSeconds', _SECONDS)} s",
            details={"holder": spec.get("holderIdentity"), "lease": self.name},
        )

    def _spec(self) -> Object:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": _SECONDS,
            "renewTime": _now(),
        }

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(_SECONDS / 3):
            body = {**self._object, "spec": {**self._object["spec"], **self._spec()}}
            try:
                self._object = self._cluster.replace(LEASE, self.name, body)
                renewed = time.monotonic()
            except OrchctlError as error:
                gone = error.code in ("cluster-conflict", "no-such-object")
                if gone or time.monotonic() - renewed > _SECONDS * 2 / 3:
                    self._lost = error.message
                    return


def own_identity() -> str:
    """Who holds a Lease: the host's name, then what tells whether the process is still there."""
    number = os.getpid()
    began = _began(number) or secrets.token_hex(4)
    return f"{socket.gethostname()}/{_machine() or secrets.token_hex(8)}/{number}/{began}"


def _free(held: Object, since: float) -> bool:
    spec = held.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if not holder or _is_over(holder):
        return True
    lasts = float(spec.get("leaseDurationSeconds") or _SECONDS)
    return time.monotonic() - since > lasts


def _is_over(holder: str) -> bool:
    """Whether a holder is a process of this very machine, and no more there."""
    _, *rest = holder.split("/")
    if len(rest) != 3 or not rest[1].isdigit() or rest[0] != _machine():
        return False
    return _began(int(rest[1])) != rest[2]


def _machine() -> str:
    """This boot and this space of process numbers; "" where there is no telling."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _began(number: int) -> str:
    """When a process began, in the kernel's ticks; "" when there is none (or a zombie)."""
    try:
        _, _, after = Path(f"/proc/{number}/stat").read_text().rpartition(")")
    except OSError:
        return ""
    parts = after.split()
    return "" if parts[0] in ("Z", "X") else parts[19]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
