"""The seven steps of a production update, on the service's own image, while it is written to.

Back up, pull, look for new revisions, try them, build and start, verify, be ready to go back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.docker_engine import docker
from tests.support.orchestrator import ADMIN, ADMIN_KEY, API_KEY
from tests.support.processes import wait_until
from tests.support.projects import clean_environment, run

ROOT = Path(__file__).parents[2]
TAG = "orchctl-tests-update"
REVISION = '''
"""add a colour to providers"""
import sqlalchemy as sa
from alembic import op

revision = "005"
down_revision = "004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("providers", sa.Column("colour", sa.String(20)))


def downgrade() -> None:
    op.drop_column("providers", "colour")
'''
# A release that has the revision, but whose code still expects the one before.
FORGOTTEN = """
FROM {image}
COPY migrations /app/migrations
"""
RELEASE = """
FROM {image}
COPY migrations /app/migrations
USER 0
RUN python3 -c "import llm_orchestrator.revision as m, pathlib as p; f = p.Path(m.__file__); \
f.write_text(f.read_text().replace('HEAD = \\"004\\"', 'HEAD = \\"005\\"'))"
USER 1000:1000
"""


class Service:
    """The service in a container, with its database in a folder of this machine."""

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.name = f"orchctl-tests-{uuid.uuid4().hex[:12]}"
        self.data = folder / "data"
        self.data.mkdir()
        os.chown(self.data, 1000, 1000)
        self.checkout = folder / "checkout"
        shutil.copytree(ROOT / "migrations", self.checkout / "migrations")
        shutil.copy(ROOT / "alembic.ini", self.checkout)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.data / "llm_orchestrator.db"

    def start(self) -> None:
        variables = {"ADMIN_KEY": ADMIN_KEY, "API_KEYS": API_KEY, "HOST": "127.0.0.1"}
        variables["PORT"] = str(self.port)
        words = [word for pair in variables.items() for word in ("--env", "=".join(pair))]
        words += ["--health-interval", "1s", "--network", "host", "--restart", "unless-stopped"]
        mount = ["--volume", f"{self.data}:/app/data"]
        docker("run", "--detach", "--name", self.name, *words, *mount, self.image)
        wait_until(lambda: self.ready() == 200, "the service is ready")

    def ready(self) -> int:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def release(self, dockerfile: str) -> None:
        (self.checkout / "Dockerfile").write_text(dockerfile.format(image=self.image))

    def orchctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run("orchctl", words, self.checkout, clean_environment())

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        health = ["--health", f"{self.url}/readyz", "--json"]
        return self.orchctl("deploy", f"docker:{self.name}", *health, *words)

    def providers(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return {row[0] for row in connection.execute("SELECT name FROM providers")}

    def heads(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return [row[0] for row in connection.execute("SELECT * FROM alembic_version")]


@contextlib.contextmanager
def hammered(service: Service, writers: int = 2) -> Iterator[list[str]]:
    """Providers made all the while; the names of those that the service said it has."""
    kept: list[str] = []
    over = threading.Event()

    def write(number: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            name = f"writer {number} {count}"
            body = {"name": name, "type": "openai", "api_key": "k"}
            try:
                done = httpx.post(
                    f"{service.url}/api/admin/providers", json=body, headers=ADMIN, timeout=20
                )
            except httpx.HTTPError:
                over.wait(0.05)
                continue
            if done.status_code == 201:
                kept.append(name)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(kept) > 5, "it is written to")
        yield kept
        count = len(kept)
        wait_until(lambda: len(kept) > count + 5, "it is written to again")
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def service(service_image: str, tmp_path: Path) -> Iterator[Service]:
    one = Service(service_image, tmp_path)
    try:
        one.start()
        yield one
    finally:
        for name in docker("ps", "--all", "--format", "{{.Names}}").splitlines():
            if name.startswith(one.name):
                docker("rm", "--force", "--volumes", name)


def test_the_seven_steps(service: Service) -> None:
    url = ["--url", f"sqlite:///{service.database}"]
    backup = service.orchctl(*url, "backup", "create")
    assert backup.returncode == 0, backup.stderr

    (service.checkout / "migrations" / "versions" / "005_add_colour.py").write_text(REVISION)
    service.release(FORGOTTEN)
    words = ["--build", "--context", str(service.checkout), "--image", f"{TAG}:forgotten"]
    looked = service.deploy("--dry-run")
    assert json.loads(looked.stdout)["revisions"] == ["005"], looked.stderr
    tried = service.orchctl(*url, "rehearse", "--json")
    assert tried.returncode == 0, tried.stderr

    # The release turns out to be wrong: it is put back, and nobody has lost a row.
    before = json.loads(docker("inspect", service.name))[0]
    with hammered(service) as kept:
        failed = service.deploy(*words)
        assert failed.returncode == 9, failed.stderr
        assert service.ready() == 200
    assert json.loads(failed.stderr.splitlines()[-1])["error"]["code"] == "deploy-put-back"
    assert service.providers() == set(kept)
    assert service.heads() == ["004"]
    after = json.loads(docker("inspect", service.name))[0]
    assert (after["Id"], after["Image"]) == (before["Id"], before["Image"])
    assert after["HostConfig"]["RestartPolicy"] == before["HostConfig"]["RestartPolicy"]

    # Mended, it goes into service.
    service.release(RELEASE)
    words[-1] = f"{TAG}:mended"
    with hammered(service) as more:
        done = service.deploy(*words)
        assert done.returncode == 0, done.stderr
    assert service.providers() == {*kept, *more}
    assert service.heads() == ["005"]

    seen = service.orchctl("docker", "status", service.name, "--json")
    assert json.loads(seen.stdout)["ok"], seen.stdout
    healthy = service.orchctl("health", f"{service.url}/readyz", "--expect-json", "revision=005")
    assert healthy.returncode == 0, healthy.stderr

    # Back to where it began, what was written since kept aside.
    back = service.orchctl(
        "rollback", "--image", "--target", service.name, "--accept-data-loss", "--json"
    )
    assert back.returncode == 0, back.stderr
    assert service.heads() == ["004"]
    wait_until(lambda: service.ready() == 200, "the old one serves")
    assert json.loads(docker("inspect", service.name))[0]["Image"] == before["Image"]
