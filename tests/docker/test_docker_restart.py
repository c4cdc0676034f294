"""`orchctl docker restart`: it is over when the container is up, and at once when it can't be."""

from __future__ import annotations

import json
import socket
import urllib.request

from tests.support.containers import ENDS, QUICK_CHECK, STAYS, Boxes, failed, inspect, succeeded
from tests.support.docker_engine import docker

HEALTHY_FILE = ["--health-cmd", "test -f /tmp/ok", *QUICK_CHECK, "--health-retries", "1000"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_d10_it_is_done_when_the_check_and_the_url_are_good_and_not_before(boxes: Boxes) -> None:
    port = free_port()
    script = (
        f"{ENDS} rm -f /tmp/ok; mkdir -p /tmp/www; echo up > /tmp/www/health; sleep 0.5;"
        "touch /tmp/ok; sleep 1; httpd -p 80 -h /tmp/www; while :; do sleep 0.1; done"
    )
    name = boxes.run("web", script, "--publish", f"127.0.0.1:{port}:80", *HEALTHY_FILE)
    began = inspect(name)["State"]["StartedAt"]
    url = f"http://localhost:{port}/health"
    done = succeeded(boxes.orchctl("docker", "restart", name, "--health", url, "--json"))
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"up\n"
    state = inspect(name)["State"]
    assert state["Health"]["Status"] == "healthy"
    assert state["StartedAt"] > began
    container = done["containers"][0]
    assert (container["name"], container["waited"], container["health"]) == (name, True, "healthy")
    assert container["answer"]["status"] == 200
    assert container["killed"] is False


def test_d10_without_a_wait_it_says_so(boxes: Boxes) -> None:
    name = boxes.run("web", STAYS, "--health-cmd", "false", *QUICK_CHECK)
    done = boxes.orchctl("docker", "restart", name, "--no-wait")
    assert done.returncode == 0, done.stderr
    assert "not waited for" in done.stdout


def test_one_that_ignores_its_stop_signal_is_killed_after_its_grace(boxes: Boxes) -> None:
    name = boxes.run("deaf", "while :; do sleep 0.1; done")
    done = succeeded(boxes.orchctl("docker", "restart", name, "--grace", "1s", "--json"))
    assert done["containers"][0]["killed"] is True


def test_d09_one_that_ends_is_told_at_once_with_its_last_words(boxes: Boxes) -> None:
    second = "{ echo no such column >&2; exit 3; }"
    script = f"{ENDS} test ! -f /tmp/again || {second}; touch /tmp/again; {STAYS}"
    name = boxes.run("web", script)
    docker("exec", name, "sh", "-c", "until test -f /tmp/again; do sleep 0.05; done")
    error = failed(boxes.orchctl("docker", "restart", name, "--timeout", "1h", "--json"), 9)
    assert error["code"] == "container-ended"
    assert "exit code 3" in error["message"]
    assert "no such column" in error["state"]
    assert error["details"]["exit_code"] == 3
    assert error["details"]["oom_killed"] is False
    assert error["details"]["last_lines"][-1] == "no such column"


def test_d09_a_crash_loop_is_not_waited_for(boxes: Boxes) -> None:
    script = f"{ENDS} test ! -f /tmp/again || exit 4; touch /tmp/again; {STAYS}"
    name = boxes.run("web", script, "--restart", "always")
    docker("exec", name, "sh", "-c", "until test -f /tmp/again; do sleep 0.05; done")
    error = failed(boxes.orchctl("docker", "restart", name, "--timeout", "1h", "--json"), 9)
    assert error["code"] == "crash-loop"
    assert error["details"]["restarts"] >= 2


def test_d09_an_unhealthy_one_is_told_with_what_its_check_said(boxes: Boxes) -> None:
    check = ["--health-cmd", "echo the queue is full; false", *QUICK_CHECK]
    name = boxes.run("web", STAYS, *check)
    error = failed(boxes.orchctl("docker", "restart", name, "--timeout", "1h", "--json"), 9)
    assert error["code"] == "container-unhealthy"
    assert "the queue is full" in error["message"]
    assert error["details"]["health_log"][-1]["told"] == "the queue is full"


def test_d09_a_port_that_is_not_published_is_told_at_once(boxes: Boxes) -> None:
    name, port = boxes.run("web"), free_port()
    words = ["--health", f"http://localhost:{port}/", "--timeout", "1h", "--json"]
    error = failed(boxes.orchctl("docker", "restart", name, *words), 9)
    assert error["code"] == "port-not-published"
    assert str(port) in error["message"]


def test_d09_a_published_port_where_nobody_listens_is_told(boxes: Boxes) -> None:
    port = free_port()
    good = ["--health-cmd", "true", *QUICK_CHECK]
    name = boxes.run("web", STAYS, "--publish", f"127.0.0.1:{port}:80", *good)
    words = ["--health", f"http://localhost:{port}/", "--timeout", "1h", "--json"]
    assert failed(boxes.orchctl("docker", "restart", name, *words), 9)["code"] == "port-silent"


def test_time_that_is_over_ends_the_wait_with_ten(boxes: Boxes) -> None:
    check = ["--health-cmd", "echo not yet; false", "--health-interval", "100ms"]
    name = boxes.run("web", STAYS, *check, "--health-retries", "100000")
    error = failed(boxes.orchctl("docker", "restart", name, "--timeout", "2s", "--json"), 10)
    assert error["code"] == "not-healthy-in-time"
    assert "not yet" in error["message"]
    assert error["details"]["health"] == "starting"


def test_the_settings_name_target_and_check_and_show_no_header(
    boxes: Boxes,
) -> None:
    port = free_port()
    name = boxes.run("web", f"httpd -p 80; {STAYS}", "--publish", f"127.0.0.1:{port}:80")
    settings = f"""
[workload]
target = "docker:{name}"
health = "http://localhost:{port}/none"
health-headers = ["Authorization: Bearer s3cret-token"]
timeout = "3s"
"""
    (boxes.folder / "orchctl.toml").write_text(settings)
    done = boxes.orchctl("docker", "restart")
    assert done.returncode == 10
    assert "404" in done.stderr
    shown = boxes.orchctl("config", "show", "--json").stdout
    assert "s3cret" not in done.stderr + done.stdout + shown
    rows = {row["name"]: row["value"] for row in json.loads(shown)["settings"]}
    assert rows["workload.target"] == f"docker:{name}"
    assert rows["workload.health-headers"] == "Authorization:***"


def test_d11_a_paused_one_is_not_restarted_in_vain(boxes: Boxes) -> None:
    name = boxes.run("web")
    docker("pause", name)
    error = failed(boxes.orchctl("docker", "restart", name, "--json"), 9)
    assert error["code"] == "container-paused"
    docker("unpause", name)


def test_d14_the_restart_policy_is_as_before(boxes: Boxes) -> None:
    name = boxes.run("web", STAYS, "--restart", "on-failure:5")
    succeeded(boxes.orchctl("docker", "restart", name, "--json"))
    policy = inspect(name)["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 5}


def test_a_compose_service_is_found_by_its_labels(boxes: Boxes) -> None:
    project, began = f"shop{boxes.mark}", {}
    for number in (1, 2):
        labels = {"project": project, "service": "api", "container-number": str(number)}
        words = [w for k, v in labels.items() for w in ("--label", f"com.docker.compose.{k}={v}")]
        name = boxes.run(f"api{number}", STAYS, *words)
        began[name] = inspect(name)["State"]["StartedAt"]
    one_off = ["--label", "com.docker.compose.oneoff=True"]
    boxes.run("task", STAYS, *words, *one_off)
    done = succeeded(boxes.orchctl("docker", "restart", f"compose:{project}/api", "--json"))
    assert [one["name"] for one in done["containers"]] == sorted(began)
    assert all(inspect(name)["State"]["StartedAt"] > before for name, before in began.items())
    error = failed(boxes.orchctl("docker", "restart", f"compose:{project}/ap", "--json"), 9)
    assert error["code"] == "no-such-container"
    assert f"compose:{project}/api" in error["hint"]
    error = failed(boxes.orchctl("docker", "logs", f"compose:{project}/api", "--json"), 2)
    assert error["code"] == "several-containers"


def test_an_upgrade_restarts_what_uses_the_database(boxes: Boxes) -> None:
    from tests.support.projects import Project

    project = Project(boxes.folder / "project")
    project.add("aaaa01", "op.execute('CREATE TABLE t (x)')", "op.execute('DROP TABLE t')")
    name = boxes.run("web")
    began = inspect(name)["State"]["StartedAt"]
    missing = project.orchctl("upgrade", "--restart", f"docker:{name}-not", "--json")
    assert failed(missing, 9)["state"] == "Nothing was changed"
    assert not project.database.exists()
    (project.folder / "orchctl.toml").write_text(f'[workload]\ntarget = "docker:{name}"\n')
    done = succeeded(project.orchctl("upgrade", "--restart", "head", "--json"))
    assert done["to"] == "aaaa01"
    assert done["restarted"][0]["name"] == name
    again = inspect(name)["State"]["StartedAt"]
    assert again > began
    # At head, but who knows whether the last restart was carried out.
    assert project.orchctl("upgrade", "--restart").returncode == 0
    assert inspect(name)["State"]["StartedAt"] > again
