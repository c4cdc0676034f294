"""`orchctl run -- CMD`: what happens before CMD, and that CMD then has the process to itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.env_shapes import STOCK
from tests.support.preloaded import Run, orchctl, start
from tests.support.processes import wait_until
from tests.support.projects import Project, bytes_of, clean_environment, execute, query

ADD = "op.execute(\"INSERT INTO t (x) VALUES ('new')\")\n"
READY = "import pathlib, time; pathlib.Path('ready').touch()\n"


def _runs(run: Run, *words: str) -> bool:
    wanted = b"".join(word.encode() + b"\0" for word in words)
    return Path(f"/proc/{run.pid}/cmdline").read_bytes() == wanted


# -- the command ----------------------------------------------------------------------------------


def test_the_command_takes_the_place_of_orchctl(project: Project) -> None:
    run = start(project, "run", "--", "sh", "-c", "echo $$; exit 7")
    done = run.finished()
    assert done.returncode == 7, done.stderr
    assert done.stdout == f"{run.pid}\n"
    assert project.heads() == ["aaaa02"]
    lines = done.stderr.splitlines()
    assert "can be written to; there is no app.db yet" in lines[0]
    assert "Running upgrade aaaa01 -> aaaa02, step aaaa02" in lines
    assert "base -> aaaa02 (2 revisions" in lines[-2]
    assert lines[-1] == "Starting sh"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPIPE])
def test_signals_reach_the_command(begun: Project, number: int) -> None:
    run = start(begun, "run", "--", "sleep", "60")
    wait_until(lambda: _runs(run, "sleep", "60"))
    status = Path(f"/proc/{run.pid}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    assert not ignored & 1 << (number - 1)
    assert not blocked
    assert begun.heads() == ["aaaa02"]
    run.send_signal(number)
    assert run.finished().returncode == -number


@pytest.mark.parametrize("words", [("--",), ()])
def test_options_behind_the_command_are_its_own(begun: Project, words: tuple[str, ...]) -> None:
    done = orchctl(
        begun, "run", "--no-backup", *words, "echo", "--json", "--backup", "-h", "status"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "--json --backup -h status\n"
    assert "Starting echo" in done.stderr.splitlines()
    assert not list(begun.folder.glob("backups/*.snapshot"))


def test_the_command_finds_things_as_orchctl_did(begun: Project) -> None:
    meddling = "import os\nos.environ['ADDED'] = '1'\nos.environ.pop('KEPT', None)\n"
    meddling += "os.chdir('/')\nos.umask(0)\nimport os\n"
    begun.set_env(STOCK + meddling)
    told = "import os; print(os.getcwd(), os.umask(0), os.environ['KEPT'], 'ADDED' in os.environ)"
    env = {"KEPT": "kept", "DATABASE_URL": f"sqlite:///{begun.database}"}
    done = orchctl(begun, "run", "--", sys.executable, "-c", told, env=env)
    umask = os.umask(0o022)
    os.umask(umask)
    assert done.stdout == f"{begun.folder} {umask} kept False\n", done.stderr


def test_stdout_is_the_command_s_alone(begun: Project) -> None:
    noisy = "import os, subprocess\nprint('by print')\nos.write(1, b'by write\\n')\n"
    noisy += "subprocess.run(['echo', 'by a child'], check=True)\n"
    begun.add("aaaa03", noisy)
    for words in ((), ("--json",)):
        done = orchctl(begun, "run", *words, "--no-rehearse", "--", "echo", "mine")
        assert (done.returncode, done.stdout) == (0, "mine\n"), done.stderr
        begun.add(f"aaaa0{len(begun.revisions) + 1}", noisy)
    assert "by a child" in done.stderr


def test_a_log_that_nobody_takes_keeps_nothing_from_starting(begun: Project) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m orchctl run -- echo started 2>/dev/full"],
        cwd=begun.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert begun.heads() == ["aaaa02"]


def test_a_command_that_is_not_there_is_known_before_the_upgrade(begun: Project) -> None:
    begun.folder.joinpath("plain").touch()
    before = bytes_of(begun.database)
    for word, code, says in (
        ("nonesuch", 127, "no command nonesuch"),
        ("./nonesuch", 127, "no command ./nonesuch"),
        ("", 127, "no command"),
        ("./plain", 126, "./plain is not executable"),
        ("./migrations", 126, "./migrations is a directory"),
    ):
        done = orchctl(begun, "run", "--", word)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert "Nothing was changed" in done.stderr
    assert bytes_of(begun.database) == before


def test_a_program_later_in_path_is_taken_where_an_earlier_is_none(begun: Project) -> None:
    for name, mode in (("one", 0o644), ("two", 0o755)):
        (begun.folder / name).mkdir()
        (begun.folder / name / "tool").write_text("#!/bin/sh\necho found\n")
        (begun.folder / name / "tool").chmod(mode)
    path = f"{begun.folder}/one:{begun.folder}/two:{os.environ['PATH']}"
    assert orchctl(begun, "run", "--", "tool", env={"PATH": path}).stdout == "found\n"
    (begun.folder / "two" / "tool").unlink()
    assert orchctl(begun, "run", "--", "tool", env={"PATH": path}).returncode == 126


def test_a_file_that_the_system_does_not_execute(begun: Project) -> None:
    script = begun.folder / "script"
    script.write_text("echo no first line\n")
    script.chmod(0o755)
    done = orchctl(begun, "run", "--", "./script")
    assert done.returncode == 126
    assert (
        "Exec format error; The upgrade is done, or there was none to do; ./script was not started"
        in done.stderr
    )
    assert begun.heads() == ["aaaa02"]


def test_a_command_is_asked_for(project: Project) -> None:
    for words in (("run",), ("run", "--")):
        done = orchctl(project, *words)
        assert done.returncode == 2
        assert "Missing argument" in done.stderr


# -- the upgrade ----------------------------------------------------------------------------------


def test_a_failed_upgrade_never_starts_the_command(begun: Project) -> None:
    begun.add("aaaa03", ADD + "raise ValueError('broken')")
    before = begun.dump()
    done = orchctl(begun, "run", "--", "touch", "started")
    assert done.returncode == 6
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "broken" in last
    assert "touch was not started" in last
    assert done.stdout == ""
    assert not (begun.folder / "started").exists()
    assert begun.dump() == before


def test_a_database_that_is_ahead_is_refused_in_one_line(begun: Project) -> None:
    execute(begun.database, "UPDATE alembic_version SET version_num = 'zzzz09'")
    before = bytes_of(begun.database)
    done = orchctl(begun, "run", "--", "touch", "started")
    assert done.returncode == 5
    ready, error = done.stderr.splitlines()
    assert "is there" in ready
    assert "at revision zzzz09, which this chain does not have" in error
    assert "Nothing was changed; touch was not started" in error
    assert not (begun.folder / "started").exists()
    assert bytes_of(begun.database) == before


def test_options_of_the_upgrade(begun: Project) -> None:
    execute(begun.database, "INSERT INTO t (x) VALUES ('kept')")
    begun.add("aaaa03", "op.drop_column('t', 'x')")
    assert orchctl(begun, "run", "--", "true").returncode == 5
    done = orchctl(begun, "run", "--no-rehearse", "--allow-loss", "t.x", "--", "true")
    assert done.returncode == 0, done.stderr
    assert begun.heads() == ["aaaa03"]
    assert orchctl(begun, "run", "--to", "zzzz", "--", "true").returncode == 2


def test_skipped(begun: Project) -> None:
    done = orchctl(begun, "run", "--", "echo", "started", env={"SKIP_MIGRATION": "true"})
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "Not upgraded: environment SKIP_MIGRATION says skip" in done.stderr
    assert begun.heads() == ["aaaa01"]
    done = orchctl(begun, "run", "--", "echo", "started", env={"SKIP_MIGRATION": "false"})
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert begun.heads() == ["aaaa02"]


def test_replicas_that_start_together(begun: Project) -> None:
    execute(begun.database, "INSERT INTO t (x) VALUES ('kept')")
    begun.add("aaaa03", ADD + READY + "time.sleep(0.5)")
    replicas = [start(begun, "run", "--", "echo", "started") for _ in range(4)]
    ends = [replica.finished() for replica in replicas]
    assert [(end.returncode, end.stdout) for end in ends] == [(0, "started\n")] * 4, ends
    assert sum("Running upgrade aaaa02 -> aaaa03" in end.stderr for end in ends) == 1
    assert sum("is at aaaa03 already; nothing to do" in end.stderr for end in ends) == 3
    assert query(begun.database, "SELECT count(*) FROM t WHERE x = 'new'") == [(1,)]


# -- waiting --------------------------------------------------------------------------------------


def test_a_directory_that_comes_later(project: Project) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    run = start(project, "run", "--interval", "20ms", "--", "echo", "started", env=url)
    wait_until(lambda: "Waiting: Cannot create" in run.stderr())
    (project.folder / "volume").mkdir()
    done = run.finished()
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert "(waited " in done.stderr


def test_a_directory_that_never_comes(project: Project) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    words = ("run", "--timeout", "100ms", "--interval", "20ms", "--", "touch", "started")
    done = orchctl(project, *words, env=url)
    assert done.returncode == 10
    told, last = done.stderr.splitlines()  # told once, and not with every look
    assert told.startswith("Waiting: Cannot create")
    assert f"there is no directory {project.folder}/volume" in last
    assert "Nothing was changed; touch was not started" in last
    assert not (project.folder / "started").exists()


def test_a_wrong_duration(project: Project) -> None:
    done = orchctl(project, "run", "--timeout", "soon", "--", "true")
    assert done.returncode == 2
    assert "--timeout: 'soon' is not a duration" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_it_waits(project: Project, number: int) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    run = start(project, "run", "--", "touch", "started", env=url)
    wait_until(lambda: "Waiting:" in run.stderr())
    run.send_signal(number)
    done = run.finished()
    assert done.returncode == 130
    assert "Interrupted; Nothing was changed; touch was not started" in done.stderr
    assert not (project.folder / "started").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_it_upgrades(begun: Project, number: int) -> None:
    begun.add("aaaa03", ADD + READY + "time.sleep(60)")
    before = begun.dump()
    run = start(begun, "run", "--no-rehearse", "--", "touch", "started")
    wait_until((begun.folder / "ready").exists)
    run.send_signal(number)
    done = run.finished()
    assert done.returncode == 130, done.stderr
    assert "The database is as before; touch was not started" in done.stderr
    assert not (begun.folder / "started").exists()
    assert begun.dump() == before


def test_killed_while_it_upgrades(begun: Project) -> None:
    path = begun.add("aaaa03", ADD + READY + "time.sleep(60)")
    run = start(begun, "run", "--no-rehearse", "--", "true")
    wait_until((begun.folder / "ready").exists)
    run.send_signal(signal.SIGKILL)
    assert run.finished().returncode == -signal.SIGKILL
    path.write_text(path.read_text().replace("time.sleep(60)", "pass"))
    done = orchctl(begun, "run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert begun.heads() == ["aaaa03"]
    assert query(begun.database, "SELECT count(*) FROM t WHERE x = 'new'") == [(1,)]


def test_another_orchctl_holds_the_database(begun: Project) -> None:
    begun.add("aaaa03", READY + "time.sleep(60)")
    first = start(begun, "upgrade", "--no-rehearse")
    wait_until((begun.folder / "ready").exists)
    done = orchctl(begun, "run", "--lock-timeout", "200ms", "--", "touch", "started")
    first.send_signal(signal.SIGTERM)
    first.finished()
    assert done.returncode == 4
    assert "upgrade to head" in done.stderr
    assert done.stderr.count("Waiting for") == 1
    assert not (begun.folder / "started").exists()


# -- the log --------------------------------------------------------------------------------------


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("how", ["variable", "option", "front"])
def test_the_log_as_json(begun: Project, how: str) -> None:
    words = {"variable": ("run",), "option": ("run", "--json"), "front": ("--json", "run")}[how]
    env = {"LOG_FORMAT": "json"} if how == "variable" else {}
    done = orchctl(begun, *words, "--", "echo", "--token", "s3cret", env=env)
    assert (done.returncode, done.stdout) == (0, "--token s3cret\n")
    lines = _lines(done.stderr)
    events = [line["event"] for line in lines]
    assert events[0] == "ready"
    assert events[-2:] == ["upgraded", "start"]
    assert set(events[1:-2]) == {"step", "running"}
    for line in lines:
        assert list(line)[:5] == ["time", "level", "source", "event", "message"]
        assert (line["level"], line["source"]) == ("info", "orchctl")
    assert lines[-2]["upgrade"]["to"] == "aaaa02"
    assert lines[-2]["upgrade"]["snapshot"]["id"]
    assert lines[-1]["command"] == "echo --token ***"
    assert "s3cret" not in done.stderr


def test_an_error_in_the_json_log(begun: Project) -> None:
    begun.add("aaaa03", "raise ValueError('broken')")
    done = orchctl(begun, "run", "--", "true", env={"LOG_FORMAT": "JSON"})
    last = _lines(done.stderr)[-1]
    assert (last["level"], last["event"]) == ("error", "error")
    assert last["error"]["exit_code"] == done.returncode == 6
    assert last["error"]["message"] == last["message"]
    assert last["error"]["state"].endswith("true was not started")


def test_quiet_says_nothing_but_errors(begun: Project) -> None:
    done = orchctl(begun, "--quiet", "run", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    done = orchctl(begun, "--quiet", "run", "--to", "zzzz", "--", "true")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
