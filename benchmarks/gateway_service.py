"""What is measured: our gateway and LiteLLM's proxy, each in front of the same provider."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.commands import ORCHCTL, timed

KEY = "sk-key-of-the-benchmark-0123456789"
_ROOT = Path(__file__).parent.parent
_LITELLM = Path(sys.prefix) / "projects" / "litellm"
# Newest when this was written; what it pulls in is its own.
_LITELLM_PIN = "litellm[proxy]==1.106.2"


@dataclass(frozen=True)
class Service:
    """A process that takes chats at a port."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def megabytes(self) -> float:
        """What it has in memory now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the process is gone")

    @property
    def processor_seconds(self) -> float:
        """What it has used of the processors so far."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def provider(seconds: float) -> Iterator[int]:
    """Run the loopback provider; its port."""
    words = [sys.executable, "-m", "benchmarks.gateway_upstream", str(seconds)]
    process = subprocess.Popen(words, cwd=_ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def gateway(folder: Path, upstream: int, **settings: str) -> Iterator[tuple[Service, Path]]:
    """Run our service on a new database with one provider; it and the database's path."""
    folder.mkdir(parents=True)
    database = folder / "service.db"
    url = f"sqlite:///{database}"
    timed([ORCHCTL, "upgrade"], _ROOT, {"DATABASE_URL": url})
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO providers (id, name, type, api_key, base_url) VALUES (1, 'loopback', "
            "'openai', 'none', ?)",
            (f"http://127.0.0.1:{upstream}/v1",),
        )
        connection.execute("INSERT INTO models (id, name) VALUES (1, 'small')")
        connection.execute(
            "INSERT INTO model_providers (model_id, provider_id, provider_model) "
            "VALUES (1, 1, 'small')"
        )
    port = _free_port()
    variables = {"DATABASE_URL": url, "API_KEYS": KEY, "PORT": str(port), "LOG_LEVEL": "WARNING"}
    words = [sys.executable, "-m", "llm_orchestrator", "serve"]
    with _running(words, folder, port, variables | settings) as service:
        yield service, database


@contextlib.contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[Service]:
    """Run LiteLLM's proxy with its documented way to add an OpenAI-compatible provider."""
    folder.mkdir(parents=True)
    configuration = folder / "config.yaml"
    configuration.write_text(
        "model_list:\n  - model_name: small\n    litellm_params:\n      model: openai/small\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: none\n"
        f"general_settings:\n  master_key: {KEY}\n"
    )
    port = _free_port()
    words = [str(_installed() / "litellm"), "--config", str(configuration), "--port", str(port)]
    words += ["--host", "127.0.0.1", "--telemetry", "False"]
    variables = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with _running(words, folder, port, variables) as service:
        yield service


def litellm_version() -> str:
    """The version that is installed."""
    words = [str(_installed() / "python"), "-c"]
    words.append("from importlib.metadata import version; print(version('litellm'))")
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _installed() -> Path:
    """The folder of its programs; installed on first use."""
    marker = _LITELLM / "installed"
    if not marker.is_file():
        shutil.rmtree(_LITELLM, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", _LITELLM], check=True)
        words = ["install", "--quiet", "--disable-pip-version-check", _LITELLM_PIN]
        subprocess.run([_LITELLM / "bin" / "python", "-m", "pip", *words], check=True)
        marker.touch()
    return _LITELLM / "bin"


@contextlib.contextmanager
def _running(
    words: Sequence[str], folder: Path, port: int, variables: Mapping[str, str]
) -> Iterator[Service]:
    log = folder / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)} | dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for_chat(port, process, log)
        yield Service(port, process)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_chat(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    body = b'{"model": "small", "messages": [{"role": "user", "content": "Hello"}]}'
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    until = time.monotonic() + 120
    while True:
        try:
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            urlopen(Request(url, body, headers), timeout=30).read()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no chat: {log.read_text()[-3000:]}") from error
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
