"""An engine behind ssh, as the docker CLI reaches it: `ssh HOST docker system dial-stdio`.

Each connection that the client makes is one ssh, whose stdin and stdout are that connection. So
keys, agents, jump hosts and shared connections are those of ~/.ssh/config, and nothing is installed
there but docker (docker/cli: cli/connhelper).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from orchctl.errors import ConfigurationError

_GRACE = 5.0  # seconds that an ssh has to end


def ssh_words(host: str) -> list[str]:
    """The command that is a connection to the engine at an `ssh://` address.

    Raises:
        ConfigurationError: `docker-host`.
    """
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "The ssh:// address of the engine is none: a host, and maybe a user, a port and the "
            "path of a socket there",
            code="docker-host",
            hint="DOCKER_HOST=ssh://USER@HOST:22, keys and all else in ~/.ssh/config",
        )
    words = ["ssh", "-o", "ConnectTimeout=30", "-T"]
    words += ["-l", parts.username] if parts.username else []
    words += ["-p", str(port)] if port else []
    # Behind the dashes nothing can be taken for an option of ssh.
    words += ["--", parts.hostname, "docker"]
    if parts.path not in ("", "/"):
        words += ["--host", f"unix://{parts.path}"]
    return [*words, "system", "dial-stdio"]


class SshTunnel:
    """A socket here that leads to an engine elsewhere.

    Args:
        host: `ssh://…`.

    Raises:
        ConfigurationError: `docker-host`: no such address, or no ssh here.
    """

    def __init__(self, host: str) -> None:
        self._words = ssh_words(host)
        if shutil.which("ssh") is None:
            raise ConfigurationError(
                f"There is no ssh here, by which {host} is reached",
                code="docker-host",
                hint="apt-get install openssh-client",
            )
        self._folder = Path(tempfile.mkdtemp(prefix="orchctl-ssh-"))
        self._errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115 closed in `close`
        self._running: list[subprocess.Popen[bytes]] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self._folder / "engine"))
        self._door.listen(16)
        self.url = f"unix://{self._folder}/engine"
        threading.Thread(target=self._let_in, daemon=True).start()

    def complaint(self) -> str:
        """The last line that an ssh printed on stderr; empty when none did."""
        # Not by seek and read: the place in the file is that of the ssh, too.
        said = os.pread(self._errors.fileno(), 1 << 16, 0)
        lines = said.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._running:
            one.terminate()
        for one in self._running:
            try:
                one.wait(_GRACE)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self._door.accept()
                with inside:
                    self._running = [one for one in self._running if one.poll() is None]
                    self._running.append(self._connect(inside))

    def _connect(self, inside: socket.socket) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C is ours to deal with, over this very connection.
        return subprocess.Popen(
            self._words,
            stdin=inside.fileno(),
            stdout=inside.fileno(),
            stderr=self._errors,
            start_new_session=True,
        )
