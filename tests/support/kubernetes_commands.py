"""`orchctl k8s …` against a cluster, in processes that have the client imported already."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.preloaded import Run, start
from tests.support.projects import Project

IMPORTS = "import kubernetes.client.rest, kubernetes.config, urllib3, yaml, rich.table"


class Commands:
    """Runs `orchctl k8s` with a kubeconfig.

    Args:
        folder: A new folder to run in.
        kubeconfig: Whose cluster it is about.
        namespace: Given with every command; None leaves it to the kubeconfig.
        home: The user's folder, in which a kubeconfig's plugins find what they need; None is one
            with nothing in it.
    """

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        namespace: str | None = None,
        home: Path | None = None,
    ) -> None:
        self.project = Project(folder)
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self.home = home or self.project.folder

    def start(self, *words: str, kubeconfig: Path | None = None) -> Run:
        """Start a command and go on."""
        within = ["--namespace", self.namespace] if self.namespace else []
        return self._start("k8s", *words, *within, kubeconfig=kubeconfig)

    def _start(self, *words: str, kubeconfig: Path | None = None) -> Run:
        env = {"HOME": str(self.home), "KUBECONFIG": str(kubeconfig or self.kubeconfig)}
        return start(self.project, *words, env=env, imports=IMPORTS)

    def bare(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command of orchctl to its end."""
        return self._start(*words).finished()

    def __call__(
        self, *words: str, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.start(*words, kubeconfig=kubeconfig).finished()

    def result(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The result of a command run with --json."""
        done = self(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        assert not done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def failure(self, *words: str, code: int) -> dict[str, Any]:
        """The error object of a command that must end so."""
        done = self(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        assert not done.stdout
        found: dict[str, Any] = json.loads(done.stderr)["error"]
        return found


@contextmanager
def health_server(statuses: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """A URL that answers with these statuses, the last again and again; and what it answered."""
    answered: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses[min(len(answered), len(statuses) - 1)]
            answered.append(status)
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/health", answered
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
