"""Virtual environments with projects from PyPI and the orchctl of this working tree.

Made on first use inside this environment, used again as long as what is asked for stays the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CACHE = Path(sys.prefix) / "projects"

# By name, what is installed besides orchctl; the file of the same name beside this one pins all
# that comes along.
REQUIREMENTS = {
    # Flask-SQLAlchemy and others hold SQLAlchemy at 2.0. quetz imports distutils, which setuptools
    # still has. Aim's boto3 and the newest kubernetes contradict each other on python-dateutil.
    "sqlalchemy-2.0": (
        "ihatemoney==7.2.1",
        "quetz-server==0.10.4",
        "setuptools",
        'aim==3.29.1; python_version < "3.13"',
        "kubernetes==34.1.0",
    ),
    "sqlalchemy-2.1": ("optuna==5.0.0", "skypilot==0.14.1"),
    # MLflow's small distribution has the migrations too.
    "servers": (
        "jupyterhub==6.1.1",
        "mlflow-skinny==3.17.2",
        "prefect==3.8.8",
        "dagster==1.13.29",
    ),
}


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    @property
    def variables(self) -> dict[str, str]:
        """For its programs: compiled code is kept, here and not in the working tree."""
        return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.folder / "pycache")}


def installed(name: str) -> Environment:
    """The environment of that name, made when it isn't there; safe against other processes.

    Raises:
        subprocess.CalledProcessError: pip failed; what it said is on stderr.
    """
    _CACHE.mkdir(exist_ok=True)
    folder, marker = _CACHE / name, _CACHE / name / "asked-for"
    asked = _asked(name)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.is_file() or marker.read_text() != asked:
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, name)
            marker.write_text(asked)
    return Environment(folder)


def _install(folder: Path, name: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # Compiled where imported: most of what is installed never is.
    words = ["install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    words += ["-c", str(_pins(name)), "-e", str(ROOT), *REQUIREMENTS[name]]
    subprocess.run([folder / "bin" / "python", "-m", "pip", *words], check=True)


def _pins(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.txt")


def _asked(name: str) -> str:
    """All that an environment depends on, in one line."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parts = [sys.version, REQUIREMENTS[name], _pins(name).read_text(), project]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
