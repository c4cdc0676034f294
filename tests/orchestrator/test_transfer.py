"""The configuration as an Excel file: out, in, and what can be wrong with it."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from openpyxl import Workbook, load_workbook

from tests.support.migration_chain import execute, query
from tests.support.orchestrator import Service

KEY = "sk-live-0123456789abcdefWXYZ"
TABLES = ("model_providers", "models", "providers")
SETUP = f"""
INSERT INTO providers (id, name, type, api_key, base_url, priority, weight, rate_limit, enabled)
  VALUES (1, 'one', 'openai', '{KEY}', 'https://a.example/v1', 5, 7, 9, 0),
         (2, '=1+1', 'gemini', '{KEY}', NULL, 100, 100, NULL, 1);
INSERT INTO models (id, name, remark, max_retry, timeout, enabled)
  VALUES (1, '4', '@SUM(A1)', 0, 5, 1), (2, '''quoted', NULL, 3, 30, 0);
INSERT INTO model_providers (model_id, provider_id, provider_model, weight, tool_call, image)
  VALUES (1, 1, '-up', 3, 0, 1), (2, 2, '+up', 1, 1, 0);
"""
P = ("name", "type", "api_key")
A = ("model", "provider", "provider_model")


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    """A client with the admin key, of a service without providers and models."""
    empty(service)
    with service.admin() as client:
        client.base_url = client.base_url.join("/api/admin/")
        yield client


def empty(service: Service) -> None:
    execute(service.database, "".join(f"DELETE FROM {table};" for table in TABLES))


def book(**sheets: Sequence[Sequence[Any]]) -> bytes:
    """An .xlsx of sheets, each a list of rows of which the first has the titles."""
    made = Workbook()
    del made["Sheet"]
    for name, rows in sheets.items():
        page = made.create_sheet(name)
        for row in rows:
            page.append(list(row))
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


def put_in(admin: httpx.Client, data: bytes, status: int = 200) -> dict[str, Any]:
    answer = admin.post("import/config", files={"file": ("any.xlsx", data)})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def content(service: Service) -> dict[str, Any]:
    """Everything but ids and times."""
    columns = {
        "providers": "name, type, api_key, base_url, enabled, priority, weight, max_retries,"
        " timeout, rate_limit",
        "models": "name, remark, max_retry, timeout, enabled",
        "model_providers": "(SELECT name FROM models WHERE id = model_id),"
        " (SELECT name FROM providers WHERE id = provider_id), provider_model, weight, tool_call,"
        " structured_output, image, enabled",
    }
    return {
        table: sorted(query(service.database, f"SELECT {names} FROM {table}"), key=str)
        for table, names in columns.items()
    }


def cells(data: bytes) -> Mapping[str, list[tuple[Any, ...]]]:
    found = load_workbook(io.BytesIO(data))
    return {page.title: list(page.iter_rows(values_only=True)) for page in found.worksheets}


def test_there_and_back(admin: httpx.Client, service: Service) -> None:
    execute(service.database, SETUP)
    before = content(service)
    exported = admin.get("export/config", params={"include_keys": True})
    assert exported.headers["content-disposition"].startswith('attachment; filename="llm-orch')
    assert exported.headers["cache-control"] == "no-store"
    empty(service)
    report = put_in(admin, exported.content)
    assert report["complete"] is True
    assert {name: sheet["imported"] for name, sheet in report["sheets"].items()} == {
        "Providers": 2,
        "Models": 2,
        "Associations": 2,
    }
    assert content(service) == before
    again = put_in(admin, exported.content)
    assert [sheet["skipped"] for sheet in again["sheets"].values()] == [2, 2, 2]
    assert [sheet["imported"] for sheet in again["sheets"].values()] == [0, 0, 0]
    assert content(service) == before


def test_keys_are_masked_unless_asked_for(admin: httpx.Client, service: Service) -> None:
    execute(service.database, SETUP)
    exported = admin.get("export/config").content
    parts = zipfile.ZipFile(io.BytesIO(exported))
    assert KEY.encode() not in b"".join(parts.read(name) for name in parts.namelist())
    assert {row[2] for row in cells(exported)["Providers"][1:]} == {"****WXYZ"}
    # What is there keeps its key; what is not there can't come with a mask for one.
    assert put_in(admin, exported)["sheets"]["Providers"]["skipped"] == 2
    assert {row[2] for row in content(service)["providers"]} == {KEY}
    empty(service)
    report = put_in(admin, exported)["sheets"]["Providers"]
    assert (report["imported"], len(report["errors"])) == (0, 2)
    assert {(error["row"], error["column"]) for error in report["errors"]} == {
        (2, "api_key"),
        (3, "api_key"),
    }


def test_no_text_in_an_export_is_a_formula(admin: httpx.Client, service: Service) -> None:
    execute(service.database, SETUP)
    found = load_workbook(io.BytesIO(admin.get("export/config").content))
    texts = [
        cell
        for page in found.worksheets
        for row in page.iter_rows()
        for cell in row
        if isinstance(cell.value, str)
    ]
    assert not any(cell.data_type == "f" for cell in texts)
    assert not any(cell.value.startswith(("=", "+", "-", "@")) for cell in texts)
    assert "'=1+1" in {cell.value for cell in texts}


def test_the_template_is_filled_in_first(admin: httpx.Client, service: Service) -> None:
    template = admin.get("export/template").content
    assert list(cells(template)) == ["Providers", "Models", "Associations"]
    assert [row[:3] for row in cells(template)["Providers"]] == [P, ("example", "openai", "****")]
    report = put_in(admin, template)
    assert report["complete"] is False
    assert report["sheets"]["Models"]["imported"] == 1
    assert content(service)["providers"] == []


def test_a_sheet_is_taken_whole_or_not_at_all(admin: httpx.Client, service: Service) -> None:
    data = book(
        Providers=[P, ("a", "openai", KEY), ("b", "azure", KEY), ("c", "openai", None)],
        Models=[("name", "timeout"), ("m", 12.0), ("n", "7")],
        Associations=[A, ("m", "a", "x")],
    )
    report = put_in(admin, data)
    assert report["complete"] is False
    errors = report["sheets"]["Providers"]["errors"]
    assert [(each["row"], each["column"]) for each in errors] == [(3, "type"), (4, "api_key")]
    assert errors[1]["message"] == "must be filled in"
    assert KEY not in str(report)
    assert report["sheets"]["Providers"]["imported"] == 0
    assert report["sheets"]["Models"] == {"imported": 2, "skipped": 0, "errors": []}
    assert report["sheets"]["Associations"]["errors"] == [
        {"row": 2, "column": "provider", "message": "there is no provider 'a'"}
    ]
    assert content(service)["providers"] == content(service)["model_providers"] == []
    assert [row[:4] for row in content(service)["models"]] == [
        ("m", None, 3, 12),
        ("n", None, 3, 7),
    ]


def test_what_excel_makes_of_entries(admin: httpx.Client, service: Service) -> None:
    data = book(
        providers=[("Name", " TYPE ", "api_key", "enabled"), (12, "openai", 12345.0, "Yes")],
        Models=[("name", "enabled"), (4.5, "no"), ("true", 1), (None, None), ("  m ", False)],
    )
    assert put_in(admin, data)["complete"] is True
    assert [row[:5:2] for row in content(service)["providers"]] == [("12", "12345", 1)]
    assert {(row[0], row[4]) for row in content(service)["models"]} == {
        ("4.5", 0),
        ("true", 1),
        ("m", 0),
    }


def test_what_excel_took_for_a_date_is_no_name(admin: httpx.Client, service: Service) -> None:
    data = book(Models=[("name",), (dt.datetime(2026, 2, 1),), (dt.time(1, 2),)])
    report = put_in(admin, data)["sheets"]["Models"]
    assert [(each["row"], each["column"]) for each in report["errors"]] == [
        (2, "name"),
        (3, "name"),
    ]
    assert all("make the cell a text" in each["message"] for each in report["errors"])
    assert content(service)["models"] == []


def test_rows_after_many_empty_ones_are_rows(admin: httpx.Client, service: Service) -> None:
    made = Workbook()
    page = made.active
    assert page is not None
    page.title = "Models"
    for row, name in ((1, "name"), (2, "near"), (7000, "far")):
        page.cell(row, 1, name)
    target = io.BytesIO()
    made.save(target)
    assert put_in(admin, target.getvalue())["sheets"]["Models"]["imported"] == 2
    assert {row[0] for row in content(service)["models"]} == {"near", "far"}


def test_the_same_twice_in_a_file(admin: httpx.Client, service: Service) -> None:
    data = book(
        Providers=[P, ("a", "openai", KEY), ("a", "gemini", "other-key")],
        Models=[("name",), ("m",), ("m",)],
        Associations=[A, ("m", "a", "x"), ("m", "a", "x"), ("m", "a", "y")],
    )
    sheets = put_in(admin, data)["sheets"]
    assert [(each["imported"], each["skipped"]) for each in sheets.values()] == [
        (1, 1),
        (1, 1),
        (2, 1),
    ]
    assert [row[1] for row in content(service)["providers"]] == ["openai"]


def test_titles(admin: httpx.Client) -> None:
    data = book(Providers=[("name", "type", "colour"), ("a", "openai", "red")], Models=[])
    sheets = put_in(admin, data)["sheets"]
    assert {(e["row"], e["column"]) for e in sheets["Providers"]["errors"]} == {
        (1, "colour"),
        (1, "api_key"),
    }
    assert [e["column"] for e in sheets["Models"]["errors"]] == ["name"]
    twice = put_in(admin, book(Models=[("name", "Name "), ("a", "b")]))["sheets"]["Models"]
    message = "this column is there more than once"
    assert twice["errors"] == [{"row": 1, "column": "name", "message": message}]


def packed(name: str, size: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr(name, b"\0" * size)
    return target.getvalue()


def laughing() -> bytes:
    """A workbook whose sheet is ten nested entities that would be 10^9 characters."""
    source = zipfile.ZipFile(io.BytesIO(book(Models=[("name",), ("m",)])))
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(10)
    )
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [{entities}]><worksheet>&e9;</worksheet>'
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as parts:
        for name in source.namelist():
            sheet = name.startswith("xl/worksheets/")
            parts.writestr(name, bomb if sheet else source.read(name))
    return target.getvalue()


def damaged() -> bytes:
    """A workbook with some bytes of its packed sheet turned over."""
    data = book(Models=[("name",), *((f"model {n * n}",) for n in range(300))])
    sheet = zipfile.ZipFile(io.BytesIO(data)).getinfo("xl/worksheets/sheet1.xml")
    middle = sheet.header_offset + 60 + sheet.compress_size // 2
    return (
        data[:middle]
        + bytes(255 - each for each in data[middle : middle + 40])
        + data[middle + 40 :]
    )


def flagged(bits: int) -> bytes:
    """A workbook whose parts say of themselves that they are encrypted, say."""
    data = bytearray(book(Models=[("name",), ("m",)]))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= bits
            place = data.find(mark, place + 4)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no Excel workbook"),
        (b"PK\x03\x04 and nothing else", "no Excel workbook"),
        (packed("xl/workbook.xml", 1000), "no Excel workbook"),
        (packed("xl/workbook.xml", 100 * 2**20), "unpacks to over"),
        (book(Other=[("x",)]), "none of the sheets"),
        (book(Models=[("name",), *((f"m{n}",) for n in range(5001))]), "over 5000 rows"),
        (laughing(), "no Excel workbook"),
        (damaged(), "or damaged"),
        (flagged(0x01), "or damaged"),
    ],
    ids=["empty", "torn", "other", "bomb", "strange", "long", "laughs", "damaged", "encrypted"],
)
def test_files_that_are_not_taken(
    admin: httpx.Client, service: Service, data: bytes, message: str
) -> None:
    answer = put_in(admin, data, 422)["error"]
    assert message in answer["message"]
    assert (answer["param"], answer["code"]) == ("file", "invalid_workbook")
    assert content(service)["models"] == []
    assert "Traceback" not in service.log.read_text()


def test_a_file_that_is_too_large(admin: httpx.Client) -> None:
    answer = put_in(admin, b"x" * (5 * 2**20 + 1), 413)["error"]
    assert answer["code"] == "request_too_large"


def test_no_file_at_all(admin: httpx.Client) -> None:
    assert admin.post("import/config").status_code == 422
    assert admin.post("import/config", files={"other": ("x", b"")}).status_code == 422
    text = admin.post("import/config", data={"file": "a text"})
    assert text.status_code == 422


def test_what_no_file_can_hold_does_not_keep_the_rest_from_it(
    admin: httpx.Client, service: Service
) -> None:
    """Rows of old may have characters that can't be entered any more."""
    execute(service.database, SETUP)
    execute(service.database, "UPDATE models SET remark = 'a' || char(11) || 'b' || char(65535)")
    rows = cells(admin.get("export/config").content)["Models"]
    assert {row[1] for row in rows[1:]} == {"a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"}
