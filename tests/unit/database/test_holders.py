from __future__ import annotations

import os
from pathlib import Path

from orchctl.database.holders import Holder, command_of, holders, masked_command
from tests.support.sqlite_files import HOLD, make, process


def test_nobody(tmp_path: Path) -> None:
    assert holders(make(tmp_path / "app.db")) == ()
    assert holders(tmp_path / "none.db") == ()


def test_this_process_does_not_count(tmp_path: Path) -> None:
    with make(tmp_path / "app.db").open("rb"):
        assert holders(tmp_path / "app.db") == ()


def test_who_locks_comes_before_who_only_looks(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with (
        process(HOLD, path, "SELECT 1 FROM parent") as reader,
        process(HOLD, path, "BEGIN IMMEDIATE") as writer,
    ):
        assert [reader.line(), writer.line()] == ["ready", "ready"]
        assert [one.pid for one in holders(path)] == [writer.pid, reader.pid]
        assert "python" in holders(path)[0].command


def test_through_a_link(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    (tmp_path / "link.db").symlink_to(path)
    with process(HOLD, path, "BEGIN IMMEDIATE") as writer:
        assert writer.line() == "ready"
        assert [one.pid for one in holders(tmp_path / "link.db")] == [writer.pid]


def test_a_command_is_short_and_shows_no_secret() -> None:
    words = ["uvicorn", "--url", "postgresql://u:hunter2@h/d", "--api-key", "s3cret", "--token=abc"]
    words += ["ADMIN_KEY=xyz", "--port", "80"]
    shown = masked_command(words)
    assert not [secret for secret in ("hunter2", "s3cret", "abc", "xyz") if secret in shown]
    assert shown.startswith("uvicorn --url postgresql://u:***@h/d")
    assert shown.endswith("--port 80")
    assert len(command_of(os.getpid())) <= 80


def test_a_process_that_is_gone_has_no_command() -> None:
    assert command_of(2**22 + 1) == ""


def test_a_holder_reads_as_a_sentence() -> None:
    text = str(
        Holder(7, "orchctl upgrade", "web-1", "upgrade to head", "2026-01-01T00:00:00+00:00")
    )
    assert text == (
        "process 7 (orchctl upgrade) on web-1, upgrade to head, since 2026-01-01T00:00:00+00:00"
    )
    assert str(Holder(0, "")) == "process unknown"
