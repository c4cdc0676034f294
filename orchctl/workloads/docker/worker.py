"""Who began something, so that whoever comes next can tell whether that one is at it still."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from orchctl.workloads.process import began, boot, numbering


@dataclass(frozen=True)
class Worker:
    """A process, told apart from all others.

    Attributes:
        host: The machine's name.
        boot: Which of its boots; "" where the system doesn't say.
        namespace: In which numbers of processes count; "" where the system doesn't say.
        pid: Its number.
        started: When it was started, as the system counts; "" where it doesn't say.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_one() -> Worker:
    """This process."""
    pid = os.getpid()
    return Worker(socket.gethostname(), boot(), numbering(), pid, began(pid))


def is_alive(worker: Worker) -> bool | None:
    """Whether a process is there still; None where that can't be seen from here."""
    here = this_one()
    if worker.host != here.host:
        return None
    if worker.boot != here.boot:
        return False  # the machine was started anew since
    if worker.namespace != here.namespace:
        return None
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return began(worker.pid) == worker.started
