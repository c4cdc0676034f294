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
from typing import TYPE_CHECKING

from orchctl.errors import LockHeld, OrchctlError
from orchctl.workloads.kubernetes.kinds import LEASE, Kind, Object
from orchctl.workloads.process import began, boot, numbering

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

SECONDS = 30
# Of the lease's time: for how long after its last renewal it surely is ours still, and how often it
# is renewed. Others count from when they saw the renewal, which is later.
_SURE, _AGAIN = 2 / 3, 1 / 3


class Lease:
    """The right to change one workload.

    Args:
        cluster: The cluster.
        kind: Of the workload.
        name: Of the workload.
        seconds: After which without a renewal another may take it.
    """

    def __init__(self, cluster: Cluster, kind: Kind, name: str, seconds: int = SECONDS) -> None:
        self._cluster, self._seconds = cluster, seconds
        self._renewed = 0.0
        self.name = f"orchctl-{kind.name}-{name}"
        self._target = f"{kind.name}/{name}"
        self._holder = own_identity()
        self._object: Object = {}
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._renew, name=self.name, daemon=True)

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
            asked = _now_ticking()
            held = self._cluster.find(LEASE, self.name)
            if held is not None and held["metadata"]["resourceVersion"] != seen:
                seen, since = held["metadata"]["resourceVersion"], time.monotonic()
            if held is None:
                taken = self._made()
            elif self._is_ours(held):  # the answer to taking it was lost
                self._object, self._renewed, taken = held, asked, True
            elif self._free(held, since):
                taken = self._replaced(held)
            elif time.monotonic() >= deadline:
                raise self._held(held)
            else:
                taken = False
            if taken:
                self._thread.start()
                return
            time.sleep(0.2)

    def check(self) -> None:
        """Go on only as long as the Lease surely is ours: nobody else can have taken it yet.

        Raises:
            LockHeld: `lease-lost`.
        """
        if not self._lost and _now_ticking() - self._renewed > self._seconds * _SURE:
            self._lost = "it could not be renewed in time"
        if self._lost:
            raise LockHeld(
                f"The Lease {self.name} was lost: {self._lost}; another run may have "
                f"{self._target} in hand",
                code="lease-lost",
                hint=f"orchctl k8s status {self._target}; --resume goes on, --abort undoes it",
            )

    def release(self) -> None:
        """Give it back; one that is another's by now stays.

        Where the cluster is away it runs out by itself: no reason to hide what went wrong before.
        """
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(self._seconds * _AGAIN)
        if self._object and not self._lost:
            of = self._object["metadata"]
            with contextlib.suppress(OrchctlError):
                # Of this version: taken over by another it keeps its uid.
                self._cluster.delete(LEASE, self.name, uid=of["uid"], version=of["resourceVersion"])

    def _made(self) -> bool:
        body: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {**self._spec(), "acquireTime": _now()},
        }
        try:
            return self._written(lambda: self._cluster.create(LEASE, body))
        except OrchctlError as error:
            if error.code not in ("cluster-away", "cluster-trouble"):
                raise
            return False  # it may be made all the same: the next look tells

    def _replaced(self, held: Object) -> bool:
        spec = {**held["spec"], **self._spec()}
        if not self._is_ours(held):
            spec["acquireTime"] = _now()
        body = {**held, "spec": spec}
        return self._written(lambda: self._cluster.replace(LEASE, self.name, body))

    def _written(self, write: Callable[[], Object]) -> bool:
        asked = _now_ticking()
        try:
            self._object = write()
            self._renewed = asked
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
            f"{spec.get('leaseDurationSeconds', self._seconds)} s",
            details={"holder": spec.get("holderIdentity"), "lease": self.name},
        )

    def _spec(self) -> Object:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self._seconds,
            "renewTime": _now(),
        }

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds * _AGAIN):
            try:
                if not self._replaced(self._object):
                    self._look()
            except OrchctlError as error:
                if error.code == "no-such-object":
                    self._lost = "it was deleted"
                # Anything else may pass; `check` knows for how long.
            if self._lost:
                return

    def _look(self) -> None:
        """Who has changed it: another, or a renewal of ours whose answer was lost."""
        asked = _now_ticking()
        held = self._cluster.get(LEASE, self.name)
        if self._is_ours(held):
            self._object, self._renewed = held, asked
        else:
            holder = str((held.get("spec") or {}).get("holderIdentity", "")).partition("/")[0]
            self._lost = f"{holder or 'somebody'} has taken it"

    def _is_ours(self, held: Object) -> bool:
        return bool((held.get("spec") or {}).get("holderIdentity") == self._holder)

    def _free(self, held: Object, since: float) -> bool:
        spec = held.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if not holder or _is_over(holder):
            return True
        lasts = float(spec.get("leaseDurationSeconds") or self._seconds)
        return time.monotonic() - since > lasts


def own_identity() -> str:
    """Who holds a Lease: the host's name, then what tells whether the process is still there."""
    number = os.getpid()
    since = began(number) or secrets.token_hex(4)
    return f"{socket.gethostname()}/{_machine() or secrets.token_hex(8)}/{number}/{since}"


def _is_over(holder: str) -> bool:
    """Whether a holder is a process of this very machine, and no more there."""
    _, *rest = holder.split("/")
    if len(rest) != 3 or not rest[1].isdigit() or rest[0] != _machine():
        return False
    return began(int(rest[1])) != rest[2]


def _machine() -> str:
    """This boot and this space of process numbers; "" where there is no telling."""
    this, numbers = boot(), numbering()
    return f"{this}.{numbers}" if this and numbers else ""


def _now_ticking() -> float:
    """Seconds that go on while the machine sleeps, where the system knows such a clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
