"""`make demo`: a populated database at revision 002, upgraded, rolled back and upgraded again.

Everything happens in `.demo/`, made anew each time, with the orchctl of this environment.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

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
    print("\nAll of it is in .demo/: go there and try `orchctl --help`.", flush=True)
    return 0


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
