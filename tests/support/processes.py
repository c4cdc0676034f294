"""Real processes for a test: an orchctl that runs beside it, and others that hold its database."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for something that a process is about to do."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        time.sleep(0.005)


@contextmanager
def holding(database: Path, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has executed statements on the database, and keeps its connection."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(database), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
