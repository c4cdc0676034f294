"""`orchctl docker restart --recreate`: the same configuration, and never nothing in its place."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.support.containers import ENDS, QUICK_CHECK, STAYS, Boxes, failed, inspect, succeeded
from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import clean_environment

ASIDE = ".set-aside-by-orchctl"


@pytest.fixture
def images(boxes: Boxes) -> Any:
    """Makes images with settings of their own; they are removed afterwards."""
    made: list[str] = []

    def make(name: str, *changes: str) -> str:
        tag = f"{boxes.name(name)}:1"
        box = docker("create", "--label", f"orchctl-tests={boxes.mark}", boxes.image, "sh")
        words = [word for change in changes for word in ("--change", change)]
        docker("commit", *words, box, tag)
        docker("rm", box)
        made.append(tag)
        return tag

    yield make
    boxes.clean()
    for tag in made:
        docker("rmi", tag)


def aliases(container: dict[str, Any], network: str) -> list[str]:
    """Those that somebody chose: engines add the short id and the host name, some at each start."""
    settings = container["NetworkSettings"]["Networks"][network]
    added = (container["Id"][:12], container["Config"]["Hostname"])
    return [one for one in settings["Aliases"] if one not in added]


def exists(name: str) -> bool:
    return bool(docker("ps", "--all", "--quiet", "--filter", f"name=^/{name}$"))


def test_everything_that_somebody_set_is_kept(boxes: Boxes) -> None:
    named, folder = boxes.volume("data"), boxes.folder / "bound"
    folder.mkdir()
    first = boxes.network("one", "--subnet", "10.213.77.0/24")
    second = boxes.network("two", "--subnet", "10.213.78.0/24")
    words = [
        *(
            "--volume",
            f"{named}:/data",
            "--volume",
            f"{folder}:/bound:ro",
            "--volume",
            "/anonymous",
        ),
        *("--mount", "type=volume,target=/unnamed", "--tmpfs", "/scratch:size=1m"),
        *("--network", first, "--network-alias", "db", "--ip", "10.213.77.9"),
        *("--label", "a=b", "--env", "A=1", "--restart", "unless-stopped", "--user", "1000:1000"),
        *("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--read-only"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--init"),
        *("--health-cmd", "true", *QUICK_CHECK, "--stop-signal", "SIGTERM", "--stop-timeout", "3"),
        *("--hostname", "db-host", "--workdir", "/data", "--log-opt", "max-size=1m"),
        *("--add-host", "other:10.0.0.1", "--dns", "10.0.0.2", "--ulimit", "nofile=100:200"),
        *("--entrypoint", "/bin/busybox", "--shm-size", "8m", "--publish", "127.0.0.1::80"),
    ]
    name = boxes.run("web", STAYS, *words)
    docker("network", "connect", "--alias", "second-db", "--ip", "10.213.78.9", second, name)
    docker("exec", "--user", "0", name, "sh", "-c", "echo kept > /anonymous/file")
    before = inspect(name)
    succeeded(boxes.orchctl("docker", "restart", name, "--recreate", "--json"))
    after = inspect(name)
    assert after["Id"] != before["Id"]
    assert after["Image"] == before["Image"]
    assert not exists(name + ASIDE)
    config, host = after["Config"], after["HostConfig"]
    assert config == before["Config"]
    binds = host.pop("Binds")
    assert set(before["HostConfig"].pop("Binds")) <= set(binds)
    unnamed = host["Mounts"][0].pop("Source")
    assert host == before["HostConfig"]
    mounts = {one["Destination"]: one.get("Name") for one in before["Mounts"]}
    assert {one["Destination"]: one.get("Name") for one in after["Mounts"]} == mounts
    assert unnamed == mounts["/unnamed"]
    assert docker("exec", name, "cat", "/anonymous/file") == "kept"
    networks = after["NetworkSettings"]["Networks"]
    addresses = {network: one["IPAddress"] for network, one in networks.items()}
    assert addresses == {first: "10.213.77.9", second: "10.213.78.9"}
    assert aliases(after, first) == aliases(before, first)
    assert "db" in aliases(after, first)
    assert aliases(after, second) == ["second-db"]


def test_what_came_from_the_old_image_comes_from_the_new(boxes: Boxes, images: Any) -> None:
    old = images(
        "old",
        "ENV V=old",
        "ENV SET=image",
        "LABEL v=old",
        "USER 1",
        f'CMD ["{STAYS}"]',
        'ENTRYPOINT ["sh", "-c"]',
    )
    new = images(
        "new",
        "ENV V=new",
        "LABEL v=new",
        "USER 2",
        f'CMD ["echo new; {STAYS}"]',
        'ENTRYPOINT ["sh", "-c"]',
    )
    name = boxes.name("web")
    mark = ["--label", f"orchctl-tests={boxes.mark}", "--env", "SET=mine"]
    docker("run", "--detach", "--name", name, *mark, old)
    words = ["--recreate", "--image", new, "--json"]
    done = succeeded(boxes.orchctl("docker", "restart", name, *words))
    assert done["containers"][0]["image"] == new
    config = inspect(name)["Config"]
    assert config["User"] == "2"
    assert {"V=new", "SET=mine"} <= set(config["Env"])
    assert "V=old" not in config["Env"]
    assert config["Labels"]["v"] == "new"
    assert config["Labels"]["orchctl-tests"] == boxes.mark
    assert "echo new" in config["Cmd"][0]


def test_one_that_does_not_come_up_is_replaced_by_the_old_one(boxes: Boxes, images: Any) -> None:
    bad = images("bad", "ENV BROKEN=1")
    script = f'{ENDS} test -z "$BROKEN" || {{ echo broken; exit 5; }}; {STAYS}'
    name = boxes.run("web", script, "--restart", "always")
    before = inspect(name)
    words = ["--recreate", "--image", bad, "--json"]
    error = failed(boxes.orchctl("docker", "restart", name, *words), 9)
    assert error["code"] in ("container-ended", "crash-loop")
    assert "The old container is back and runs" in error["state"]
    assert "broken" in error["state"]
    assert "docker logs" not in error["hint"]  # of the old one, by now
    after = inspect(name)
    assert after["Id"] == before["Id"]
    assert after["State"]["Running"] is True
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert not exists(name + ASIDE)


def test_an_image_that_is_not_there_changes_nothing(boxes: Boxes) -> None:
    name = boxes.run("web")
    began = inspect(name)["State"]["StartedAt"]
    words = ["--recreate", "--image", "orchctl-tests-no-such:1", "--json"]
    assert failed(boxes.orchctl("docker", "restart", name, *words), 9)["code"] == "no-such-image"
    assert inspect(name)["State"]["StartedAt"] == began


def test_d01_a_database_on_the_container_s_own_layer_is_not_thrown_away(boxes: Boxes) -> None:
    name = boxes.run("web", f"echo x > /tmp/app.db; {STAYS}")
    wait_until(lambda: "started" in docker("logs", name))
    began = inspect(name)["State"]["StartedAt"]
    error = failed(boxes.orchctl("docker", "restart", name, "--recreate", "--json"), 5)
    assert error["code"] == "database-on-layer"
    assert "/tmp/app.db" in error["message"]
    assert inspect(name)["State"]["StartedAt"] == began
    words = ["--recreate", "--accept-data-loss", "--json"]
    succeeded(boxes.orchctl("docker", "restart", name, *words))


def killed_while_waiting(boxes: Boxes, name: str, *words: str) -> None:
    """A replacement that is killed when the new container runs, but isn't up."""
    process = boxes.begin("docker", "restart", name, "--recreate", "--timeout", "1h", *words)

    def both_are_there() -> bool:
        assert process.poll() is None, process.communicate()
        return exists(name + ASIDE) and exists(name) and inspect(name)["State"]["Running"]

    wait_until(both_are_there)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_d15_killed_half_way_the_next_run_keeps_what_came_up(boxes: Boxes) -> None:
    check = ["--health-cmd", "test -f /data/ok", *QUICK_CHECK, "--health-retries", "100000"]
    volume = boxes.volume("data")
    name = boxes.run("web", STAYS, "--volume", f"{volume}:/data", "--restart", "always", *check)
    killed_while_waiting(boxes, name)
    # Else an engine that is started anew would start them both.
    assert inspect(name + ASIDE)["HostConfig"]["RestartPolicy"]["Name"] == "no"
    new = inspect(name)["Id"]
    shown = boxes.orchctl("docker", "status", name)
    assert "not brought to an end" in shown.stderr
    assert failed(
        boxes.orchctl("docker", "restart", name, "--json", "--timeout", "1s", "--recreate"), 10
    )
    assert inspect(name)["Id"] != new  # put back, for it did not come up in time
    assert inspect(name)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    killed_while_waiting(boxes, name)
    docker("exec", name, "touch", "/data/ok")
    new = inspect(name)["Id"]
    done = boxes.orchctl("docker", "restart", name)
    assert done.returncode == 0, done.stderr
    assert "had come up" in done.stderr
    assert inspect(name)["Id"] == new
    assert not exists(name + ASIDE)


