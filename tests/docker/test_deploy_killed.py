"""D15: a deploy that is killed, at every step, is finished or undone by the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import Deployed, Forks, build, deployed

# What changes anything outside, in its order: a container's policy, its stop …
FORWARD = """
_write set_restart_policy stop take_snapshot _write upgrade_here _write stop rename create start
remove _write set_restart_policy write_journal _write
""".split()
_IN_SERVICE = FORWARD.index("remove") + 3  # killed before this one: the new image serves
# And undoing it, once the new container was started.
BACK = """
_write stop put_database_back remove rename set_restart_policy start write_journal _write
""".split()


@pytest.fixture(scope="module")
def versions(python_base: str) -> tuple[str, str]:
    return build(python_base, "1"), build(python_base, "2")


@pytest.fixture(scope="module")
def service(
    versions: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """At version 1 and revision a1, before and after every test."""
    with deployed(tmp_path_factory.mktemp("killed"), versions[0]) as one:
        yield one


@pytest.fixture(scope="module")
def forks(service: Deployed) -> Iterator[Forks]:
    running = Forks(service.project.folder)
    yield running
    running.close()


class Story:
    """A deploy of version 2, killed; and what is done about it."""

    def __init__(self, service: Deployed, forks: Forks, image: str) -> None:
        self.service, self.forks, self.image = service, forks, image
        self.target = f"docker:{service.name}"

    def deploy(self, *words: str, killed_before: int = 0) -> int:
        given = ["--image", self.image, "--no-rehearse"] if not words else list(words)
        health = ["--health", self.service.url, "--grace", "5s"]
        ended = self.forks.run("deploy", self.target, *health, *given, killed_before=killed_before)
        self.ended = ended
        return ended.code

    def is_at(self, version: str, revision: str) -> None:
        """The service runs one version on its revision, with every note, and nothing is left."""
        assert self.service.answer() == f"good {version}", self.ended
        assert self.service.heads() == [revision]
        assert self.service.containers() == [self.service.name]
        policy = self.service.facts()["HostConfig"]["RestartPolicy"]
        assert policy == {"Name": "always", "MaximumRetryCount": 0}
        assert self.service.record()["running"] is None

    def go_back(self) -> None:
        words = ["--target", self.target, "--accept-data-loss"]
        assert self.forks.run("rollback", "--image", *words).code == 0
        self.is_at("1", "a1")


@pytest.fixture
def story(service: Deployed, forks: Forks, versions: tuple[str, str]) -> Story:
    return Story(service, forks, versions[1])


def test_the_steps_are_these(story: Story) -> None:
    assert story.deploy() == 0, story.ended
    assert list(story.ended.calls) == FORWARD
    story.is_at("2", "b2")
    story.go_back()


@pytest.mark.parametrize("before", range(2, _IN_SERVICE))
def test_killed_and_undone(story: Story, before: int) -> None:
    notes = [*story.service.notes(), f"before {before}"]
    story.service.write(notes[-1])
    assert story.deploy(killed_before=before) == -9
    assert story.deploy("--abort") == 0, story.ended
    story.is_at("1", "a1")
    assert story.service.notes() == notes


@pytest.mark.parametrize("before", [3, 7, 11, _IN_SERVICE + 1])
def test_killed_and_finished(story: Story, before: int) -> None:
    notes = [*story.service.notes(), f"before {before}"]
    story.service.write(notes[-1])
    assert story.deploy(killed_before=before) == -9
    assert story.deploy("--resume") == 0, story.ended
    story.is_at("2", "b2")
    assert story.service.notes() == notes
    story.go_back()


def test_what_serves_already_is_not_undone_but_tidied_up(story: Story) -> None:
    assert story.deploy(killed_before=_IN_SERVICE) == -9
    assert story.deploy("--abort") == 2, story.ended
    assert story.deploy("--resume") == 0, story.ended
    story.is_at("2", "b2")
    story.go_back()


def test_the_next_deploy_puts_it_in_order_first(story: Story) -> None:
    assert story.deploy(killed_before=11) == -9
    assert story.deploy() == 0, story.ended
    assert "An earlier deploy was killed" in story.ended.stderr
    story.is_at("2", "b2")
    story.go_back()


def test_the_steps_back_are_these(story: Story) -> None:
    assert story.deploy(killed_before=FORWARD.index("remove") + 1) == -9
    assert story.deploy("--abort") == 0, story.ended
    assert list(story.ended.calls) == BACK
    story.is_at("1", "a1")


@pytest.mark.parametrize("before", [3, 4, 5, 6, 7, len(BACK)])
def test_undoing_is_killed_too(story: Story, before: int) -> None:
    assert story.deploy(killed_before=FORWARD.index("remove") + 1) == -9
    assert story.deploy("--abort", killed_before=before) == -9
    assert story.deploy("--resume") == 5, story.ended
    assert story.deploy("--abort") == 0, story.ended
    story.is_at("1", "a1")


def test_a_restart_does_not_come_between(story: Story, service: Deployed) -> None:
    """It would put the old image on the new revision, or start it in the middle of the upgrade."""
    assert story.deploy(killed_before=FORWARD.index("remove") + 1) == -9
    there = service.containers()
    tried = story.forks.run("docker", "restart", service.name, "--timeout", "1s")
    assert (tried.code, f"deploy {story.target} --abort" in tried.stderr) == (5, True), tried
    assert service.containers() == there
    assert "Not over" in story.forks.run("docker", "status", service.name).stderr
    assert story.deploy("--abort") == 0, story.ended
    story.is_at("1", "a1")


def test_nothing_was_begun(story: Story) -> None:
    assert story.deploy(killed_before=1) == -9
    assert story.deploy("--abort") == 5
    story.is_at("1", "a1")


def test_a_record_that_can_t_be_read(story: Story, service: Deployed) -> None:
    record = service.database.with_name("app.db.orchctl-deploy.json")
    record.write_text("{")
    assert story.deploy() == 5, story.ended
    assert story.forks.run("deploy", "lock", "release", service.name, "--yes").code == 0
    assert not record.exists()
    assert Path(f"{record}.released").read_text() == "{"
    story.service.write("still there")
