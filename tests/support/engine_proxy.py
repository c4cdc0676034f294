"""A door to the machine's engine that can be shut: the engine itself is others' too."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

_ENGINE = "/var/run/docker.sock"


class EngineProxy:
    """Passes on what is said to the engine and what it answers.

    Args:
        path: The socket to listen on.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.host = path, f"unix://{path}"
        self._over = False
        self._sockets: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        """Let in who comes."""
        self.path.unlink(missing_ok=True)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self.path))
        self._door.listen(20)
        threading.Thread(target=self._let_in, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        """Close every connection and let nobody in, as an engine that ends."""
        self.path.unlink()
        for one in (self._door, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def close(self) -> None:
        """End it."""
        if self.path.exists():
            self.cut()

    def _let_in(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = door.accept()
                outside = socket.socket(socket.AF_UNIX)
                outside.connect(_ENGINE)
                self._sockets += [inside, outside]
                for pair in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxied(folder: Path) -> Iterator[EngineProxy]:
    """A proxy until the end of the block."""
    proxy = EngineProxy(folder / "engine.sock")
    try:
        yield proxy
    finally:
        proxy.close()
