"""The first 100 bytes of a SQLite file (https://www.sqlite.org/fileformat2.html#the_database_header).

Reading them means open() and close() of the file, and closing any descriptor of a file drops all
POSIX locks that this process has on it. So: only before this process connects to that file, never
while it holds a connection (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAGIC = b"SQLite format 3\0"
SIZE = 100


@dataclass(frozen=True)
class Header:
    """What the header says.

    Attributes:
        page_size: Bytes in a page.
        wal: Whether the file is in write-ahead mode (read and write versions 2).
        page_count: Pages, or None when the count in the header can't be trusted (a writer older
            than SQLite 3.7 touched the file).
    """

    page_size: int
    wal: bool
    page_count: int | None


def read_header(path: Path) -> Header | None:
    """The header of a file, or None when there are fewer than 100 bytes or it isn't SQLite's.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb", buffering=0) as stream:
        raw = stream.read(SIZE)
    if len(raw) < SIZE or not raw.startswith(MAGIC):
        return None
    size = int.from_bytes(raw[16:18], "big")
    trusted = raw[24:28] == raw[92:96]
    return Header(
        page_size=65536 if size == 1 else size,
        wal=raw[19] == 2,
        page_count=int.from_bytes(raw[28:32], "big") if trusted else None,
    )
