from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import make_url

from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError

FOLDER = Path("/srv/app")

FILES = {
    "sqlite:///app.db": "/srv/app/app.db",
    "sqlite:///data/app.db": "/srv/app/data/app.db",
    "sqlite:///./data/../app.db": "/srv/app/app.db",
    "sqlite:////var/lib/app.db": "/var/lib/app.db",
    "sqlite:////app/data/llm_orchestrator.db": "/app/data/llm_orchestrator.db",
    "sqlite+pysqlite:///app.db": "/srv/app/app.db",
    "sqlite+aiosqlite:////var/lib/app.db": "/var/lib/app.db",
    "sqlite:///app.db?timeout=30&check_same_thread=false": "/srv/app/app.db",
    "sqlite:///app%20copy.db": "/srv/app/app copy.db",
    "sqlite:///app copy.db": "/srv/app/app copy.db",
    "sqlite:///ä+b.db": "/srv/app/ä+b.db",
    "sqlite:///a#b.db": "/srv/app/a#b.db",
    "sqlite:///a@b:c.db": "/srv/app/a@b:c.db",
    "sqlite:///file:app.db": "/srv/app/file:app.db",
    "sqlite:///file:app.db?uri=false": "/srv/app/file:app.db",
    "sqlite:///file:app.db?mode=rw&uri=true": "/srv/app/app.db",
    "sqlite:///file:/var/lib/app.db?uri=true": "/var/lib/app.db",
    "sqlite:///file:///var/lib/app.db?uri=1&cache=shared": "/var/lib/app.db",
    "sqlite:///file://localhost/var/lib/app.db?uri=yes": "/var/lib/app.db",
    "sqlite:///file:a%2520b.db?uri=true": "/srv/app/a b.db",
    "sqlite:///app.db?uri=true": "/srv/app/app.db",
    " sqlite:///app.db ": "/srv/app/app.db",
}


@pytest.mark.parametrize(("url", "file"), FILES.items(), ids=list(FILES))
def test_locates_the_file(url: str, file: str) -> None:
    assert locate(url, FOLDER) == Path(file)


@pytest.mark.parametrize("url", [url for url in FILES if url == url.strip()])
def test_agrees_with_sqlalchemy(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, options = SQLiteDialect_pysqlite().create_connect_args(make_url(url))
    opened = arguments[0]
    if options.get("uri") and opened.startswith("file:"):
        # From here on it is SQLite that decides (its URI rules), not SQLAlchemy.
        opened = unquote(opened.removeprefix("file:").split("?")[0])
        opened = opened.removeprefix("//localhost") if "localhost" in opened else opened
        opened = opened.removeprefix("//")
    else:
        opened = opened.split("?")[0]
    assert locate(url, tmp_path) == tmp_path / opened


def test_relative_paths_count_from_the_folder_even_when_it_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///app.db", Path("sub")) == tmp_path / "sub" / "app.db"


def test_links_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert locate("sqlite:///link/app.db", tmp_path) == tmp_path / "link" / "app.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:shared?mode=memory&cache=shared&uri=true",
        "sqlite:///file:/shared?vfs=memdb&uri=true",
    ],
)
def test_memory_is_no_file(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        locate(url, FOLDER)
    assert caught.value.code == "in-memory"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://localhost/app", "not-sqlite"),
        ("sqlite+pysqlcipher://:key@/app.db", "not-sqlite"),
        ("sqlite://app.db", "bad-url"),
        ("sqlite://user@host/app.db", "bad-url"),
        ("sqlite:///app.db?uri=perhaps", "bad-url"),
        ("sqlite:///file://other/app.db?uri=true", "bad-url"),
        ("sqlite:///a%00b.db", "bad-url"),
        ("app.db", "bad-url"),
        ("", "bad-url"),
    ],
)
def test_refuses(url: str, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        locate(url, FOLDER)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_password_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        locate("postgresql://admin:hunter2@db/app", FOLDER)
    assert "hunter2" not in caught.value.message
    assert "***" in caught.value.message


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("sqlite:///a", True),
        ("sqlite+aiosqlite:///a", True),
        ("SQLITE:///a", True),
        ("postgresql://h/d", False),
        ("sqlitecloud://h/d", False),
        ("sqlite", False),
        ("", False),
    ],
)
def test_is_sqlite(url: str, answer: bool) -> None:
    assert is_sqlite(url) is answer
