"""`llm-orchestrator serve | check-config | hash-key`, and its settings."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from llm_orchestrator.settings import Settings
from tests.support.migration_chain import ROOT
from tests.support.orchestrator import ADMIN_KEY, API_KEY, command, environment, running

README = ROOT / "orchestrator" / "README.md"


def run(
    database: Path, *words: str, given: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        env=environment(database, **settings),
        cwd=database.parent,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_config_shows_everything_but_secrets(database: Path) -> None:
    (database.parent / ".env").write_text(
        "PORT=8123\nSOMEBODY_ELSES=thing\nLOG_FORMAT=json\nREDIS_URL=redis://me:secret-word@r:1/0\n"
    )
    checked = run(database, "check-config", API_KEYS=f"{API_KEY}, sk-two")
    assert checked.returncode == 0, checked.stderr
    lines = checked.stdout.splitlines()
    assert {"PORT=8123", "LOG_FORMAT=json", "ADMIN_KEY=set", "API_KEYS=2 set"} <= set(lines)
    assert "REDIS_URL=r:1/0" in lines
    for secret in (ADMIN_KEY, API_KEY, "sk-two", "secret-word"):
        assert secret not in checked.stdout + checked.stderr
    assert checked.stderr == ""


def test_check_config_says_what_is_off(database: Path) -> None:
    checked = run(database, "check-config", ADMIN_KEY="", API_KEYS="")
    assert checked.returncode == 0
    assert checked.stderr.splitlines() == [
        "ADMIN_KEY is not set: the admin side is off",
        "API_KEYS is empty: nobody may use /v1",
    ]


@pytest.mark.parametrize(
    ("admin_key", "remark"),
    [
        (API_KEY, "ADMIN_KEY is one of API_KEYS: whoever may use /v1 may change everything\n"),
        ("secret", "ADMIN_KEY has under 24 characters: it might be guessed\n"),
    ],
)
def test_check_config_says_what_may_not_be_meant(
    database: Path, admin_key: str, remark: str
) -> None:
    checked = run(database, "check-config", ADMIN_KEY=admin_key)
    assert (checked.returncode, checked.stderr) == (0, remark)


def test_wrong_settings_are_named_and_not_repeated(database: Path) -> None:
    wrong = run(
        database,
        "serve",
        PORT="many",
        API_KEYS="sk-good,sha256:not-a-hash",
        ADMIN_KEY="sha256:secret",
        DATABASE_URL="postgresql://me:secret-word@db/x",
    )
    assert wrong.returncode == 2
    names = [re.match(r"llm-orchestrator: (\w+): ", line) for line in wrong.stderr.splitlines()]
    assert {match[1] for match in names if match} == {
        "PORT",
        "API_KEYS",
        "ADMIN_KEY",
        "DATABASE_URL",
    }
    for secret in ("sk-good", "not-a-hash", "sha256:secret", "secret-word", "Traceback"):
        assert secret not in wrong.stderr


def test_hash_key(database: Path) -> None:
    by_word = run(database, "hash-key", API_KEY)
    by_input = run(database, "hash-key", given=f"{API_KEY}\n")
    assert by_word.stdout == by_input.stdout
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", by_word.stdout)
    assert run(database, "hash-key", "short").returncode == 2
    key, hashed = run(database, "hash-key", "--generate").stdout.split()
    assert run(database, "hash-key", key).stdout.strip() == hashed


def test_a_taken_port(database: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = run(database, "serve", PORT=str(port))
    assert refused.returncode == 4
    assert (
        refused.stderr
        == f"llm-orchestrator: can't listen on 127.0.0.1:{port}: Address already in use\n"
    )


@pytest.mark.parametrize("word", ["serve", "check-config"])
def test_a_log_file_that_cannot_be(database: Path, word: str) -> None:
    refused = run(database, word, LOG_FILE=str(database.parent / "none" / "x.log"), PORT="0")
    assert refused.returncode == 2
    assert refused.stderr.startswith("llm-orchestrator: LOG_FILE: ")
    assert refused.stderr.count("\n") == 1


def test_checking_leaves_no_log_file(database: Path) -> None:
    path = database.parent / "x.log"
    assert run(database, "check-config", LOG_FILE=str(path)).returncode == 0
    assert not path.exists()
    path.write_text("kept\n")
    assert run(database, "check-config", LOG_FILE=str(path)).returncode == 0
    assert path.read_text() == "kept\n"


@pytest.mark.parametrize(
    ("word", "url"),
    [("serve", "redis://me:secret/word@r:1/0"), ("check-config", "http://me:secret-word@r")],
)
def test_an_address_that_is_no_redis(database: Path, word: str, url: str) -> None:
    refused = run(database, word, REDIS_ENABLED="true", REDIS_URL=url, PORT="0")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("llm-orchestrator: REDIS_URL: ")
    assert "secret" not in refused.stderr
    assert "word" not in refused.stderr


@pytest.mark.parametrize(("host", "status"), [("", 2), ("ü" * 70, 4)])
def test_hosts_that_are_none(database: Path, host: str, status: int) -> None:
    """An empty one would be every address of the machine."""
    refused = run(database, "serve", HOST=host, PORT="0")
    assert (refused.returncode, refused.stderr.count("\n")) == (status, 1), refused.stderr


def test_a_file_of_settings_that_is_no_text(database: Path) -> None:
    (database.parent / ".env").write_bytes(b"ADMIN_KEY=\xff\xfe\n")
    refused = run(database, "check-config")
    assert (refused.returncode, refused.stderr) == (
        2,
        "llm-orchestrator: .env: is no UTF-8 text\n",
    )


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://a/b", "a b"])
def test_what_is_no_origin(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", f"*,null,http://a:1,chrome-extension://abc,{origin}")
    with pytest.raises(ValidationError, match="an origin is https://host"):
        Settings(_env_file=None)
    monkeypatch.setenv("CORS_ORIGINS", "*,null,http://a:1,chrome-extension://abc")
    assert len(Settings(_env_file=None).cors_origins) == 4


def test_a_line_end_after_a_key_is_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As files of secrets have it; no header could carry it."""
    monkeypatch.setenv("ADMIN_KEY", f" {ADMIN_KEY}\n")
    monkeypatch.setenv("API_KEYS", f"{API_KEY}\n")
    settings = Settings(_env_file=None)
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == ADMIN_KEY
    assert [key.get_secret_value() for key in settings.api_keys] == [API_KEY]