def test_d15_killed_before_there_is_a_new_one_the_next_run_puts_the_old_one_back(
    boxes: Boxes,
) -> None:
    name = boxes.run("web", STAYS, "--restart", "always")
    before = inspect(name)["Id"]
    docker("stop", "--time", "1", name)
    docker("rename", name, name + ASIDE)
    done = boxes.orchctl("docker", "restart", name)
    assert done.returncode == 0, done.stderr
    assert "the old container is back" in done.stderr
    after = inspect(name)
    assert (after["Id"], after["State"]["Running"]) == (before, True)
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_d15_what_somebody_else_put_in_its_place_is_left_alone(boxes: Boxes) -> None:
    name = boxes.run("web", STAYS, "--volume", f"{boxes.volume('data')}:/data")
    docker("rename", name, name + ASIDE)
    other = boxes.run("web")
    error = failed(boxes.orchctl("docker", "restart", name, "--json"), 5)
    assert error["code"] == "recreate-unfinished"
    assert exists(other)
    assert exists(name + ASIDE)


def test_ctrl_c_puts_the_old_one_back(boxes: Boxes) -> None:
    check = ["--health-cmd", "test -f /tmp/ok", *QUICK_CHECK, "--health-retries", "100000"]
    name = boxes.run("web", STAYS, *check)
    before = inspect(name)["Id"]
    process = boxes.begin("docker", "restart", name, "--recreate", "--timeout", "1h")

    def both_are_there() -> bool:
        return exists(name + ASIDE) and exists(name) and inspect(name)["State"]["Running"]

    wait_until(both_are_there)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert inspect(name)["Id"] == before
    assert inspect(name)["State"]["Running"] is True


