"""The settings: Excel out and in, and what the service was told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from playwright.sync_api import Page, expect

from tests.support.browsers import Visitor
from tests.support.demo_rows import KEY_MARK
from tests.support.migration_chain import rows
from tests.support.orchestrator import Service, copied, running

TABLES = ("providers", "models", "model_providers")


def contents(database: Path) -> dict[str, list[dict[str, object]]]:
    """Providers, models and associations, without the times at which they were made."""
    found = rows(database)
    return {
        table: [
            {name: value for name, value in each.items() if not name.endswith("_at")}
            for each in found[table]
        ]
        for table in TABLES
    }


def exported(page: Page, folder: Path, *, keys: bool) -> Path:
    if keys:
        page.get_by_label("With API keys").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def imported(page: Page, path: Path) -> None:
    page.get_by_label("Excel file (.xlsx)").set_input_files(path)
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#report")).to_be_visible()


def test_excel_there_and_back(
    visit: Visitor, filled: Service, template: Path, tmp_path: Path
) -> None:
    file = exported(visit(filled).goto("settings"), tmp_path, keys=True)
    with running(copied(template, tmp_path / "other")) as other:
        seen = visit(other)
        page = seen.goto("settings")
        imported(page, file)
        expect(page.get_by_role("status")).to_contain_text("18 added, 0 skipped")
        seen.look()  # the keys went through the page, and are not on it
        before, after = contents(filled.database), contents(other.database)
        # Other rows may have other ids; these were added in another order.
        assert names(after) == names(before)
        assert {p["name"]: p["api_key"] for p in after["providers"]} == {
            p["name"]: p["api_key"] for p in before["providers"]
        }
        imported(page, file)
        expect(page.get_by_role("status")).to_contain_text("0 added, 18 skipped")
        assert contents(other.database) == after


def names(found: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
    """Every row as what it says, by names in place of ids."""
    providers = {each["id"]: each["name"] for each in found["providers"]}
    models = {each["id"]: each["name"] for each in found["models"]}
    said = set()
    for table in TABLES:
        for each in found[table]:
            facts = {name: value for name, value in each.items() if name != "id"}
            if table == "model_providers":
                facts["model_id"] = models[facts["model_id"]]
                facts["provider_id"] = providers[facts["provider_id"]]
            said.add((table, *sorted((name, str(value)) for name, value in facts.items())))
    return said


def test_keys_are_masked_unless_asked_for(visit: Visitor, filled: Service, tmp_path: Path) -> None:
    file = exported(visit(filled).goto("settings"), tmp_path, keys=False)
    sheet = load_workbook(io.BytesIO(file.read_bytes()))["Providers"]
    cells = [str(cell.value) for line in sheet.iter_rows() for cell in line]
    assert "OpenAI" in cells
    assert not [cell for cell in cells if KEY_MARK in cell]


def test_the_template_can_be_downloaded(visit: Visitor, empty: Service, tmp_path: Path) -> None:
    page = visit(empty).goto("settings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Empty template").click()
    path = tmp_path / "template.xlsx"
    download.value.save_as(path)
    assert load_workbook(path).sheetnames == ["Providers", "Models", "Associations"]


def test_each_wrong_row_is_named(visit: Visitor, service: Service, tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Models"
    sheet.append(["name", "timeout"])
    sheet.append(["fine", 30])
    sheet.append(["broken", 0])
    sheet.append([None, 30])
    path = tmp_path / "wrong.xlsx"
    book.save(path)
    seen = visit(service)
    seen.expected.add(422)
    page = seen.goto("settings")
    imported(page, path)
    expect(page.get_by_role("alert")).to_contain_text("Nothing was taken from Models")
    errors = page.locator("#report table").last
    expect(errors.get_by_role("row").filter(has_text="timeout")).to_contain_text("3")
    expect(errors.get_by_role("row").filter(has_text="name")).to_contain_text("4")
    assert "fine" not in [each["name"] for each in contents(service.database)["models"]]


@pytest.mark.parametrize("content", [b"no workbook", b"PK\x03\x04 neither", b""])
def test_what_is_no_workbook_is_refused(
    visit: Visitor, service: Service, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "<b>.xlsx"
    path.write_bytes(content)
    seen = visit(service)
    seen.expected.add(422)
    page = seen.goto("settings")
    imported(page, path)
    expect(page.get_by_role("alert")).to_contain_text("no Excel workbook")
    expect(page.get_by_role("heading", name="Import of <b>.xlsx")).to_be_visible()


def test_a_file_that_is_too_large_is_refused(
    visit: Visitor, filled: Service, tmp_path: Path
) -> None:
    large = tmp_path / "large.xlsx"
    large.write_bytes(b"0" * 1_000_001)
    seen = visit(filled)
    # The limit stands before the pages: its answer is plain, and has no icon.
    seen.expected |= {413, 404}
    page = seen.goto("settings")
    page.get_by_label("Excel file (.xlsx)").set_input_files(large)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("over 1000000 bytes")).to_be_visible()


def test_settings_in_effect_without_secrets(visit: Visitor, filled: Service) -> None:
    page = visit(filled).goto("settings")

    def setting(name: str) -> str:
        row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
        return row.get_by_role("cell").first.inner_text()

    assert setting("ADMIN_KEY") == "Set, and not shown"
    assert setting("API_KEYS") == "1 set, and not shown"
    assert setting("REDIS_URL") == "Set, and not shown"
    assert setting("HEALTH_CHECK_INTERVAL") == "0"
    assert setting("LOG_RETENTION_DAYS") == "30"
    assert setting("CORS_ORIGINS") == "Not set"
    assert setting("DATABASE_URL") == f"sqlite:///{filled.database}"
