"""`orchctl docker logs`."""

from __future__ import annotations

import signal

from tests.support.containers import ENDS, QUICK_CHECK, STAYS, Boxes, failed, inspect, succeeded
from tests.support.docker_engine import docker
from tests.support.processes import wait_until

MIGRATING = """
echo one; echo two; echo three; echo four
echo '✓ /data can be written to; there is no app.db yet'
echo 'INFO  [alembic.runtime.migration] Running upgrade 001 -> 002, add a column'
echo 'Running upgrade 002 -> 003, another'
echo five; echo six; echo seven; echo eight; echo nine
echo '{"time": "2025-10-20T12:00:00", "source": "orchctl", "event": "upgraded", "message": ""}'
echo ten >&2
"""


def printed(boxes: Boxes, script: str, *words: str) -> str:
    name = boxes.run("web", f"{script} {STAYS}", *words)
    wait_until(lambda: "started" in docker("logs", name))
    return name


def test_the_lines_of_migrations_come_with_their_surroundings(boxes: Boxes) -> None:
    name = printed(boxes, MIGRATING)
    everything = boxes.orchctl("docker", "logs", name).stdout.splitlines()
    assert sorted(everything) == sorted([*docker("logs", name).splitlines(), "ten"])
    alone = boxes.orchctl("docker", "logs", name, "--migrations", "-C", "0").stdout
    assert [line[:16] for line in alone.splitlines()] == [
        "✓ /data can be w",
        "INFO  [alembic.r",
        "Running upgrade ",
        '{"time": "2025-1',
    ]
    around = boxes.orchctl("docker", "logs", name, "--migrations", "-C", "1").stdout.splitlines()
    assert around[0] == "four"
    assert around[4:7] == ["five", "--", "nine"]
    tail = boxes.orchctl("docker", "logs", name, "--tail", "1", "--json")
    assert len(succeeded(tail)["lines"]) == 1
    assert boxes.orchctl("docker", "logs", name, "--since", "2999-01-01").stdout == ""


def test_expect_ends_well_as_soon_as_it_is_said(boxes: Boxes) -> None:
    name = boxes.run("web", f"echo before; sleep 1; echo 'listening on 80'; {STAYS}")
    done = boxes.orchctl("docker", "logs", name, "--expect", r"listening on \d+")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "listening on 80"
    error = failed(
        boxes.orchctl("docker", "logs", name, "--expect", "never", "--timeout", "1s", "--json"), 10
    )
    assert error["code"] == "log-timeout"
    docker("stop", "--time", "0", name)
    done = boxes.orchctl("docker", "logs", name, "--expect", "never", "--json")
    assert failed(done, 9)["code"] == "log-ended"
    done = boxes.orchctl("docker", "logs", name, "--expect", "(", "--json")
    assert failed(done, 2)["code"] == "bad-pattern"


def test_startup_shows_the_last_start_until_it_is_healthy(boxes: Boxes) -> None:
    check = ["--health-cmd", "test -f /tmp/ok", *QUICK_CHECK, "--health-retries", "100000"]
    script = (
        f"{ENDS} rm -f /tmp/ok /tmp/go; echo begin; sleep 1; echo ready; touch /tmp/ok;"
        f"until test -f /tmp/go; do sleep 0.1; done; echo later; {STAYS}"
    )
    name = boxes.run("web", script, *check)
    first = boxes.orchctl("docker", "logs", name, "--startup")
    assert first.stdout.splitlines() == ["begin", "ready"], first.stderr
    docker("restart", "--time", "0", name)
    wait_until(lambda: inspect(name)["State"]["Health"]["Status"] == "healthy")
    docker("exec", name, "touch", "/tmp/go")
    wait_until(lambda: "later" in docker("logs", name))
    again = boxes.orchctl("docker", "logs", name, "--startup")
    assert again.stdout.splitlines() == ["begin", "ready"], again.stderr


def test_startup_of_one_that_ended_says_how(boxes: Boxes) -> None:
    name = boxes.run("web", "echo broken; exit 3")
    wait_until(lambda: not inspect(name)["State"]["Running"])
    done = boxes.orchctl("docker", "logs", name, "--startup")
    assert done.returncode == 9
    assert done.stdout == "broken\n"
    assert "exit code 3" in done.stderr


def test_ctrl_c_ends_following(boxes: Boxes) -> None:
    name = printed(boxes, "")
    process = boxes.begin("docker", "logs", "-f", name)
    wait_until(lambda: process.stdout() == "started\n")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_following_ends_with_the_container(boxes: Boxes) -> None:
    name = printed(boxes, "")
    process = boxes.begin("docker", "logs", "-f", name)
    wait_until(lambda: process.stdout() == "started\n")
    docker("stop", "--time", "5", name)
    process.communicate(timeout=60)
    assert process.returncode == 0
