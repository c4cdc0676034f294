"""Processes that do a share of the work: forks of this one, so that they start in milliseconds.

What a worker finds comes back through a pipe, as text. Whatever goes wrong with one (no memory, no
process to be had, killed from outside) leaves its share to be done here; nothing is lost with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

# Beyond that the process that gathers what they find is the slowest.
_MOST = 8


def usable() -> int:
    """How many processes can work at once; 1 where forks are not safe."""
    # On macOS, system libraries that threads of their own hold may not be used after a fork.
    if sys.platform == "darwin" or not hasattr(os, "fork"):
        return 1
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return 1  # a lock that another thread holds stays locked in the fork
    return min(len(os.sched_getaffinity(0)), _MOST)


class Worker:
    """One process at work.

    Args:
        pid: The process.
        pipe: What it writes to, at this end.
    """

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = pipe
        self._status: int | None = None

    def result(self) -> str | None:
        """What it found, waited for; None when it came to harm."""
        with open(self._pipe, "rb", closefd=False) as pipe:
            text = pipe.read()
        self._wait()
        return text.decode("utf-8", "surrogatepass") if self._status == 0 else None

    def stop(self) -> None:
        """End it, where it hasn't come to its end."""
        os.close(self._pipe)
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _wait(self) -> None:
        try:
            self._status = os.waitpid(self._pid, 0)[1]
        except ChildProcessError:  # the process that started us had children reaped unseen
            self._status = -1


@contextlib.contextmanager
def at_work(tasks: Sequence[Callable[[], str]]) -> Iterator[list[Worker | None]]:
    """Do each task in a process of its own.

    Args:
        tasks: What to do; each returns text.

    Yields:
        The workers; None for those that could not be started.
    """
    workers: list[Worker | None] = []
    try:
        workers.extend(map(_started, tasks))
        yield workers
    finally:
        for worker in workers:
            if worker is not None:
                worker.stop()


def _started(task: Callable[[], str]) -> Worker | None:
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    # Neither Ctrl-C nor SIGTERM may reach the fork while it still looks like its parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        pid = os.fork()
        if pid == 0:
            _work(task, writing, before)
    except OSError:
        os.close(reading)
        return None
    finally:
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Worker(pid, reading)


def _work(task: Callable[[], str], pipe: int, mask: set[signal.Signals] | set[int]) -> None:
    """Do the task, write what it returns, end the process: nothing of the parent's is run."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        data = task().encode("utf-8", "surrogatepass")
        with open(pipe, "wb", closefd=False) as file:
            file.write(data)
        code = 0
    finally:
        os._exit(code)
