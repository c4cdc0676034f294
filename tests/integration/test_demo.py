"""What `make demo` and `make serve` run, as they run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The demo's programs in a checkout of their own: what they make stays out of this one."""
    for name in ("alembic.ini", "migrations", "orchestrator"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "examples" / "demo").mkdir(parents=True)
    for program in DEMO.glob("*.py"):
        (tmp_path / "examples" / "demo" / program.name).write_bytes(program.read_bytes())
    return tmp_path


def test_the_demo_upgrades_and_serves(demo: Path) -> None:
    done = subprocess.run(
        [sys.executable, demo / "examples/demo/run.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("data/llm_orchestrator.db: 002 -> 004") == 2
    assert "data: [DONE]" in done.stdout
    shown = done.stdout.partition("GET /api/admin/health")[2]
    assert re.findall(r'"provider_name": "(demo-\w+)"', shown) == [
        "demo-failing",
        "demo-answering",
        "demo-answering",
    ]
    assert '"error_message": "out of order"' in shown
    assert '"total_requests": 2' in shown


def test_serve_serves_until_ctrl_c(demo: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = os.environ | {"PORT": str(port)}
    command = [sys.executable, demo / "examples/demo/serve.py"]
    keys = []
    for _ in range(2):  # the second start finds what the first one made
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as serving:
            assert serving.stdout
            for line in serving.stdout:
                keys += re.findall("key: (.*)", line)
                if line.startswith("Ctrl-C"):
                    break
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin-ui/login") as page:
                assert b"<form" in page.read()
            serving.send_signal(signal.SIGINT)
            assert serving.wait() == 0
    assert keys[0] == keys[1]
    assert (demo / ".serve/keys.json").stat().st_mode & 0o077 == 0
