"""The repository's Dockerfile, built where no package index can be reached."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.support.docker_engine import docker

ROOT = Path(__file__).parents[2]
TAG = "orchctl-tests-service"
_LOCK = Path(tempfile.gettempdir()) / "orchctl-tests-image.lock"
# What must not get into an image, laid into the context to see that it does not.
SECRET = "sk-secret-that-lay-about"
_CONTEXT = """
.dockerignore Dockerfile LICENSE README.md alembic.ini constraints.txt migrations orchctl
orchestrator pyproject.toml
""".split()


def build_image(base: str, folder: Path) -> str:
    """Build it from a copy of the sources, beside which wheels and a secret lie; its tag.

    One process at a time: the next one finds every layer made.
    """
    with _LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(base, folder)


def _build(base: str, folder: Path) -> str:
    for name in _CONTEXT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for name in (".env", "orchestrator/.env", "data/service.db", "orchctl/left.db", "notes.txt"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"ADMIN_KEY={SECRET}\n")
    _download(folder / "wheels")
    words = ["--build-arg", f"BASE_IMAGE={base}", "--build-arg", "VERSION=1.2.3"]
    docker("build", "--quiet", "--network", "none", *words, "--tag", TAG, str(folder))
    return TAG


def _download(folder: Path) -> None:
    """Fetch what the image installs; the machine's pip knows where from."""
    wanted = ["dumb-init", "hatchling", "editables"]
    for path, extras in (("pyproject.toml", {"asyncio"}), ("orchestrator/pyproject.toml", None)):
        project = tomllib.loads((ROOT / path).read_text())["project"]
        wanted += project["dependencies"]
        for name, more in project["optional-dependencies"].items():
            if extras is None or name in extras:
                wanted += more
    words = ["download", "--quiet", "--only-binary", ":all:", "--dest", str(folder)]
    words += ["--constraint", str(ROOT / "constraints.txt"), *wanted]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
