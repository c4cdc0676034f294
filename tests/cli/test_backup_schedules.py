"""`backup create` as a timer runs it: quiet, told on failure; and examples/backups, each run."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.failures import refused
from tests.support.preloaded import orchctl
from tests.support.projects import Project, clean_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "backups"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.told.append((self.path, dict(self.headers), self.rfile.read(length)))
        self.send_response(500 if self.path == "/broken" else 204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Monitor(HTTPServer):
    """Somebody who wants to hear of failures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[str, dict[str, str], bytes]] = []

    def url(self, path: str, who: str = "") -> str:
        return f"http://{who}127.0.0.1:{self.server_port}{path}"

    def notice(self) -> dict[str, Any]:
        ((_, _, body),) = self.told
        return dict(json.loads(body))


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_quiet_says_nothing_and_tells_nobody(begun: Project, monitor: Monitor) -> None:
    words = ("backup", "create", "--quiet", "--verify", "--on-failure-url", monitor.url("/x"))
    done = orchctl(begun, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list((begun.folder / "backups").glob("*.snapshot"))) == 1
    assert monitor.told == []
    assert json.loads(orchctl(begun, *words, "--json").stdout)["ok"] is True


def test_a_failure_is_told_with_its_code_and_without_secrets(
    begun: Project, monitor: Monitor
) -> None:
    begun.database.write_bytes(b"no database" * 99)
    url = monitor.url("/ping?key=S3CRET", who="me:passw0rd@")
    done = orchctl(begun, "backup", "create", "--quiet", "--on-failure-url", url)
    assert done.returncode == 5
    assert "S3CRET" not in done.stderr
    notice = monitor.notice()
    assert notice["event"] == "backup-failed"
    assert notice["exit_code"] == 5
    assert notice["error"]["code"] == "not-a-database"
    assert notice["host"] == socket.gethostname()
    path, headers, _ = monitor.told[0]
    assert path == "/ping?key=S3CRET"
    assert headers["Authorization"] == "Basic bWU6cGFzc3cwcmQ="
    assert "warning" not in done.stderr


def test_settings_that_are_wrong_are_told_too(begun: Project, monitor: Monitor) -> None:
    (begun.folder / "orchctl.toml").write_text("nonsense = 1\n")
    words = ("backup", "create", "--on-failure-url", monitor.url("/"))
    assert orchctl(begun, *words).returncode == 3
    assert monitor.notice()["exit_code"] == 3


