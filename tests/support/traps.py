"""Commands killed at one of their writes to a cluster."""

from __future__ import annotations

import signal
import threading

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.support.kubernetes_commands import Commands
from tests.support.preloaded import Run


class Trap:
    """Kills a command at its n-th write, or (`after`) at whatever it asks for next.

    Args:
        cluster: What it asks.
        number: Which write, from 1 on.
        after: Whether that write is still done.
    """

    def __init__(self, cluster: Cluster, number: int, *, after: bool = False) -> None:
        self._cluster, self._left, self._after = cluster, number, after
        self._lock, self._started = threading.Lock(), threading.Event()
        self._command: Run | None = None
        self.sprung = False
        for verb in ("create", "update", "patch", "delete"):
            fault = Fault(verb, r"^(?!.*selfsubject)", times=None, before=self._written)
            cluster.fault(fault)
        cluster.fault(Fault(times=None, before=self._asked))

    def run(self, k8s: Commands, *words: str) -> int:
        """Run the command until it is killed, or has ended; its exit code."""
        self._command = k8s.start(*words)
        self._started.set()
        code = self._command.finished().returncode
        self._cluster.do(self._cluster.state.faults.waiting.clear)
        return code

    def _written(self) -> None:
        self._asked()
        with self._lock:
            self._left -= 1
            due = self._left == 0 and not self._after
        if due:
            self._spring()

    def _asked(self) -> None:
        if self._left <= 0 and not self.sprung:
            self._spring()

    def _spring(self) -> None:
        assert self._started.wait(10)
        assert self._command is not None
        self.sprung = True
        self._command.send_signal(signal.SIGKILL)
