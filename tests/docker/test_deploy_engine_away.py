"""D12: the engine taken away in the middle of a deploy.

Between orchctl and the engine, which others use, stands a socket that can close everything and be
gone like an engine that is started anew. With a real engine: test_engine_taken_away.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import Deployed, build, deployed
from tests.support.preloaded import Run, start
from tests.support.processes import wait_until

ENGINE = "/var/run/docker.sock"


class Between:
    """A socket that passes everything on to the engine, until it is told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sock"
        self.host = f"unix://{self.path}"
        self._open: list[socket.socket] = []
        self.listen()

    def listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def go_away(self) -> None:
        """Close the socket and every connection."""
        self.path.unlink()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(ENGINE)
                self._open += [client, engine]
                for one, other in ((client, engine), (engine, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def between() -> Iterator[Between]:
    # A socket's path must be short.
    with tempfile.TemporaryDirectory() as folder:
        one = Between(Path(folder))
        yield one
        one.go_away()


@pytest.fixture(scope="module")
def images(python_base: str) -> tuple[str, str]:
    return build(python_base, "1"), build(python_base, "2")


@pytest.fixture
def service(images: tuple[str, str], tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, images[0]) as one:
        one.write("kept")
        yield one


def begun(service: Deployed, image: str, host: str) -> tuple[Run, Path]:
    """A deploy that waits, all stopped, until a file is there."""
    folder = service.project.folder
    hook = f"touch {folder}/waits; until [ -e {folder}/go-on ]; do sleep 0.05; done"
    (folder / "orchctl.toml").write_text(f"[deploy.hooks]\npre-upgrade = '{hook}'\n")
    words = ["deploy", f"docker:{service.name}", "--image", image, "--health", service.url]
    running = start(service.project, *words, env={"DOCKER_HOST": host})
    wait_until((folder / "waits").exists, "everything is stopped")
    return running, folder / "go-on"


def is_deployed(service: Deployed) -> None:
    assert (service.answer(), service.heads(), service.notes()) == ("good 2", ["b2"], ["kept"])
    policy = service.facts()["HostConfig"]["RestartPolicy"]["Name"]
    assert (service.containers(), policy) == ([service.name], "always")


def test_an_engine_that_is_started_anew(
    service: Deployed, between: Between, images: tuple[str, str]
) -> None:
    running, go_on = begun(service, images[1], between.host)
    between.go_away()
    go_on.touch()
    wait_until(lambda: "waiting for it to come back" in running.stderr(), "it waits")
    between.listen()
    _, told = running.communicate(timeout=100)
    assert running.returncode == 0, told
    is_deployed(service)
