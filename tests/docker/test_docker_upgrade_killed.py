"""D15: `orchctl docker upgrade` killed at every step; whoever comes next brings it to an end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import STAYS, Boxes, inspect
from tests.support.deployed import Ended, Forks
from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import clean_environment

# What changes anything: the record, policies and stops of both, the upgrade, and all of it back.
STEPS = """
create set_restart_policy stop stop start set_restart_policy start start remove
""".split()
# Stands for the orchctl of the image: what is looked at here is what happens around it.
INSIDE = """#!/bin/sh
[ -e /data/waits ] && until [ -e /data/go-on ]; do sleep 0.02; done
echo upgraded >> /data/said
[ -e /data/silent ] || echo upgraded
"""


class Pair:
    """Two containers on one folder, one that its engine revives; and who upgrades in it."""

    def __init__(self, boxes: Boxes, forks: Forks, folder: Path) -> None:
        self.boxes, self.forks, self.data = boxes, forks, folder / "data"
        self.data.mkdir()
        program = folder / "orchctl"
        program.write_text(INSIDE)
        program.chmod(0o755)
        mounts = ["--volume", f"{self.data}:/data", "--volume", f"{program}:/bin/orchctl:ro"]
        mounts += ["--env", "DATABASE_URL=sqlite:////data/app.db"]
        self.web = boxes.run("web", STAYS, "--restart", "always", *mounts)
        self.other = boxes.run("other", STAYS, *mounts)
        self.one_off = f"{self.web}.one-off-by-orchctl"

    def upgrade(self, *words: str, killed_before: int = 0) -> Ended:
        words = ("docker", "upgrade", self.web, "--grace", "5s", *words)
        return self.forks.run(*words, killed_before=killed_before)

    def upgrades(self) -> int:
        said = self.data / "said"
        return said.read_text().count("upgraded") if said.exists() else 0

    def are_well(self) -> None:
        """Both run as before, and nothing is left."""
        for name, policy in ((self.web, "always"), (self.other, "no")):
            facts = inspect(name)
            assert facts["State"]["Running"]
            assert facts["HostConfig"]["RestartPolicy"]["Name"] == policy
        assert self.one_off not in docker("ps", "--all", "--format", "{{.Names}}").split()

    def made_by(self, **by: object) -> None:
        """A record as of somebody else."""
        stopped = [{"name": self.web, "id": inspect(self.web)["Id"], "policy": "always"}]
        labels = {
            "orchctl.one-off": self.web,
            "orchctl.one-off.stopped": json.dumps(stopped),
            "orchctl.one-off.by": json.dumps(by),
        }
        words = [word for name, text in labels.items() for word in ("--label", f"{name}={text}")]
        docker("create", "--name", self.one_off, *words, self.boxes.image, "true")


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    running = Forks(tmp_path_factory.mktemp("forks"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def both(busybox: str, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("both")
    boxes = Boxes(busybox, folder)
    try:
        yield Pair(boxes, forks, folder)
    finally:
        boxes.clean()


@pytest.fixture
def pair(both: Pair) -> Iterator[Pair]:
    """All well before and after."""
    for one in both.data.iterdir():
        one.unlink()
    both.are_well()
    yield both
    both.are_well()


def test_the_steps_are_these(pair: Pair) -> None:
    done = pair.upgrade()
    assert done.code == 0, done.stderr
    assert list(done.calls) == STEPS
    assert pair.upgrades() == 1


@pytest.mark.parametrize("before", range(2, len(STEPS) + 1))
def test_killed_before_each_step(pair: Pair, before: int) -> None:
    assert pair.upgrade(killed_before=before).code == -9
    # Refused for want of the image, which is looked for when all is in order again.
    after = pair.upgrade("--image", "orchctl-tests-none:0")
    assert (after.code, "An earlier upgrade was killed" in after.stderr) == (9, True), after
    assert pair.upgrades() == (0 if before <= STEPS.index("start") + 1 else 1)


def test_killed_before_anything_was_done(pair: Pair) -> None:
    assert pair.upgrade(killed_before=1).code == -9
    assert "An earlier" not in pair.upgrade("--image", "orchctl-tests-none:0").stderr


def test_an_answer_that_is_lost(pair: Pair, tmp_path: Path) -> None:
    """That it ended well is known; not what it did, nor which snapshot it took."""
    (pair.data / "silent").touch()
    done = pair.upgrade("--json")
    assert (done.code, json.loads(done.stderr)["upgrade"]["text"]) == (
        0,
        "done; its answer was lost",
    )
    copied = pair.upgrade("--copy-to", str(tmp_path / "copies"))
    assert copied.code == 6
    assert "The snapshot was not copied" in copied.stderr
    assert "The upgrade is done" in copied.stderr


def test_it_is_told_and_a_restart_ends_it(pair: Pair) -> None:
    assert pair.upgrade(killed_before=STEPS.index("start") + 1).code == -9
    seen = pair.forks.run("docker", "status", pair.other, "--json")
    assert seen.code == 1, seen.stderr
    (status,) = json.loads(seen.stderr)["containers"]
    assert status["upgrade"]["stopped"] == [pair.web, pair.other]
    assert (status["upgrade"]["state"], status["upgrade"]["alive"]) == ("created", False)
    told = pair.forks.run("docker", "status", pair.web).stderr
    assert f"orchctl docker upgrade {pair.web} does" in told
    found = pair.forks.run("doctor", "--target", f"docker:{pair.web}", "--json")
    kinds = {one["id"]: one["level"] for one in json.loads(found.stderr)["findings"]}
    assert (found.code, kinds["upgrade-unfinished"]) == (1, "error")
    done = pair.forks.run("docker", "restart", pair.other, "--no-wait")
    assert done.code == 0, done.stderr


def test_a_deploy_ends_it_first(pair: Pair) -> None:
    assert pair.upgrade(killed_before=STEPS.index("start") + 1).code == -9
    tried = pair.forks.run("deploy", f"docker:{pair.web}", "--image", "orchctl-tests-none:0")
    assert "An earlier upgrade was killed" in tried.stderr
    assert tried.code not in {0, 70}, tried.stderr


def test_killed_while_it_upgrades(pair: Pair) -> None:
    """The one-off goes on alone; nobody comes between, and the next one waits for its end."""
    (pair.data / "waits").touch()
    first = pair.boxes.begin("docker", "upgrade", pair.web, "--grace", "5s")
    wait_until(
        lambda: pair.one_off in docker("ps", "--format", "{{.Names}}").split(), "it is at work"
    )
    with_it = pair.forks.run("docker", "upgrade", pair.other, "--json")
    assert with_it.code == 4, with_it.stderr
    assert json.loads(with_it.stderr)["error"]["code"] == "upgrade-running"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = pair.boxes.begin("docker", "upgrade", pair.web, "--grace", "5s")
    told = "waiting for its end"
    wait_until(lambda: told in second.stderr() or not second.alive(), told)
    assert told in second.stderr(), second.stderr()
    (pair.data / "go-on").touch()
    done = second.finished()
    assert done.returncode == 0, done.stderr
    assert "ended with exit code 0" in done.stderr
    assert pair.upgrades() == 2


def test_of_another_machine_it_is_not_known(pair: Pair) -> None:
    pair.made_by(host="elsewhere", boot="b", namespace="n", pid=1, started="1")
    docker("stop", "--time", "5", pair.web)
    refused = pair.upgrade("--json")
    assert refused.code == 4, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert (error["code"], "--take-over" in error["hint"]) == ("upgrade-running", True)
    assert pair.upgrades() == 0
    assert pair.upgrade("--take-over").code == 0
    assert pair.upgrades() == 1


def test_a_number_that_another_process_has_by_now(pair: Pair) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    here = {"boot": boot, "namespace": str(Path("/proc/self/ns/pid").readlink())}
    pair.made_by(host=socket.gethostname(), pid=os.getpid(), started="1", **here)
    done = pair.upgrade("--image", "orchctl-tests-none:0")
    assert "An earlier upgrade was killed" in done.stderr, done


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_just_being_stopped_runs_afterwards(both: Pair, tmp_path: Path, how: int) -> None:
    """Its engine goes on with a stop: what still runs then would end once it was "started"."""
    boxes, begun = Boxes(both.boxes.image, tmp_path), tmp_path / "ending"
    ends_late = "trap 'touch /data/ending; sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
    try:
        name = boxes.run("late", ends_late, "--volume", f"{tmp_path}:/data")
        before = inspect(name)["State"]["StartedAt"]
        running = boxes.begin("docker", "upgrade", name, "--grace", "9s")
        wait_until(begun.exists, "it is being stopped")
        running.send_signal(how)
        _, told = running.communicate(timeout=60)
        if how == signal.SIGKILL:
            told = both.forks.run("docker", "upgrade", name, "--image", "orchctl-none:0").stderr
            assert "An earlier upgrade was killed" in told
        state = inspect(name)["State"]
        assert state["Running"], told
        assert state["StartedAt"] > before
    finally:
        boxes.clean()


def test_a_reader_that_is_gone_keeps_nothing_stopped(pair: Pair) -> None:
    """`orchctl docker upgrade … 2>&1 | head -1`."""
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "orchctl", "docker", "upgrade", pair.web, "--grace", "5s"]
    env, folder = clean_environment(), pair.boxes.folder
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(words, stdout=gone, stderr=gone, env=env, cwd=folder)
    assert done.returncode == 0
    assert pair.upgrades() == 1


def test_what_can_t_hold_a_copy_is_told_before_anything_is_stopped(
    pair: Pair, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    begun = inspect(pair.web)["State"]["StartedAt"]
    for name in ("file", "file/in-it"):
        done = pair.upgrade("--copy-to", str(tmp_path / name))
        assert (done.code, "can't be made" in done.stderr) == (5, True), done.stderr
    assert inspect(pair.web)["State"]["StartedAt"] == begun
    assert pair.upgrades() == 0
