"""`orchctl deploy`: a new image and its revisions together, or neither."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import Deployed, Writer, build, deployed
from tests.support.docker_engine import docker
from tests.support.machine import mounted
from tests.support.preloaded import start
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def good(python_base: str) -> tuple[str, str]:
    """Two versions that serve."""
    return build(python_base, "1"), build(python_base, "2")


@pytest.fixture(scope="module")
def sick(python_base: str) -> str:
    """A version that takes what is written, and is never healthy."""
    return build(python_base, "3", "sick")


@pytest.fixture
def service(good: tuple[str, str], tmp_path: Path) -> Iterator[Deployed]:
    with deployed(tmp_path, good[0]) as one:
        yield one


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_image_and_revisions_go_into_service_and_back(
    service: Deployed, good: tuple[str, str]
) -> None:
    old = service.facts()
    with Writer(service) as writer:
        done = service.deploy("--image", good[1], "--json")
        assert done.returncode == 0, done.stderr
        count = len(writer.kept)
        wait_until(lambda: len(writer.kept) > count + 5, "it is written to again")
    told = json.loads(done.stdout)
    assert (told["from"], told["to"], told["image"]) == ("a1", "b2", good[1])
    assert service.answer() == "good 2"
    assert service.heads() == ["b2"]
    assert writer.answered(service.notes()) == writer.texts
    new = service.facts()
    assert new["Image"] == told["image_id"] != old["Image"]
    assert new["HostConfig"]["RestartPolicy"] == old["HostConfig"]["RestartPolicy"]
    assert new["HostConfig"]["Binds"] == old["HostConfig"]["Binds"]

    refused = service.orchctl("rollback", "--image", "--target", service.name)
    assert refused.returncode == 5, refused.stderr
    shown = service.orchctl("rollback", "--image", "--target", service.name, "--dry-run", "--json")
    assert json.loads(shown.stdout)["restores_database"] is True
    assert service.facts()["Id"] == new["Id"]

    words = ["--image", "--target", service.name, "--accept-data-loss"]
    back = service.orchctl("rollback", *words, "--json")
    assert back.returncode == 0, back.stderr
    assert service.answer() == "good 1"
    assert service.heads() == ["a1"]
    assert service.facts()["Image"] == old["Image"]
    assert service.facts()["HostConfig"]["RestartPolicy"] == old["HostConfig"]["RestartPolicy"]
    again = service.orchctl("rollback", *words)
    assert (again.returncode, "No deploy" in again.stderr) == (5, True)


def test_an_image_that_never_gets_healthy_is_put_back_with_the_database(
    service: Deployed, sick: str
) -> None:
    old = service.facts()
    with Writer(service) as writer:
        done = service.deploy("--image", sick, "--timeout", "2s", "--json")
        count = len(writer.kept)
        wait_until(lambda: len(writer.kept) > count + 5, "it is written to again")
    assert done.returncode == 9, done.stderr
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "deploy-put-back"
    assert "503" in error["message"]
    assert service.answer() == "good 1"
    assert service.heads() == ["a1"]
    now = service.facts()
    assert (now["Id"], now["HostConfig"]["RestartPolicy"]) == (
        old["Id"],
        old["HostConfig"]["RestartPolicy"],
    )
    # What the sick one took is in the snapshot of what was put aside; all else never left.
    aside = {note for path in put_aside(service) for note in notes_in(path)}
    lost = [text for text in writer.texts if text not in {*service.notes(), *aside}]
    assert not lost
    assert service.record()["running"] is None


def put_aside(service: Deployed) -> list[Path]:
    listed = service.orchctl("--url", f"sqlite:///{service.database}", "backup", "list", "--json")
    snapshots = json.loads(listed.stdout)["snapshots"]
    return [Path(one["path"]) for one in snapshots if one["reason"] == "pre-rollback"]


def notes_in(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM notes")]


def test_without_revisions_what_the_new_image_wrote_stays(service: Deployed, sick: str) -> None:
    with Writer(service) as writer:
        done = service.deploy("--image", sick, "--timeout", "2s", "--to", "a1")
    assert done.returncode == 9, done.stderr
    assert service.answer() == "good 1"
    assert writer.answered(service.notes()) == writer.texts


def running(name: str) -> str:
    """Python that sets `told` to the containers of that name that run."""
    words = ["docker", "ps", "--quiet", "--filter", f"name={name}"]
    return f"import subprocess\ntold = subprocess.check_output({words}).split()"


def test_an_upgrade_that_fails_after_the_stop(service: Deployed, good: tuple[str, str]) -> None:
    # Goes through on the copy, while the service runs.
    service.project.add("c3", f"{running(service.name)}\nassert told")
    old = service.facts()
    done = service.deploy("--image", good[1], "--json")
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "deploy-upgrade-failed"
    assert (service.answer(), service.heads()) == ("good 1", ["a1"])
    assert service.facts()["Id"] == old["Id"]
    assert service.facts()["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_what_fails_on_the_copy_stops_nothing(service: Deployed, good: tuple[str, str]) -> None:
    service.project.add("c3", "op.drop_column('notes', 'nothing')")
    begun = service.facts()["State"]["StartedAt"]
    done = service.deploy("--image", good[1])
    assert done.returncode == 6, done.stderr
    assert service.facts()["State"]["StartedAt"] == begun


def test_a_dry_run_changes_nothing(service: Deployed, good: tuple[str, str]) -> None:
    before, facts = contents(service.data), service.facts()
    done = service.deploy("--image", good[1], "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["revisions"], told["database"]) == (["b2"], str(service.database))
    assert contents(service.data) == before
    assert service.facts() == facts


def test_every_container_on_the_volume_is_stopped_and_started_again(
    service: Deployed, good: tuple[str, str]
) -> None:
    """D05 and D14: others on the same folder, which their policy would revive.

    One of them is started when the plan is made already.
    """
    other, late = f"{service.name}-other", f"{service.name}-late"
    # On the copy all are there, on the database itself nobody may be.
    service.project.add("c3", f"{running(service.name)}\nassert len(told) in (0, 3), told")
    words = ["--env", "PORT=0", "--network", "none", "--restart", "unless-stopped"]
    words += ["--volume", f"{service.data}:/data"]
    docker("run", "--detach", "--name", other, *words, good[0])
    hook = " ".join(["docker run --detach --name", late, *words, good[0]])
    settings = service.project.folder / "orchctl.toml"
    settings.write_text(f"[deploy.hooks]\npre-deploy = '{hook}'\n")
    begun = service.facts(other)
    done = service.deploy("--image", good[1])
    assert done.returncode == 0, done.stderr
    assert f"{late} was started on this database meanwhile" in done.stderr
    assert service.facts(late)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert service.facts(late)["State"]["Running"]
    now = service.facts(other)
    assert now["Id"] == begun["Id"]
    assert now["State"]["Running"]
    assert now["State"]["StartedAt"] > begun["State"]["StartedAt"]
    assert now["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_one_deploy_at_a_time(service: Deployed, good: tuple[str, str]) -> None:
    go_on = service.project.folder / "go-on"
    hook = f"until [ -e {go_on} ]; do sleep 0.05; done"
    settings = service.project.folder / "orchctl.toml"
    settings.write_text(f'[deploy.hooks]\npre-deploy = "{hook}"\n')
    words = ["deploy", f"docker:{service.name}", "--image", good[1], "--health", service.url]
    first = start(service.project, *words)
    status = ["deploy", "lock", "status", service.name, "--json"]

    def holder() -> object:
        return json.loads(service.orchctl(*status).stdout)["holder"]

    wait_until(holder, "the first one has the lock")
    second = service.orchctl(*words)
    assert (second.returncode, "Another deploy" in second.stderr) == (4, True), second.stderr
    release = service.orchctl("deploy", "lock", "release", service.name, "--yes")
    assert release.returncode == 5, release.stderr
    go_on.touch()
    _, told = first.communicate(timeout=60)
    assert first.returncode == 0, told
    assert holder() is None


def test_hooks_are_told_and_can_say_no(service: Deployed, good: tuple[str, str]) -> None:
    settings, log = service.project.folder / "orchctl.toml", service.project.folder / "log"
    moments = ("pre-deploy", "pre-upgrade", "post-upgrade", "post-deploy")
    line = f"echo $ORCHCTL_HOOK $ORCHCTL_REVISION_FROM $ORCHCTL_IMAGE >> {log}"
    hooks = [f"{moment} = '{line}'" for moment in moments]
    begun = service.facts()["State"]["StartedAt"]

    settings.write_text("[deploy.hooks]\npre-deploy = 'echo no; exit 3'\n")
    done = service.deploy("--image", good[1])
    assert (done.returncode, "ended with 3: no" in done.stderr) == (5, True), done.stderr
    assert service.facts()["State"]["StartedAt"] == begun

    settings.write_text("[deploy.hooks]\npre-upgrade = 'exit 1'\n")
    done = service.deploy("--image", good[1])
    assert (done.returncode, service.answer(), service.heads()) == (5, "good 1", ["a1"])

    settings.write_text("\n".join(["[deploy.hooks]", *hooks]).replace("'\n", "'\n"))
    done = service.deploy("--image", good[1])
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines() == [f"{one} a1 {good[1]}" for one in moments]

    settings.write_text("[deploy.hooks]\npost-deploy = 'exit 1'\n")
    done = service.deploy("--image", good[0])
    assert (done.returncode, service.answer()) == (9, "good 1"), done.stderr


def test_image_and_revision_there_already(service: Deployed, good: tuple[str, str]) -> None:
    begun = service.facts()["State"]["StartedAt"]
    done = service.deploy("--to", "a1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["deployed"] is False
    assert service.facts()["State"]["StartedAt"] == begun


def test_an_image_that_is_not_there(service: Deployed) -> None:
    done = service.deploy("--image", "orchctl-tests-deployed:nowhere")
    assert done.returncode == 9
    assert "no image" in done.stderr
    # Where there is no registry to ask, too.
    done = service.deploy("--wait-image", "orchctl-tests-deployed:nowhere", "--timeout", "0s")
    assert done.returncode == 10, done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--resume"], "No deploy"),
        (["--abort"], "No deploy"),
    ],
)
def test_nothing_to_resume(service: Deployed, words: list[str], told: str) -> None:
    done = service.deploy(*words)
    assert (done.returncode, told in done.stderr) == (5, True), done.stderr


def test_s06_what_the_way_back_needs_is_not_pruned(
    service: Deployed, good: tuple[str, str]
) -> None:
    previous = service.facts()["Image"]
    done = service.deploy("--image", good[1], "--json")
    assert done.returncode == 0, done.stderr
    # A later one that fails leaves the image, too.
    settings = service.project.folder / "orchctl.toml"
    settings.write_text("[deploy.hooks]\npre-upgrade = 'exit 1'\n")
    assert service.deploy("--image", good[0]).returncode == 5
    settings.unlink()
    assert service.facts(f"orchctl-previous:{service.name}")["Id"] == previous
    snapshots = ["--url", f"sqlite:///{service.database}", "backup"]
    for words in (["create"], ["prune", "--keep-last", "1"]):
        assert service.orchctl(*snapshots, *words).returncode == 0
    back = ["rollback", "--image", "--target", service.name, "--accept-data-loss"]
    snapshot = json.loads(done.stdout)["snapshot"]
    (file,) = service.data.rglob(f"*{snapshot}*.snapshot")
    begun = service.facts()
    file.rename(f"{file}.away")
    gone = service.orchctl(*back, "--json")  # before anything is stopped for it
    assert gone.returncode == 5, gone.stderr
    assert json.loads(gone.stderr.splitlines()[-1])["error"]["code"] == "snapshot-unusable"
    assert service.facts() == begun
    Path(f"{file}.away").rename(file)
    done = service.orchctl(*back)
    assert done.returncode == 0, done.stderr
    assert (service.answer(), service.heads()) == ("good 1", ["a1"])


def test_s08_a_schema_changed_by_hand_since_takes_no_row_along(
    service: Deployed, good: tuple[str, str]
) -> None:
    """No revision ran, but going back would put the snapshot back all the same."""
    assert service.deploy("--image", good[1], "--to", "a1").returncode == 0
    service.write("since")
    with contextlib.closing(sqlite3.connect(service.database)) as connection, connection:
        connection.execute("CREATE INDEX by_text ON notes (text)")
    words = ["rollback", "--image", "--target", service.name]
    done = service.orchctl(*words)
    assert (done.returncode, service.answer()) == (5, "good 2"), done.stderr
    assert "since" in service.notes()
    assert service.orchctl(*words, "--accept-data-loss").returncode == 0
    assert service.answer() == "good 1"
    assert "since" in {note for path in put_aside(service) for note in notes_in(path)}


def test_h07_a_full_disk_does_not_keep_the_service_down(
    good: tuple[str, str], tmp_path: Path
) -> None:
    fill = "dd if=/dev/zero of=$(dirname $ORCHCTL_DATABASE)/fill bs=1k 2>/dev/null; exit 1"
    with mounted(tmp_path / "data", "size=8m") as data, deployed(tmp_path, good[0]) as service:
        (data / "fill").write_bytes(bytes(7 << 20))
        begun = service.facts()["State"]["StartedAt"]
        done = service.deploy("--image", good[1], "--to", "a1", "--json")
        assert done.returncode == 5, done.stderr
        assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "no-space"
        assert service.facts()["State"]["StartedAt"] == begun
        (data / "fill").unlink()

        settings = service.project.folder / "orchctl.toml"
        settings.write_text(f"[deploy.hooks]\npre-upgrade = '{fill}'\n")
        done = service.deploy("--image", good[1])
        assert (done.returncode, service.answer()) == (5, "good 1"), done.stderr
        assert "not on record" in done.stderr
        assert service.facts()["HostConfig"]["RestartPolicy"]["Name"] == "always"
        (data / "fill").unlink()
        settings.unlink()
        assert service.deploy("--abort").returncode == 0
        assert service.record()["running"] is None
        assert (service.answer(), service.heads()) == ("good 1", ["a1"])


def test_sigterm_ends_a_hook_with_the_deploy(service: Deployed, good: tuple[str, str]) -> None:
    told = service.project.folder / "pid"
    hook = f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 1000"
    settings = service.project.folder / "orchctl.toml"
    settings.write_text(f"[deploy.hooks]\npre-deploy = '{hook}'\n")
    words = ["deploy", f"docker:{service.name}", "--image", good[1]]
    running = start(service.project, *words)
    wait_until(told.exists, "the hook is at work")
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 130
    wait_until(lambda: not Path("/proc", told.read_text().strip()).exists(), "the hook is over")


def test_a_container_that_is_down_is_no_reason_to_do_nothing(service: Deployed) -> None:
    docker("stop", "--time", "5", service.name)
    done = service.deploy("--to", "a1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["deployed"] is True
    assert service.answer() == "good 1"


def test_ctrl_c_leaves_nothing_half_taken_back(service: Deployed, good: tuple[str, str]) -> None:
    """The first one; half-way the service would be down."""
    docker("rm", "--force", service.name)
    late = "trap ': > /data/ending; sleep 1; exit 0' TERM; python3 /service.py & wait"
    words = ["--env", f"PORT={service.port}", "--env", "DATABASE_URL=sqlite:////data/app.db"]
    words += ["--volume", f"{service.data}:/data", "--network", "host", "--entrypoint", "sh"]
    docker("run", "--detach", "--name", service.name, *words, good[0], "-c", late)
    wait_until(service.answer, "the service answers")
    done = service.deploy("--image", good[1])
    assert done.returncode == 0, done.stderr
    (service.data / "ending").unlink()
    words = ["rollback", "--image", "--target", service.name, "--accept-data-loss", "--json"]
    running = start(service.project, *words)
    wait_until((service.data / "ending").exists, "it is being stopped")
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "is back with the image it had" in json.loads(told.splitlines()[-1])["error"]["state"]
    wait_until(lambda: service.answer() == "good 1", "it serves")
    assert (service.heads(), service.record()["running"]) == (["a1"], None)
