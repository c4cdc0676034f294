"""The LLM Orchestrator on a database of the demo: started, configured and asked over HTTP."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = "orchctl run -- llm-orchestrator serve"
MODEL = "demo"


class Service:
    """The service under an address, asked with the keys it was started with."""

    def __init__(self, address: str, admin_key: str, api_key: str) -> None:
        self.address = address
        self._admin = {"X-Admin-Key": admin_key}
        self._api = {"Authorization": f"Bearer {api_key}"}

    def admin(self, path: str, body: object = None) -> Any:
        """What the admin API answers, to a GET or, with a body, a POST."""
        return json.loads(self._send(f"/api/admin/{path}", self._admin, body))

    def change_provider(self, provider: int, fields: object) -> None:
        """Change fields of a provider."""
        self._send(f"/api/admin/providers/{provider}", self._admin, fields, method="PATCH")

    def chat(self, question: str, *, stream: bool = False) -> str:
        """The answer to a question, as it comes over HTTP."""
        messages = [{"role": "user", "content": question}]
        body = {"model": MODEL, "messages": messages, "stream": stream}
        return self._send("/v1/chat/completions", self._api, body)

    def is_ready(self) -> bool:
        """Whether it serves, from a database at its revision."""
        try:
            self._send("/readyz", {}, None)
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def add_providers(self, failing: str, answering: str) -> None:
        """Have one model served by two providers, of which the failing one is asked first."""
        model = self.admin("models", {"name": MODEL, "max_retry": 0})
        for name, address, priority in (("failing", failing, 1), ("answering", answering, 2)):
            provider = {"name": f"demo-{name}", "type": "openai", "api_key": "demo-key"}
            made = self.admin("providers", provider | {"base_url": address, "priority": priority})
            link = {"model_id": model["id"], "provider_id": made["id"]}
            self.admin("model-providers", link | {"provider_model": "demo-model"})

    def report(self, path: str, names: Sequence[str]) -> Any:
        """Health or statistics, as soon as it tells of these providers.

        What is logged and what is probed is written a moment after the answer to a caller.
        """
        while True:
            report = self.admin(path)
            providers = {one["provider_name"]: one for one in report["providers"]}
            asked = [one for one in providers.values() if one.get("last_check", True)]
            if {one["provider_name"] for one in asked} >= set(names):
                return report | {"providers": [providers[name] for name in names]}
            time.sleep(0.2)

    def _send(
        self, path: str, headers: Mapping[str, str], body: object, method: str | None = None
    ) -> str:
        data = None if body is None else json.dumps(body).encode()
        address = f"{self.address}{path}"
        request = urllib.request.Request(address, data, dict(headers), method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text: str = answer.read().decode()
        except urllib.error.HTTPError as error:
            # Health that is bad is an answer as well.
            if not path.startswith("/api/admin/health"):
                raise
            text = error.read().decode()
        return text


@dataclass(frozen=True)
class Keys:
    """What opens the admin side, and what callers of /v1 send."""

    admin: str
    api: str


def make_keys() -> Keys:
    """Keys that nobody guesses."""
    return Keys(secrets.token_hex(24), secrets.token_hex(24))


@contextmanager
def running(
    folder: Path, environment: Mapping[str, str], port: int, keys: Keys
) -> Iterator[tuple[Service, subprocess.Popen[bytes]]]:
    """Run the service in a folder with the chain and the database until the body ends."""
    settings = {"ADMIN_KEY": keys.admin, "API_KEYS": keys.api, "PORT": str(port)}
    process = subprocess.Popen(
        COMMAND.split(),
        cwd=folder,
        env={"LOG_LEVEL": "ERROR", **environment, **settings},
        stdout=sys.stderr,
    )
    service = Service(f"http://127.0.0.1:{port}", keys.admin, keys.api)
    try:
        while not service.is_ready():
            if process.poll() is not None:
                raise SystemExit(process.returncode)
            time.sleep(0.05)
        yield service, process
    finally:
        process.terminate()
        process.wait()
