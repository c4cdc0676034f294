"""What is known of revision files already looked at, by their contents: `.orchctl_cache/`.

An entry belongs to a file's name and bytes, nothing else, so branches can share the cache and CI
can carry it from run to run; the verdict belongs to all names and bytes of a chain. The files
themselves are always read: what is kept is taken only for the same bytes, from the same version of
these rules on the same Python, and from nobody else's hand. It is text (JSON), never run, and
written whole or not at all; where it cannot be read or written, everything is as without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from orchctl.chain.contents import Content

FOLDER = ".orchctl_cache"
# What makes backup programs pass over a folder (https://bford.info/cachedir/).
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by orchctl; may be deleted.\n"
# Shorter chains are read as quickly as the cache is.
_LEAST = 200
# What a killed run left half written, in seconds: no other one still writes it.
_OLD = 3600
_BINARY = getattr(os, "O_BINARY", 0)

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class ChainCache:
    """A project's cache.

    Args:
        folder: The project's folder.
        least: Chains of fewer files than that do without.
    """

    def __init__(self, folder: Path, *, least: int = _LEAST) -> None:
        self.least = least
        self._root = os.path.realpath(folder) + os.sep
        self._folder = folder / FOLDER
        tag = sys.implementation.cache_tag
        self._entries = self._folder / f"chain-{tag}.json"
        self._verdict = self._folder / f"verdict-{tag}.json"
        self._used: dict[str, str] = {}
        self._is_new = False

    def get(self, key: str) -> Any:
        """What a file of that key shows, as it was given to `encode`; None where it is not known.

        Never to be trusted in its shape: anything may stand in a file.
        """
        text = self._known.get(key)
        if text is None:
            return None
        try:
            known = json.loads(text)
        except (ValueError, RecursionError):
            return None
        self._used[key] = text
        return known

    def put(self, key: str, text: str) -> None:
        """Keep what a file shows, as `encode` wrote it down."""
        self._used[key] = text
        self._is_new = True

    def write(self) -> None:
        """Write the entries, unless all is as it was; what no file had use for is dropped."""
        if self._is_new or len(self._used) != len(self._known):
            lines = (f"{key} {text}\n" for key, text in sorted(self._used.items()))
            self._write(self._entries, "".join(lines))

    def verdict(self, contents: Sequence[Content], *, lint: bool) -> Any:
        """What is known of these files taken together; see `get`.

        Args:
            contents: Every file of a chain.
            lint: Whether what the functions' code shows must be part of it.
        """
        text = self._read(self._verdict)
        if text is None:
            return None
        head, _, rest = text.partition(" ")
        if head not in [self._together(contents, one) for one in {True, lint}]:
            return None
        try:
            return json.loads(rest)
        except (ValueError, RecursionError):
            return None

    def put_verdict(self, contents: Sequence[Content], lists: list[Any], *, lint: bool) -> None:
        """Write what is known of these files taken together."""
        self._write(self._verdict, f"{self._together(contents, lint)} {encode(lists)}")

    def _together(self, contents: Sequence[Content], lint: bool) -> str:
        """A hash of every file's place below the project's folder, and of its bytes."""
        names = (f"{one.name.removeprefix(self._root)}\0{one.key}\n" for one in contents)
        whole = "".join((f"{lint}\n", *names))
        return _sha256([whole.encode("utf-8", "surrogateescape")])

    @cached_property
    def _known(self) -> dict[str, str]:
        text = self._read(self._entries) or ""
        lines = (line.partition(" ") for line in text.split("\n") if line)
        return {key: entry for key, _, entry in lines}

    def _read(self, path: Path) -> str | None:
        """What stands in a file; None when it is not one that we wrote, by this version, here."""
        try:
            head, _, body = _own_bytes(path).partition(b"\n")
            if head.decode().split() != [self._context, _sha256([body])]:
                return None
            return body.decode("utf-8", "surrogatepass")
        except (OSError, ValueError):
            return None

    def _write(self, path: Path, text: str) -> None:
        """Put a whole new file in place of the old one: others may be reading or writing it."""
        body = text.encode("utf-8", "surrogatepass")
        head = f"{self._context} {_sha256([body])}\n".encode()
        new = path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError):
            self._make_folder()
            try:
                _write_bytes(new, (head, body))
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
            path = self._folder / name
            if not path.exists():
                path.write_text(text)
        for path in self._folder.glob("*.new"):
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()

    @cached_property
    def _context(self) -> str:
        """What else decides what a file shows: this Python, and the code that looks."""
        from orchctl import __version__

        code = (path.read_bytes() for path in _code())
        return _sha256([sys.version.encode(), *code, __version__.encode()])


def _sha256(parts: Iterable[bytes]) -> str:
    # Long to import: chains that are too short for a cache do without.
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _code() -> Iterator[Path]:
    here = Path(__file__).parent
    for folder in (here, here / "lint"):
        yield from sorted(folder.glob("*.py"))


def _own_bytes(path: Path) -> bytes:
    """What is in a file of ours.

    Raises:
        OSError: It is another user's, no file, or cannot be read.
    """
    # A named pipe would block for ever.
    descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise FileNotFoundError(path)
        if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
            raise PermissionError(path)
        return file.read()


def _write_bytes(path: Path, parts: Iterable[bytes]) -> None:
    """Write a new file that nobody else may change, whatever the umask is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(parts)
