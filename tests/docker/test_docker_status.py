"""`orchctl docker status`, and who else writes where a container does."""

from __future__ import annotations

import json
from pathlib import Path

from orchctl.workloads.docker.address import find_engine
from orchctl.workloads.docker.engine import Engine
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.restart import hold, let_go, stop
from orchctl.workloads.docker.writers import sharers_of, writers_of
from tests.support.containers import ENDS, QUICK_CHECK, STAYS, Boxes, failed, inspect, succeeded
from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import Project


def engine() -> Engine:
    import os

    return Engine(find_engine(os.environ, Path.home()))


def migrated(folder: Path) -> Project:
    project = Project(folder / "project")
    project.add("aaaa01", "op.execute('CREATE TABLE t (x)')", "op.execute('DROP TABLE t')")
    assert project.orchctl("upgrade").returncode == 0
    return project


def test_all_of_one_screen(boxes: Boxes) -> None:
    project = migrated(boxes.folder)
    words = [
        "--volume",
        f"{project.folder}:/app/data",
        "--env",
        "DATABASE_URL=sqlite:////app/data/app.db",
    ]
    check = ["--health-cmd", "echo fine", *QUICK_CHECK]
    name = boxes.run("web", STAYS, *words, *check, "--publish", "127.0.0.1::80")
    wait_until(lambda: inspect(name)["State"]["Health"]["Status"] == "healthy")
    (seen,) = succeeded(boxes.orchctl("docker", "status", name, "--json"))["containers"]
    assert (seen["state"], seen["health"], seen["restarts"]) == ("running", "healthy", 0)
    assert seen["health_log"][-1]["told"] == "fine"
    assert seen["image_id"] == inspect(name)["Image"]
    assert seen["up_seconds"] > 0
    assert seen["database"] == {
        "inside": "/app/data/app.db",
        "outside": str(project.database),
        "mounted": True,
        "revisions": ["aaaa01"],
        "read_by": "file",
        "unknown": None,
    }
    text = boxes.orchctl("docker", "status", name).stdout
    assert "/app/data/app.db inside" in text
    assert "aaaa01" in text
    assert "fine" in text


def test_a_revision_is_asked_for_inside_or_said_to_be_unknown(boxes: Boxes) -> None:
    variables = ["--env", "DATABASE_URL=sqlite:////data/app.db", "--tmpfs", "/data"]
    answer = json.dumps({"revisions": ["bbbb02"], "heads": ["bbbb02"]})
    name = boxes.run("web", STAYS, *variables)
    seen = boxes.orchctl("docker", "status", name, "--json")
    database = succeeded(seen)["containers"][0]["database"]
    assert database["revisions"] is None
    assert "no orchctl" in database["unknown"]
    # The container's own orchctl, as far as this command sees of it.
    script = f"printf \"#!/bin/sh\\necho '%s'\\n\" '{answer}' > /bin/orchctl; chmod +x /bin/orchctl"
    docker("exec", name, "sh", "-c", script)
    database = succeeded(boxes.orchctl("docker", "status", name, "--json"))["containers"][0][
        "database"
    ]
    assert (database["revisions"], database["read_by"]) == (["bbbb02"], "exec")
    docker("stop", "--time", "0", name)
    seen = boxes.orchctl("docker", "status", name, "--json")
    assert seen.returncode == 1
    (container,) = json.loads(seen.stdout)["containers"]
    assert container["state"] == "exited"
    assert "does not run" in container["database"]["unknown"]


def test_d01_a_database_on_no_mount_is_pointed_out(boxes: Boxes) -> None:
    name = boxes.run("web", STAYS, "--env", "DATABASE_URL=sqlite+aiosqlite:///app.db")
    done = boxes.orchctl("docker", "status", name)
    assert "/app.db inside, on the container's own layer" in done.stdout


def test_d05_who_shares_the_files_is_found_whatever_their_names_are(boxes: Boxes) -> None:
    volume = boxes.volume("data")
    stored = inspect(volume)["Mountpoint"]
    url = ["--env", "DATABASE_URL=sqlite:////app/data/app.db"]
    web = boxes.run("web", STAYS, "--volume", f"{volume}:/app/data", *url)
    worker = boxes.run("worker", STAYS, "--volume", f"{volume}:/elsewhere")
    by_path = boxes.run("by-path", STAYS, "--volume", f"{stored}:/x")
    above = boxes.run("above", STAYS, "--volume", f"{Path(stored).parent}:/x")
    below = boxes.run("below", STAYS, "--volume", f"{stored}/sub:/x")
    reader = boxes.run("reader", STAYS, "--volume", f"{volume}:/app/data:ro")
    ended = boxes.run("ended", "true", "--volume", f"{volume}:/app/data")
    boxes.run("other", STAYS, "--volume", f"{boxes.volume('other')}:/app/data")
    wait_until(lambda: not inspect(ended)["State"]["Running"])
    client = engine()
    mine = look(client, web)
    found = {one.name for one in writers_of(client, stored, but=[mine.id])}
    assert found == {worker, by_path, above, below}
    # The database itself lies beside `sub`.
    found = {one.name for one in writers_of(client, f"{stored}/app.db", but=[mine.id])}
    assert found == {worker, by_path, above}
    found = {one.container.name for one in sharers_of(client, volume)}
    assert {web, worker, reader, ended} <= found
    shown = succeeded(boxes.orchctl("docker", "status", web, "--json"))["containers"][0]
    assert set(shown["other_writers"]) == {worker, by_path, above}
    client.close()


def test_d14_what_is_held_is_not_revived(boxes: Boxes) -> None:
    name = boxes.run(
        "web", f"{ENDS} until test -f /tmp/end; do sleep 0.1; done", "--restart", "always"
    )
    client = engine()
    policy = hold(client, look(client, name))
    assert policy == "always"
    docker("exec", name, "touch", "/tmp/end")
    wait_until(lambda: inspect(name)["State"]["Status"] == "exited")
    let_go(client, look(client, name).id, policy)
    assert look(client, name).restart_policy == "always"
    docker("start", name)
    stopped = stop(client, look(client, name), grace=0)
    assert stopped.state == "exited"
    assert look(client, name).restart_policy == "always"
    client.close()


def test_one_that_would_remove_itself_is_not_stopped_for_good(boxes: Boxes) -> None:
    name = boxes.run("web", STAYS, "--rm")
    error = failed(boxes.orchctl("docker", "restart", name, "--recreate", "--json"), 5)
    assert error["code"] == "removed-at-end"
    succeeded(boxes.orchctl("docker", "restart", name, "--json"))


def test_an_engine_that_is_not_there_is_told_with_its_address(boxes: Boxes) -> None:
    socket = f"unix://{boxes.folder}/none.sock"
    done = boxes.orchctl("docker", "status", "web", "--json", DOCKER_HOST=socket)
    error = failed(done, 9)
    assert error["code"] == "engine-away"
    assert f"{socket} (DOCKER_HOST)" in error["message"]
    done = boxes.orchctl("docker", "status", "web", "--json", DOCKER_HOST="", DOCKER_CONTEXT="gone")
    assert failed(done, 3)["code"] == "docker-context"
