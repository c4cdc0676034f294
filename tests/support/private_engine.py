"""A Docker engine of a test's own, which it may stop, kill and start anew.

It runs in a network namespace of its own, so that neither its bridge nor its rules for packets are
those of the engine that others use; its containers have no network. What shall reach it over TCP
is run in that namespace, too.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.docker_engine import docker
from tests.support.processes import wait_until

_BEGIN = 'ip link set lo up; exec containerd "$@"'
# Kubernetes' side of containerd takes longest to start, and nobody uses it.
_CONFIGURATION = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'


class PrivateEngine:
    """One engine.

    Args:
        options: For dockerd, besides where everything is.
    """

    def __init__(self, *options: str) -> None:
        # A socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="orchctl-engine-"))
        self.host = f"unix://{self.folder}/sock"
        self._options = options
        # As in most installations it is another's child: one that dockerd starts dies with it.
        self._containerd = self._started(
            "unshare", "--net", "sh", "-c", _BEGIN, "sh", *self._places()
        )
        # Only then it has left the network that others use, and `inside` leads to its own.
        wait_until((self.folder / "containerd").exists, "containerd listens")
        self.begin()

    def begin(self) -> None:
        """Start it, and wait until it answers."""
        words = ["--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        words += ["--pidfile", f"{self.folder}/pid", "--host", self.host]
        words += ["--iptables=false", "--ip6tables=false", *self._options]
        words += ["--containerd", f"{self.folder}/containerd"]
        self._process = self._started(*self.inside, "dockerd", *words)
        until = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.1)

    @property
    def inside(self) -> list[str]:
        """What goes before a command that shall run in its network."""
        return [shutil.which("nsenter") or "", f"--net=/proc/{self._containerd.pid}/ns/net"]

    def docker(self, *words: str, stdin: bytes | None = None) -> str:
        """Run docker with it."""
        return docker("--host", self.host, *words, stdin=stdin)

    def load(self, image: str) -> None:
        """Give it an image that the machine's engine has."""
        saved = subprocess.run(["docker", "save", image], check=True, capture_output=True)
        self.docker("load", stdin=saved.stdout)

    def pause(self) -> None:
        """SIGSTOP: nothing is answered, nothing closed."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a pause."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; what its containers do then depends on --live-restore."""
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """The end of its log."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End it with all its containers, and leave nothing."""
        if self._process.poll() is None:
            self.go_on()
            if containers := self.docker("ps", "--all", "--quiet").split():
                self.docker("rm", "--force", "--volumes", *containers)
            self._process.terminate()
            self._process.wait(60)
        self._containerd.terminate()
        self._containerd.wait(60)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed(mounts):  # dockerd's own data folder is one
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", place], check=True)
        shutil.rmtree(self.folder)

    def _places(self) -> list[str]:
        configuration = self.folder / "containerd.toml"
        configuration.write_text(_CONFIGURATION)
        words = ["--config", str(configuration), "--address", f"{self.folder}/containerd"]
        return [*words, "--root", f"{self.folder}/kept", "--state", f"{self.folder}/state"]

    def _started(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log)

    def _answers(self) -> bool:
        words: Sequence[str] = ["docker", "--host", self.host, "version"]
        return subprocess.run(words, capture_output=True).returncode == 0


@contextlib.contextmanager
def private_engine(*options: str) -> Iterator[PrivateEngine]:
    """One until the end of the block."""
    one = PrivateEngine(*options)
    try:
        yield one
    finally:
        one.close()
