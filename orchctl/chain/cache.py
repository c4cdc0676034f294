"""What is known of revision files already looked at, by their contents: `.orchctl_cache/`.

An entry belongs to a file's name and bytes, nothing else, so branches can share the cache and CI
can carry it from run to run. The files themselves are always read; an entry is taken for a file
only when it was made of the same bytes, by the same version of these rules, on the same Python.
The cache is text (JSON), never run, and written whole or not at all; where it cannot be read or
written, everything is as without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from orchctl.chain.examined import Examined, unpacked

FOLDER = ".orchctl_cache"
# What makes backup programs pass over a folder (https://bford.info/cachedir/).
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by orchctl; may be deleted.\n"
# Shorter chains are read as quickly as the cache is.
_LEAST = 200

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class ChainCache:
    """A project's cache.

    Args:
        folder: The project's folder.
        least: Chains of fewer files than that do without.
    """

    def __init__(self, folder: Path, *, least: int = _LEAST) -> None:
        self.least = least
        self._folder = folder / FOLDER
        self._path = self._folder / f"chain-{sys.implementation.cache_tag}.json"
        self._texts: dict[str, str] = {}
        self._used: dict[str, list[Any]] = {}

    def key(self, name: str, data: bytes) -> str:
        """What a file of this name (without its folder) with these bytes is known by."""
        return hashlib.sha256(b"%b\0%b" % (os.fsencode(name), data)).hexdigest()

    def get(self, key: str, path: Path, *, lint: bool) -> Examined | None:
        """What a file shows, where that is known.

        Args:
            key: Its key.
            path: Where it is.
            lint: Whether what its code shows must be known too.
        """
        lists = self._known.get(key)
        if lists is None:
            return None
        try:
            found = unpacked(path, lists)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return None
        if lint and found.lint is None:
            return None
        self._used[key] = lists
        return found if lint else found._replace(lint=None)

    def put(self, key: str, text: str) -> None:
        """Keep what a file shows, as `encode` wrote it down."""
        self._texts[key] = text

    def write(self) -> None:
        """Write the cache, unless all is as it was; what no file had use for is dropped."""
        if not self._texts and len(self._used) == len(self._known):
            return
        texts = {key: encode(lists) for key, lists in self._used.items()} | self._texts
        entries = ",\n".join(f'"{key}":{text}' for key, text in sorted(texts.items()))
        body = f"{{{entries}}}\n".encode("utf-8", "surrogatepass")
        head = f"{self._context} {hashlib.sha256(body).hexdigest()}\n".encode()
        with contextlib.suppress(OSError):
            self._make_folder()
            self._replace(head + body)

    def _make_folder(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
            path = self._folder / name
            if not path.exists():
                path.write_text(text)

    def _replace(self, data: bytes) -> None:
        """Put a whole new file in place of the old one: others may be reading or writing it."""
        new = self._path.with_suffix(f".{os.getpid()}.new")
        try:
            new.write_bytes(data)
            new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)

    @cached_property
    def _known(self) -> dict[str, list[Any]]:
        """The entries in the file; none when it is not one that this version wrote here."""
        try:
            head, _, body = self._path.read_bytes().partition(b"\n")
            if head.decode().split() != [self._context, hashlib.sha256(body).hexdigest()]:
                return {}
            known = json.loads(body.decode("utf-8", "surrogatepass"))
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    @cached_property
    def _context(self) -> str:
        """What else decides what a file shows: this Python, and the code that looks."""
        digest = hashlib.sha256(sys.version.encode())
        here = Path(__file__).parent
        for folder in (here, here / "lint"):
            for path in sorted(folder.glob("*.py")):
                digest.update(path.read_bytes())
        from orchctl import __version__

        digest.update(__version__.encode())
        return digest.hexdigest()
