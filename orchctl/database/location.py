"""Which file a SQLAlchemy SQLite URL means, found without SQLAlchemy.

The rules are those of `sqlalchemy.engine.url._parse_url` and of pysqlite's `create_connect_args`
(2.0 and 2.1), then of SQLite's own URI file names (https://www.sqlite.org/uri.html).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from orchctl.config import masked_url
from orchctl.errors import ConfigurationError

_URL = re.compile(
    r"(?P<name>[\w+]+)://(?P<authority>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
# SQLCipher's files are encrypted, so Python's own sqlite3 could not read them.
_FOREIGN_DRIVERS = ("pysqlcipher",)
_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0")
_FORMS = "sqlite:///relative/path.db or sqlite:////absolute/path.db"


def is_sqlite(url: str) -> bool:
    """Whether a SQLAlchemy URL names SQLite, with whatever driver."""
    return url.split("://", 1)[0].split("+", 1)[0].strip().lower() == "sqlite" and "://" in url


def locate(url: str, folder: Path) -> Path:
    """The database file that SQLAlchemy would open for a URL.

    Args:
        url: A SQLAlchemy URL, e.g. `sqlite:///data/app.db`, `sqlite+aiosqlite:////srv/app.db` or
            `sqlite:///file:app.db?mode=rw&uri=true`.
        folder: What relative paths count from (SQLAlchemy: the working folder).

    Returns:
        The absolute path, `..` removed, symbolic links left as they are. It need not exist.

    Raises:
        ConfigurationError: `not-sqlite`, `in-memory` (no file to protect) or `bad-url`.
    """
    match = _URL.match(url.strip())
    if not match:
        raise _bad(url, "is not a database URL")
    driver = match["name"].partition("+")[2]
    if not is_sqlite(url) or driver in _FOREIGN_DRIVERS:
        raise ConfigurationError(
            f"{masked_url(url)} is not a SQLite database that orchctl can open",
            code="not-sqlite",
            hint=f"What works on a file needs SQLite: {_FORMS}",
        )
    if match["authority"]:
        raise _bad(url, "has a host where SQLite has none (count the slashes)")
    return _file(url, _decoded(match["database"] or ""), _query(match["query"]), folder)


def _file(url: str, database: str, query: dict[str, str], folder: Path) -> Path:
    if _flag(url, query.get("uri", "false")):
        database = _from_uri(url, database, query)
    if database in ("", ":memory:"):
        raise _in_memory(url)
    if "\0" in database:
        raise _bad(url, "has a null byte in its path")
    return Path(os.path.abspath(folder.absolute() / database))  # noqa: PTH100 resolve() would follow links


def _from_uri(url: str, database: str, query: dict[str, str]) -> str:
    """The path of a SQLite URI file name; one that doesn't start with `file:` is a plain path."""
    if not database.startswith("file:"):
        return database
    if query.get("mode") == "memory" or query.get("vfs") == "memdb":
        raise _in_memory(url)
    rest = database.removeprefix("file:").split("#", 1)[0]
    if rest.startswith("//"):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        if authority not in ("", "localhost"):
            raise _bad(url, f"has a host ({authority}) in its file: part")
    return _unquoted(rest)


def _query(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    from urllib.parse import parse_qsl

    found: dict[str, str] = {}
    for key, value in parse_qsl(text):
        found.setdefault(key, value)
    return found


def _flag(url: str, text: str) -> bool:
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise _bad(url, f"has uri={text}, which is neither true nor false")


def _decoded(database: str) -> str:
    # SQLAlchemy 2.1 decodes %xx in the path, 2.0 takes it as it stands; asked only when it matters.
    if "%" not in database:
        return database
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("sqlalchemy")
    except PackageNotFoundError:
        return _unquoted(database)
    return database if installed.startswith("2.0.") else _unquoted(database)


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _bad(url: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{masked_url(url)} {reason}", code="bad-url", hint=f"SQLite URLs look like {_FORMS}"
    )


def _in_memory(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{masked_url(url)} is a database in memory: there is no file to protect",
        code="in-memory",
        hint=f"Name a file: {_FORMS}",
    )
