"""`orchctl doctor --bundle`: what is in it, and what must not be."""

from __future__ import annotations

import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from orchctl.doctor.secrets import masked, masked_variable
from tests.support.failures import refused
from tests.support.preloaded import orchctl
from tests.support.projects import Project, execute

ROW = "private-row-value"


def texts_of(path: Path) -> dict[str, str]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {one.name: archive.extractfile(one).read().decode() for one in archive}


@pytest.mark.parametrize("name", ["case.tar.gz", "case.zip"])
def test_what_is_in_it(begun: Project, name: str) -> None:
    execute(begun.database, f"INSERT INTO t (x) VALUES ('{ROW}')")
    done = orchctl(begun, "doctor", "--bundle", name, "--json")
    assert done.returncode == 0, done.stderr
    path = begun.folder / name
    assert json.loads(done.stdout)["bundle"] == name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    texts = texts_of(path)
    inside = {
        *("findings.json", "versions.json", "config.json", "chain.json", "app.db/status.json"),
        *("app.db/files.txt", "app.db/schema.sql", "app.db/snapshots.json", "app.db/journal.jsonl"),
    }
    assert {one.removeprefix("case/") for one in texts} == inside
    assert json.loads(texts["case/findings.json"])["ok"] is True
    assert json.loads(texts["case/app.db/status.json"])["revisions"] == ["aaaa01"]
    assert "CREATE TABLE t (" in texts["case/app.db/schema.sql"]
    assert '"upgrade"' in texts["case/app.db/journal.jsonl"]
    assert ROW not in "".join(texts.values())


def test_json_stays_json_and_holds_no_secret(begun: Project) -> None:
    settings = begun.folder / "orchctl.toml"
    settings.write_text(
        '[workload]\nhealth = "http://u:S3CRET@h/?api_key=S3CRET"\n'
        'health-headers = ["Authorization: Digest username=\\"me\\", response=\\"S3CRET\\""]\n'
    )
    assert orchctl(begun, "doctor", "--bundle", "b.tgz").returncode == 0
    texts = texts_of(begun.folder / "b.tgz")
    read = {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}
    shown = {one["name"]: one["value"] for one in read["b/config.json"]}
    assert shown["workload.health"] == "http://u:***@h/?api_key=***"
    assert "S3CRET" not in "".join(texts.values())


def test_what_fails_with_a_row_in_its_message_is_left_out(begun: Project) -> None:
    begun.add("aaaa03", f"raise RuntimeError('{ROW}')")
    assert orchctl(begun, "upgrade").returncode == 6
    assert orchctl(begun, "doctor", "--bundle", "b.tgz").returncode == 0
    texts = texts_of(begun.folder / "b.tgz")
    assert ROW not in "".join(texts.values())


def test_an_existing_file_is_not_overwritten(begun: Project) -> None:
    (begun.folder / "b.tgz").write_text("mine")
    words = ("doctor", "--bundle")
    error = refused(begun, *words, "b.tgz", exit_code=5, code="bundle-exists")
    assert error["state"] == "Nothing was written"
    assert (begun.folder / "b.tgz").read_text() == "mine"
    refused(begun, *words, "no/b.tgz", exit_code=6, code="bundle-not-written")


def test_a_database_that_can_t_be_opened_is_what_it_is_for(begun: Project) -> None:
    begun.database.write_bytes(b"no database" * 99)
    assert orchctl(begun, "doctor", "--bundle", "b.tgz").returncode == 1
    texts = texts_of(begun.folder / "b.tgz")
    assert texts["b/app.db/schema.sql"].startswith("not available: ")
    assert "app.db" in texts["b/app.db/files.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:S3CRET@host/db",
        "https://host/?api_key=S3CRET&x=1",
        "ADMIN_KEY=S3CRET",
        '"api_key": "S3CRET"',
        "password: S3CRET",
        "Authorization: Bearer S3CRET",
        "x-api-key: S3CRET",
        "sent Bearer S3CRET to it",
        "with sk-S3CRETS3CRET in it",
        "DB_PASSWORD='S3CRET and more'",
        r'{"password": "ab\"S3CRET"}',
        "-----BEGIN RSA PRIVATE KEY-----\nS3CRET\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nS3CRET and the log ends here",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "S3CRET" not in masked(text)
    assert "***" in masked(text)


def test_what_is_no_secret_stays() -> None:
    text = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); sqlite:///app.db; keyboard"
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("LOG_LEVEL", "info", "LOG_LEVEL=info"),
        ("ADMIN_KEY", "S3CRET", "ADMIN_KEY=***"),
        ("WHATEVER", "S3CRET", "WHATEVER=***"),
        ("API_KEYS", "", "API_KEYS="),
        ("DATABASE_URL", "postgresql://a:S3CRET@h/d", "DATABASE_URL=postgresql://a:***@h/d"),
    ],
)
def test_variables_are_shown_only_where_they_are_harmless(
    name: str, value: str, shown: str
) -> None:
    assert masked_variable(name, value) == shown
