"""D12: a real engine stopped, or killed and started anew, in the middle of three operations.

The engine is the tests' own. At the same moment a restart waits for a health check, an upgrade runs
in a one-off container, and a deploy has everything stopped.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import QUICK_CHECK, STAYS
from tests.support.preloaded import Run, orchctl, start
from tests.support.private_engine import PrivateEngine, private_engine
from tests.support.processes import wait_until
from tests.support.projects import Project

INSIDE = """#!/bin/sh
trap "exit 143" TERM; echo at work >&2
until [ -e /data/go-on ]; do sleep 0.02; done
echo '{"from": "a1", "to": "b2"}'
"""
TABLE = "op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True))"
COLUMN = "op.add_column('notes', sa.Column('stars', sa.Integer))"


class Amidst:
    """Three containers, and what is being done to each."""

    def __init__(self, engine: PrivateEngine, image: str, folder: Path) -> None:
        self.engine, self.image, self.folder = engine, image, folder
        self.project = Project(folder / "project")
        self.project.add("a1", TABLE)
        self._run("web", "--restart", "always", "--health-cmd", "test -f /data/ok")
        inside = folder / "orchctl"
        inside.write_text(INSIDE)
        inside.chmod(0o755)
        self._run("inner", "--restart", "always", "--volume", f"{inside}:/bin/orchctl:ro")
        url = "sqlite:////data/app.db"
        self._run("app", "--restart", "always", "--env", f"DATABASE_URL={url}")
        self.database = self.data("app") / "app.db"
        made = self.project.orchctl("--url", f"sqlite:///{self.database}", "upgrade", "--no-backup")
        assert made.returncode == 0, made.stderr
        self.project.add("b2", COLUMN, "op.drop_column('notes', 'stars')")
        engine.docker(
            "build",
            "--quiet",
            "--tag",
            "next",
            "-",
            stdin=b"FROM %b\nENV NEXT=1\n" % image.encode(),
        )
        hook = f"touch {folder}/waits; until [ -e {folder}/hook-goes-on ]; do sleep 0.05; done"
        (self.project.folder / "orchctl.toml").write_text(
            f"[deploy.hooks]\npre-upgrade = '{hook}'\n"
        )

    def _run(self, name: str, *words: str) -> None:
        self.data(name).mkdir()
        words = ("--volume", f"{self.data(name)}:/data", *QUICK_CHECK[:4], *words)
        words = (*words, "--health-retries", "100000", "--network", "none", "--name", name)
        self.engine.docker("run", "--detach", *words, self.image, "sh", "-c", STAYS)

    def data(self, name: str) -> Path:
        return self.folder / name

    def begin(self) -> None:
        """All three, until each is in the middle."""
        began = self.state("web")["StartedAt"]
        env = {"DOCKER_HOST": self.engine.host}
        words = ["--grace", "5s", "--json"]
        self.restart = start(
            self.project, "docker", "restart", "web", "--timeout", "90s", *words, env=env
        )
        self.upgrade = start(self.project, "docker", "upgrade", "inner", *words, env=env)
        deploy = ["deploy", "docker:app", "--image", "next", "--no-rehearse", "--grace", "5s"]
        self.deploy = start(self.project, *deploy, env=env)
        wait_until((self.folder / "waits").exists, "the deploy has stopped all")
        wait_until(lambda: self.state("web")["StartedAt"] > began, "the restart waits")
        wait_until(lambda: "inner.one-off-by-orchctl" in self.running(), "the one-off is at work")

    def let_go(self) -> None:
        """End what all three wait for."""
        for path in ("web/ok", "inner/go-on", "hook-goes-on"):
            (self.folder / path).touch()

    def orchctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return orchctl(self.project, *words, env={"DOCKER_HOST": self.engine.host})

    def state(self, name: str) -> dict[str, object]:
        found: list[dict[str, dict[str, object]]] = json.loads(self.engine.docker("inspect", name))
        return found[0]["State"]

    def running(self) -> list[str]:
        return self.engine.docker("ps", "--format", "{{.Names}}").split()

    def is_well(self) -> None:
        """All three run, revived by their engine, and nothing is left; the database is upgraded."""
        listed = self.engine.docker("ps", "--all", "--format", "{{.Names}}").split()
        assert sorted(listed) == sorted(self.running()) == ["app", "inner", "web"]
        for name in listed:
            told = self.engine.docker(
                "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", name
            )
            assert told == "always"
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("b2",)]
        seen = self.engine.docker("inspect", "--format", "{{.Config.Image}}", "app")
        assert seen == "next"

    def close(self) -> None:
        self.let_go()
        for one in (self.restart, self.upgrade, self.deploy):
            if one.poll() is None:
                one.kill()
                one.communicate()


def amidst(engine: PrivateEngine, image: str, folder: Path) -> Iterator[Amidst]:
    engine.load(image)
    one = Amidst(engine, image, folder)
    one.begin()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def mortal(busybox: str, tmp_path: Path) -> Iterator[Amidst]:
    """An engine that takes its containers with it."""
    with private_engine() as engine:
        yield from amidst(engine, busybox, tmp_path)


@pytest.fixture
def lasting(busybox: str, tmp_path: Path) -> Iterator[Amidst]:
    """An engine whose containers go on without it."""
    with private_engine("--live-restore") as engine:
        yield from amidst(engine, busybox, tmp_path)


def error_of(process: Run) -> dict[str, str]:
    done = process.finished()
    assert done.returncode == 9, done.stdout + done.stderr
    error: dict[str, str] = json.loads(done.stderr[done.stderr.index("{") :])["error"]
    return error


def test_stopped(mortal: Amidst) -> None:
    """SIGSTOP: it takes connections, and answers nothing."""
    mortal.engine.pause()
    (mortal.folder / "hook-goes-on").touch()
    restart, upgrade, deploy = (
        error_of(mortal.restart),
        error_of(mortal.upgrade),
        mortal.deploy.finished(),
    )
    for error in (restart, upgrade):
        assert error["code"] == "engine-away"
        assert "no answer within" in error["message"]
    assert "not known" in restart["state"]
    assert "inner may be stopped, which is on record" in upgrade["state"]
    assert "orchctl docker upgrade inner" in upgrade["hint"]
    assert deploy.returncode == 9, deploy.stderr
    assert "The deploy is not over" in deploy.stderr
    mortal.engine.go_on()
    mortal.let_go()
    for words in (
        ["docker", "restart", "web"],
        ["docker", "upgrade", "inner", "--json"],
        ["deploy", "docker:app", "--resume"],
    ):
        done = mortal.orchctl(*words)
        assert done.returncode == 0, done.stderr
    mortal.is_well()


def killed_and_begun(one: Amidst) -> None:
    """The engine is away until the deploy says so."""
    one.engine.kill()
    (one.folder / "hook-goes-on").touch()
    told = "waiting for it to come back"
    wait_until(lambda: told in one.deploy.stderr() or not one.deploy.alive(), told)
    assert told in one.deploy.stderr(), one.deploy.stderr()
    one.engine.begin()


def test_started_anew(mortal: Amidst) -> None:
    """Its containers end with it; those with a policy are revived."""
    killed_and_begun(mortal)
    error = error_of(mortal.upgrade)
    assert error["code"] == "engine-away"
    assert "started anew" in error["message"]
    assert "inner runs again as before" in error["state"]
    mortal.let_go()
    for process in (mortal.restart, mortal.deploy):
        done = process.finished()
        assert done.returncode == 0, done.stderr
    mortal.is_well()


def test_started_anew_under_containers_that_go_on(lasting: Amidst) -> None:
    killed_and_begun(lasting)
    lasting.let_go()
    done = lasting.upgrade.finished()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["upgrade"]["to"] == "b2"
    done = lasting.deploy.finished()
    assert done.returncode == 0, done.stderr
    # Engines (20.10 for one) don't take up the health checks of what went on without them: the
    # restart waits on then, until its time is over.
    lasting.restart.send_signal(signal.SIGINT)
    assert lasting.restart.finished().returncode in {0, 130}
    lasting.is_well()
