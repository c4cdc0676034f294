"""A process that has imported a program's libraries, and forks itself to be the program.

Started by `preloaded` as `python -m tests.support.fork_server IMPORTS`; takes orders as lines of
JSON on stdin and answers each with a line: to start a program with the new process's id, to wait
for one that has ended with its exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# As Python ends when it could not write the last of its output.
_UNWRITTEN = 120


def main() -> None:
    exec(sys.argv[1], {})
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where our parent ignores it
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a child waits with them until it is ready
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if not answer:
                _child(order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _child(order: dict[str, Any]) -> None:
    code = 1
    try:
        _settle(order)
        code = _run(order)
        # What a Python does that ends by itself.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = _UNWRITTEN
    except BaseException:  # noqa: BLE001 - told as Python tells it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _settle(order: dict[str, Any]) -> None:
    """Be a new process in the eyes of the program."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    for number, name in enumerate((os.devnull, order["stdout"], order["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    if order["env"].get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)
    module = importlib.import_module(order["program"])
    sys.modules["__main__"] = module
    sys.argv = [module.__file__, *order["words"]]
    sys.path[0] = order["folder"]


def _run(order: dict[str, Any]) -> int:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if order["dies_at"] is not None:
            _boundaries(_dies_at(order["dies_at"]))
        elif order["log"]:
            log = Path(order["log"]).open("a", buffering=1)  # noqa: SIM115 - as long as it runs
            _boundaries(lambda name: log.write(name + "\n"))
        exec(order["prelude"], {})
        sys.modules["__main__"].main()
    except SystemExit as exit_:
        if isinstance(exit_.code, str):
            sys.stderr.write(exit_.code + "\n")
            return 1
        return exit_.code or 0
    except KeyboardInterrupt:
        return 130
    return 0


def _boundaries(reached: Callable[[str], object]) -> None:
    """Call `reached` before every SQL statement, and every change to the file system, by name."""
    connect = sqlite3.connect

    def traced(*args: Any, **keywords: Any) -> sqlite3.Connection:
        connection = connect(*args, **keywords)
        connection.set_trace_callback(lambda sql: reached(" ".join(sql.split())[:60]))
        return connection

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in {"fcntl.flock", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}:
            reached(event)
        elif event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
            reached("open " + Path(str(args[0])).name)

    sqlite3.connect = sqlite3.dbapi2.connect = traced
    sys.addaudithook(hook)


def _dies_at(number: int) -> Callable[[str], None]:
    left = [number]

    def reached(_name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


if __name__ == "__main__":
    main()