@pytest.mark.parametrize("way", ["refused", "broken", "unknown host"])
def test_a_notice_that_does_not_arrive_changes_no_exit_code(
    begun: Project, monitor: Monitor, way: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, nobody listens
        url = {
            "refused": f"http://127.0.0.1:{taken.getsockname()[1]}/token-S3CRET",
            "broken": monitor.url("/broken"),
            "unknown host": "http://no-such-host.invalid/token-S3CRET",
        }[way]
        begun.database.write_bytes(b"no database" * 99)
        done = orchctl(begun, "backup", "create", "--quiet", "--on-failure-url", url)
    assert done.returncode == 5
    assert "warning: the notice did not get to" in done.stderr
    assert "S3CRET" not in done.stderr


def test_who_never_answers_is_not_waited_for_long() -> None:
    from orchctl.workloads.notice import send_notice

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert send_notice(url, {}, timeout=0.2) == "no answer within 0.2s"


def test_an_address_that_is_none_is_said_before_anything_is_done(begun: Project) -> None:
    words = ("backup", "create", "--on-failure-url", "monitor.example")
    refused(begun, *words, exit_code=2, code="bad-url")
    assert not list((begun.folder / "backups").glob("*.snapshot"))


# -- examples/backups --------------------------------------------------------------------------


@pytest.fixture
def placed(begun: Project, tmp_path: Path) -> Project:
    """The project with the folders that the examples name, and a real orchctl in them."""
    program = begun.folder / ".venv" / "bin" / "orchctl"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchctl "$@"\n')
    program.chmod(0o755)
    assert orchctl(begun, "upgrade").returncode == 0
    return begun


def run_here(project: Project, command: str, monitor: Monitor) -> subprocess.CompletedProcess[str]:
    """A command of an example, at this project's place."""
    here = command.replace("/srv/app", str(project.folder))
    here = here.replace("https://monitor.example/backup", monitor.url("/backup"))
    assert here != command
    return subprocess.run(
        ["sh", "-c", here],
        env=clean_environment() | {"PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


def snapshots(project: Project) -> list[Path]:
    return sorted((project.folder / "backups").glob("*.snapshot"))


def test_the_crontab(placed: Project, monitor: Monitor) -> None:
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    jobs = [line for line in lines if line and not line.startswith("#") and "=" not in line[:9]]
    commands = []
    for line in jobs:
        assert re.match(r"^(\d+|\*) (\d+|\*) (\d+|\*) (\d+|\*) ([0-7]|\*) \S", line), line
        command = line.split(" ", 5)[5]
        assert "%" not in command  # cron makes a line break of it
        commands.append(command)
    before = len(snapshots(placed))
    for command in commands:
        done = run_here(placed, command, monitor)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(snapshots(placed)) == before + 1
    assert monitor.told == []
    placed.database.write_bytes(b"no database" * 99)
    assert run_here(placed, commands[0], monitor).returncode == 5
    assert monitor.notice()["event"] == "backup-failed"


def test_the_systemd_units(placed: Project, monitor: Monitor, tmp_path: Path) -> None:
    service = (EXAMPLES / "orchctl-backup.service").read_text()
    commands = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
    before = len(snapshots(placed))
    for command in commands:
        done = run_here(placed, f"cd /srv/app && {command}", monitor)
        assert done.returncode == 0, done.stderr
    assert len(snapshots(placed)) == before + 1
    units = tmp_path / "units"
    units.mkdir()
    for name in ("orchctl-backup.service", "orchctl-backup.timer"):
        text = (EXAMPLES / name).read_text().replace("/srv/app", str(placed.folder))
        (units / name).write_text(text.replace("User=app", "User=root"))
    verifier = shutil.which("systemd-analyze")
    if verifier is None:  # no systemd here: what it would read is still there, and ran
        return
    checked = subprocess.run(
        [verifier, "verify", *map(str, sorted(units.iterdir()))], capture_output=True, text=True
    )
    told = [line for line in checked.stderr.splitlines() if "orchctl-backup" in line]
    assert told == []
    calendar = re.findall(r"OnCalendar=(.*)", (EXAMPLES / "orchctl-backup.timer").read_text())
    asked = subprocess.run([verifier, "calendar", *calendar], capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr


def test_the_compose_sidecar(placed: Project, monitor: Monitor) -> None:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
    program = ["docker-compose"] if plugin.returncode else ["docker", "compose"]
    files = [ROOT / "examples" / "compose" / "compose.yaml", EXAMPLES / "compose.yaml"]
    words = [word for file in files for word in ("--file", str(file))]
    done = subprocess.run(
        [*program, *words, "config"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "ADMIN_KEY": "a", "API_KEYS": "b"},
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    sidecar, service = services["backup"], services["orchestrator"]
    assert sidecar["image"] == service["image"]
    assert sidecar["volumes"] == service["volumes"]
    # The loop itself, once, where the sidecar would run it.
    (script,) = sidecar["command"]
    script = script.replace("$$", "$").replace('sleep "$INTERVAL"', "exit")
    assert "exit" in script
    script = f'PATH="/srv/app/.venv/bin:$PATH"; cd /srv/app; ON_FAILURE_URL=; {script}'
    before = len(snapshots(placed))
    ran = run_here(placed, script, monitor)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert len(snapshots(placed)) == before + 1
    placed.database.write_bytes(b"no database" * 99)
    failing = script.replace("ON_FAILURE_URL=", "ON_FAILURE_URL=https://monitor.example/backup")
    run_here(placed, failing, monitor)
    assert monitor.notice()["error"]["code"] == "not-a-database"