def test_ctrl_c_while_the_old_one_is_being_stopped(boxes: Boxes) -> None:
    ends_late = "trap 'touch /data/ending; sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
    name = boxes.run("web", ends_late, "--volume", f"{boxes.folder}:/data")
    before = inspect(name)
    process = boxes.begin("docker", "restart", name, "--recreate", "--grace", "9s")
    wait_until((boxes.folder / "ending").exists, "it is being stopped")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    after = inspect(name)
    assert (after["Id"], after["State"]["Running"]) == (before["Id"], True)
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]


def test_one_in_whose_network_another_lives_is_not_replaced(boxes: Boxes) -> None:
    """The other has its id, and could never be started again."""
    name = boxes.run("web")
    guest = boxes.run("guest", STAYS, "--network", f"container:{name}")
    before = inspect(name)
    error = failed(boxes.orchctl("docker", "restart", name, "--recreate", "--json"), 5)
    assert error["code"] == "network-shared"
    assert guest in error["message"]
    assert inspect(name)["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert f"docker rm --force {guest}" in error["hint"]
    docker("rm", "--force", guest)
    words = ["--recreate", "--no-wait", "--json"]
    succeeded(boxes.orchctl("docker", "restart", name, *words))


def test_d01_a_database_in_memory_is_not_thrown_away(boxes: Boxes) -> None:
    variable = ["--env", "DATABASE_URL=sqlite:////data/app.db"]
    name = boxes.run("web", STAYS, *variable, "--tmpfs", "/data")
    error = failed(boxes.orchctl("docker", "restart", name, "--recreate", "--json"), 5)
    assert (error["code"], "/data/app.db" in error["message"]) == ("database-on-layer", True)
    upgrade = failed(boxes.orchctl("docker", "upgrade", name, "--json"), 5)
    assert upgrade["code"] == "database-on-layer"
    assert "in memory" in boxes.orchctl("docker", "status", name).stdout
    assert inspect(name)["State"]["Running"]


def test_ctrl_c_when_the_new_one_is_just_made(boxes: Boxes) -> None:
    """Its id is not heard of any more; it has the name all the same."""
    name = boxes.run("web")
    before = inspect(name)["Id"]
    script = (
        "import sys\nfrom orchctl.cli import run\n"
        "from orchctl.workloads.docker.engine import Engine\nreal = Engine.create\n"
        "def made(*words):\n    real(*words)\n    raise KeyboardInterrupt\n"
        "Engine.create = made\nsys.exit(run(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, "docker", "restart", name, "--recreate"]
    done = subprocess.run(words, cwd=boxes.folder, env=clean_environment(), capture_output=True)
    assert done.returncode == 130, done.stderr
    assert (inspect(name)["Id"], inspect(name)["State"]["Running"]) == (before, True)
    assert not exists(name + ASIDE)