def test_sigterm_ends_it(database: Path) -> None:
    with running(database) as service:
        httpx.get(f"{service.url}/a%1b[31m%0a%9b")
        assert service.stop() in {0, -15}
    log = service.log.read_text()
    assert "Finished server process" in log
    assert "Traceback" not in log
    # What a terminal would obey, of the web server's own or of whoever asks.
    assert not set(log) & {"\x1b", "\x9b"}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////app/data/x.db", "/app/data/x.db"),
        ("sqlite+aiosqlite:////app/data/x.db", "/app/data/x.db"),
        ("sqlite:///data/x.db?check_same_thread=false", "data/x.db"),
    ],
)
def test_database_urls(url: str, path: str) -> None:
    from llm_orchestrator.database_url import read_database_url

    assert read_database_url(url) == Path(path)
    assert Settings(_env_file=None, database_url=url).database_url == url


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "x", "file:a"])
def test_other_urls(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, database_url=url)


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", 0), ("a", 1), (" a , b,", 2), ('["a", "b,c"]', 2)],
)
def test_lists(monkeypatch: pytest.MonkeyPatch, text: str, keys: int) -> None:
    monkeypatch.setenv("API_KEYS", text)
    assert len(Settings(_env_file=None).api_keys) == keys


def test_there_are_no_secrets_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADMIN_KEY", "API_KEYS"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(_env_file=None)
    assert settings.admin_key is None
    assert settings.api_keys == ()


def test_settings_keep_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", ADMIN_KEY)
    monkeypatch.setenv("API_KEYS", API_KEY)
    shown = repr(Settings(_env_file=None)) + str(Settings(_env_file=None).model_dump())
    assert ADMIN_KEY not in shown
    assert API_KEY not in shown


def test_the_readme_has_every_setting() -> None:
    found = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    wanted = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        text = "" if default is None or default == () else f"`{default}`"
        wanted.append((name.upper(), text.replace("`False`", "`false`"), field.description))
    assert found == wanted
