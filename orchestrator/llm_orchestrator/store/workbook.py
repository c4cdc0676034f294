"""Excel files: reading and writing their sheets, without believing what they say of themselves.

openpyxl is imported where it is used: it is slow to load, and most processes never need it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_orchestrator.store.sheets import SHEETS, Sheet

# Bytes of the file, and of all that is packed in it: a small file can unpack to gigabytes.
MAX_FILE = 5 * 2**20
MAX_UNPACKED = 25 * 2**20
MAX_PARTS = 200
MAX_ROWS = 5_000
MAX_COLUMNS = 50
# The last row that a sheet can have, also where most before it are empty.
LAST_ROW = 2**20

# A text that starts like this is a formula to a spreadsheet, at the latest after a detour by CSV.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "'")
# What no XML can hold, XML 1.0 section 2.2: one such character and nobody can open the file.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WorkbookFault(Exception):
    """The file can't be taken; the text says why."""


@dataclass(frozen=True)
class SheetRows:
    """A sheet's rows by the numbers that Excel shows, and what is wrong with its titles."""

    rows: Sequence[tuple[int, Mapping[str, Any]]]
    unknown: Sequence[str] = ()
    missing: Sequence[str] = ()
    repeated: Sequence[str] = ()


def write_workbook(content: Mapping[str, Iterable[Mapping[str, Any]]]) -> bytes:
    """Return an .xlsx of the sheets with these rows, by column; no text in it is a formula."""
    from openpyxl import Workbook  # noqa: PLC0415

    book = Workbook(write_only=True)
    for sheet in SHEETS:
        page = book.create_sheet(sheet.name)
        page.freeze_panes = "A2"
        for index, column in enumerate(sheet.columns):
            page.column_dimensions[chr(ord("A") + index)].width = max(14, len(column) + 4)
        page.append([_title(page, column) for column in sheet.columns])
        for row in content.get(sheet.name, ()):
            page.append([_cell(page, row.get(column)) for column in sheet.columns])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _title(page: Any, text: str) -> Any:
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    cell = WriteOnlyCell(page, text)
    cell.font = Font(bold=True)
    return cell


def _cell(page: Any, value: Any) -> Any:
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    if not isinstance(value, str):
        return value
    text = _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    guarded = f"'{text}" if text.startswith(_DANGEROUS) else text
    cell = WriteOnlyCell(page, guarded)
    cell.data_type = "s"
    return cell


def read_workbook(data: bytes) -> Mapping[str, SheetRows]:
    """Return the known sheets' rows. Raises WorkbookFault."""
    from openpyxl import load_workbook  # noqa: PLC0415

    _check_size(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            pages = {page.title.strip().lower(): page for page in book.worksheets}
            found = {
                sheet.name: _read_sheet(sheet, pages[sheet.name.lower()])
                for sheet in SHEETS
                if sheet.name.lower() in pages
            }
        finally:
            book.close()
    except WorkbookFault:
        raise
    # Foreign code: a damaged file ends in whatever openpyxl, zipfile and zlib stumble over.
    except Exception as error:
        raise WorkbookFault("The file is no Excel workbook (.xlsx), or damaged.") from error
    if not found:
        names = ", ".join(sheet.name for sheet in SHEETS)
        raise WorkbookFault(f"The workbook has none of the sheets {names}.")
    return found


def _check_size(data: bytes) -> None:
    if len(data) > MAX_FILE:
        raise WorkbookFault(f"The file is over {MAX_FILE} bytes.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            entries = parts.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WorkbookFault("The file is no Excel workbook (.xlsx).") from error
    # What an entry says of its size is all that zipfile reads of it.
    if len(entries) > MAX_PARTS or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise WorkbookFault(f"The workbook unpacks to over {MAX_UNPACKED} bytes.")


def _read_sheet(sheet: Sheet, page: Any) -> SheetRows:
    lines = page.iter_rows(max_row=LAST_ROW, max_col=MAX_COLUMNS, values_only=True)
    titles = [str(title).strip().lower() if title is not None else "" for title in next(lines, ())]
    known = {title: index for index, title in enumerate(titles) if title in sheet.columns}
    rows = []
    for number, line in enumerate(lines, start=2):
        cells = {
            title: _unguarded(line[index]) for title, index in known.items() if index < len(line)
        }
        if any(value is not None and value != "" for value in cells.values()):
            rows.append((number, cells))
        if len(rows) > MAX_ROWS:
            raise WorkbookFault(f"The sheet {sheet.name} has over {MAX_ROWS} rows.")
    return SheetRows(
        rows,
        unknown=[title for title in titles if title and title not in sheet.columns],
        missing=[title for title in sheet.columns if title in sheet.required - known.keys()],
        repeated=[title for title in known if titles.count(title) > 1],
    )


def _unguarded(value: Any) -> Any:
    """Take away the quote that `_cell` put before a text."""
    if isinstance(value, str) and value[:1] == "'" and value[1:2] in _DANGEROUS:
        return value[1:]
    return value
