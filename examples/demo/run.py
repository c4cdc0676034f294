"""`make demo`: a populated database, upgraded, rolled back, upgraded again, and put to use.

Everything happens in `.demo/`, made anew each time, with the orchctl of this environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from provider import provider
from service import COMMAND, Service, make_keys, running

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".demo"
COMMANDS = (
    ("The chain is consistent:", "orchctl verify-chain"),
    ("Where the database stands:", "orchctl status"),
    ("Upgrade, with a snapshot first:", "orchctl upgrade --backup"),
    ("The snapshot is in the catalog:", "orchctl backup list"),
    ("Back to where we were:", "orchctl rollback"),
    ("And up again:", "orchctl upgrade"),
)


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    build_project(FOLDER)
    for title, command in COMMANDS:
        print(f"\n# {title}\n$ {command}", flush=True)
        code = subprocess.run(shlex.split(command), cwd=FOLDER, env=environment()).returncode
        if code:
            print(f"(exit {code})", flush=True)
            return code
    show_service(FOLDER)
    print("\nAll of it is in .demo/: cd .demo && ../.venv/bin/orchctl --help", flush=True)
    return 0


def show_service(folder: Path) -> None:
    """The service at work on the upgraded database: chats, and what the admin API says of them."""
    print(f"\n# The service on the upgraded database:\n$ {COMMAND}", flush=True)
    retire_made_up_providers(folder)
    with (
        provider(failing=True) as failing,
        provider() as answering,
        running(folder, environment(), free_port(), make_keys()) as (service, _),
    ):
        service.add_providers(failing, answering)
        print("\n# A chat; the first of its two providers fails, the second answers:", flush=True)
        show("POST /v1/chat/completions", service.chat("Is all well?"))
        print("\n# The same, streamed:", flush=True)
        show("POST /v1/chat/completions", lines(service.chat("Is all well?", stream=True)))
        print("\n# What the gateway knows of it:", flush=True)
        show_admin(service)


def retire_made_up_providers(folder: Path) -> None:
    """Those of the demo's data answer to nobody: their health would be all there is to see."""
    with closing(sqlite3.connect(folder / "data" / "llm_orchestrator.db")) as connection:
        connection.execute("UPDATE providers SET enabled = 0")
        connection.commit()


def show_admin(service: Service) -> None:
    """Health and statistics, as soon as they tell of what has just happened."""
    for path, providers in (
        ("health", ["demo-failing", "demo-answering"]),
        ("stats?hours=24", ["demo-answering"]),
    ):
        report = service.report(path, providers)
        show(f"GET /api/admin/{path}", json.dumps(report, indent=2))


def lines(stream: str) -> str:
    """A stream of events without the empty lines between them."""
    return "\n".join(line for line in stream.splitlines() if line)


def show(request: str, answer: str) -> None:
    """A request and the answer to it."""
    print(f"$ {request}\n{answer}", flush=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def build_project(folder: Path) -> None:
    """alembic.ini, the chain, and a database with rows at revision 002."""
    shutil.copy(ROOT / "alembic.ini", folder)
    shutil.copytree(
        ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "data").mkdir()
    database = folder / "data" / "llm_orchestrator.db"
    print(f"Building a database at revision 002: {database.relative_to(folder)}", flush=True)
    builder = Path(__file__).with_name("database.py")
    subprocess.run([sys.executable, builder, database], check=True, env=environment())


def environment() -> dict[str, str]:
    """This environment, with the orchctl that belongs to it first and no settings of ours."""
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORCHCTL_", "DATABASE_URL", "ALEMBIC_CONFIG"))
    }
    return found | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{found.get('PATH', '')}"}


if __name__ == "__main__":
    sys.exit(main())
