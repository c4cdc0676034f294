"""A PostgreSQL server of the machine's own package, in a folder, for tests that talk to one."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from tests.support.machine import NOBODY

_USER = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


class Postgres:
    """A server on a free port; it listens once `start` is called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        folder.chmod(0o755)
        if _USER:
            os.chown(folder, NOBODY, NOBODY)
        self._run("initdb", "-D", str(self.data), "-A", "scram-sha-256", "-U", "app", "--no-sync",
                  "--pwfile", self._password())  # fmt: skip
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.set_trust("scram-sha-256")

    def set_trust(self, method: str) -> None:
        """How those are let in who come over TCP: `trust`, `scram-sha-256`, `reject`."""
        text = f"host all all 127.0.0.1/32 {method}\nlocal all all trust\n"
        (self.data / "pg_hba.conf").write_text(text)

    def start(self, **options: str) -> None:
        """Start it with settings; returns when it answers, be it that it is starting up."""
        given = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
        } | options
        words = " ".join(f"-c {name}={value}" for name, value in given.items())
        wait = "-W" if options.get("hot_standby") == "off" else "-w"
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", words,
                  wait, "-t", "60", "start")  # fmt: skip

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "-t", "60", "stop")

    def _password(self) -> str:
        file = self.folder / "password"
        file.write_text("hunter2-s3cret\n")
        file.chmod(0o644)
        return str(file)

    def _run(self, program: str, *words: str) -> None:
        with (self.folder / "output").open("w+") as told:
            done = subprocess.run(
                [str(_programs() / program), *words],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                cwd=self.folder,
                timeout=120,
                **_USER,
            )
        assert done.returncode == 0, (self.folder / "output").read_text()


def _programs() -> Path:
    """Where Debian keeps them, and others."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found += [folder / "initdb" for folder in map(Path, os.environ["PATH"].split(":"))]
    for path in found:
        if path.exists():
            return path.parent
    raise AssertionError("These tests need PostgreSQL's server: apt-get install postgresql")
