"""The text of a revision file, decoded as Python decodes it, and able to go back to its bytes."""

from __future__ import annotations

import bisect
import codecs
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.regular_file import read_regular

# PEP 263: the cookie stands in line one, or in line two below a comment or an empty line.
_COOKIE = re.compile(
    rb"\A(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)"
)
# The only line ends Python knows; str.splitlines() would also split at form feeds and others.
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file.

    Attributes:
        data: The bytes as they are on disk.
        text: The text without a byte order mark, line ends as they are.
        encoding: The codec that `text` came from.
        fault: Why the bytes are not what their encoding says, or None; `text` is then the bytes
            read as Latin-1, so that what is plain ASCII in it can still be looked at.
    """

    data: bytes
    text: str
    encoding: str
    fault: str | None = None

    def encoded(self, text: str) -> bytes:
        """The bytes of a changed text, in this file's encoding and with its byte order mark.

        Raises:
            UnicodeEncodeError: The encoding cannot hold the text.
        """
        mark = codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b""
        return mark + text.encode(self.encoding)


def decode(data: bytes) -> Source:
    """Decode a Python file: byte order mark, then coding cookie, then UTF-8 (PEP 263)."""
    marked = data.startswith(codecs.BOM_UTF8)
    if not marked and b"coding" not in data[:400]:
        try:  # nearly every file
            return Source(data, data.decode(), "utf-8")
        except UnicodeDecodeError:
            pass
    body = data[3:] if marked else data
    cookie = _COOKIE.match(body[:400]) if b"coding" in body[:400] else None
    name = cookie[1].decode("ascii", "replace") if cookie else "utf-8"
    try:
        codec = codecs.lookup(name).name
        if marked and codec != "utf-8":
            raise LookupError(f"a byte order mark and the encoding {name} contradict each other")
        return Source(data, body.decode(codec), codec)
    except LookupError as error:
        fault = str(error)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        fault = f"byte 0x{body[error.start]:02x} in line {line} is not {codec}"
    except ValueError as error:
        fault = str(error)
    return Source(data, body.decode("latin-1"), "latin-1", fault)


def lines_of(text: str, count: int = 0) -> list[str]:
    """The lines as Python counts them; with `count`, that many and then the rest in one."""
    return _LINE_END.split(text, maxsplit=count)


def column_of(text: str, line: int, offset: int) -> int:
    """The column, from 1, of a byte offset: ast counts the bytes of UTF-8, people characters."""
    if text.isascii():
        return offset + 1
    return offset - bisect.bisect_left(_inner_bytes(text, line), offset) + 1


@functools.lru_cache(maxsize=4)
def _inner_bytes(text: str, line: int) -> list[int]:
    """Where a line's UTF-8 has bytes that begin no character; what is asked for shares few."""
    data = _lines(text)[line - 1].encode("utf-8", "surrogatepass")
    return [place for place, byte in enumerate(data) if byte & 0xC0 == 0x80]


@functools.lru_cache(maxsize=1)
def _lines(text: str) -> list[str]:
    return lines_of(text)


def line_starts(text: str) -> list[int]:
    """Offset in `text` at which each line starts."""
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


def read_line(path: Path, number: int, *, width: int = 160) -> str | None:
    """One line of a file for a message, cut to `width` characters; None when there is none."""
    try:
        data = read_regular(path)
    except OSError:
        return None
    lines = lines_of(decode(data).text, number)
    if not 1 <= number <= len(lines):
        return None
    line = lines[number - 1]
    return line if len(line) <= width else line[: width - 1] + "…"
