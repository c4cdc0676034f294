"""Settings: the configuration as an Excel file, out and in, and what the service was told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import SecretStr
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.settings import Settings
from llm_orchestrator.state import CurrentState, State
from llm_orchestrator.store.sheets import EXAMPLES, RowError
from llm_orchestrator.store.transfer import (
    SheetResult,
    export_configuration,
    import_configuration,
)
from llm_orchestrator.store.workbook import MAX_FILE, WorkbookFault, read_workbook, write_workbook
from llm_orchestrator.web.pages import (
    BASE,
    Form,
    Notice,
    PageRoute,
    SignedIn,
    pages_of,
    render,
)

router = APIRouter(prefix=f"{BASE}/settings", route_class=PageRoute)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class Effective:
    """One setting as the page shows it; where `said` is not empty, the value is not shown."""

    name: str
    about: str
    value: str
    said: str
    changed: bool


@dataclass(frozen=True)
class SheetReport:
    """What became of one sheet of an import."""

    name: str
    imported: int
    skipped: int
    errors: Sequence[RowError]


@dataclass(frozen=True)
class Report:
    """What became of an import."""

    filename: str
    notice: Notice
    sheets: Sequence[SheetReport]


@router.get("")
async def show_settings(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """Show the settings."""
    return _page(request, state)


@router.post("/export")
async def export(request: Request, state: CurrentState, form: Form) -> Response:
    """Answer with the configuration; keys are in it only where they were asked for."""
    async with state.database.session() as session:
        content = await export_configuration(
            session, include_keys=form.get("include_keys") == "true"
        )
    return await _file(content, f"llm-orchestrator-{pages_of(request).now():%Y-%m-%d}.xlsx")


@router.get("/template")
async def template(_session: SignedIn) -> Response:
    """Answer with a file to fill in."""
    return await _file(EXAMPLES, "llm-orchestrator-template.xlsx")


@router.post("/import")
async def import_file(request: Request, state: CurrentState, form: Form) -> Response:
    """Add what is new in an Excel file, and say what became of each row that was not taken."""
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return _page(request, state, _refused("", "No file was chosen."))
    data = await file.read(MAX_FILE + 1)
    try:
        content = await asyncio.to_thread(read_workbook, data)
    except WorkbookFault as fault:
        return _page(request, state, _refused(file.filename, str(fault)))
    async with state.database.session() as session:
        results = await import_configuration(session, content)
    state.note_change()
    return _page(request, state, _report(file.filename, results))


def _page(request: Request, state: State, report: Report | None = None) -> Response:
    failed = report is not None and report.notice.kind == "bad"
    return render(
        request,
        "settings.html",
        title="Settings",
        tab="settings",
        status=422 if failed else 200,
        report=report,
        effective=effective_settings(state.settings),
    )


def effective_settings(settings: Settings) -> list[Effective]:
    """Return every setting; of a secret only whether it is set."""
    return [
        Effective(
            name.upper(),
            _sentence(field.description or ""),
            *_value(getattr(settings, name)),
            changed=getattr(settings, name) != field.default,
        )
        for name, field in type(settings).model_fields.items()
    ]


def _sentence(description: str) -> str:
    """Return a description as the page writes it: backquotes are for terminals."""
    text = description.replace("`", "")
    return text[:1].upper() + text[1:]


def _value(value: Any) -> tuple[str, str]:
    """Return a value as text, or what is said in its place."""
    if isinstance(value, SecretStr):
        return "", "Set, and not shown"
    if isinstance(value, tuple) and value and isinstance(value[0], SecretStr):
        return "", f"{len(value)} set, and not shown"
    if value is None or value == ():
        return "", "Not set"
    if isinstance(value, bool):
        return str(value).lower(), ""
    return ", ".join(value) if isinstance(value, tuple) else str(value), ""


def _refused(filename: str, text: str) -> Report:
    return Report(filename, Notice("bad", text), ())


def _report(filename: str, results: Mapping[str, SheetResult]) -> Report:
    sheets = [
        SheetReport(name, result.imported, result.skipped, result.errors)
        for name, result in results.items()
    ]
    broken = [sheet.name for sheet in sheets if sheet.errors]
    added = sum(sheet.imported for sheet in sheets)
    if broken:
        text = f"{added} added. Nothing was taken from {' and '.join(broken)}: see the rows below."
        return Report(filename, Notice("bad", text), sheets)
    skipped = sum(sheet.skipped for sheet in sheets)
    text = f"{added} added, {skipped} skipped because they were there already."
    return Report(filename, Notice("good", text), sheets)


async def _file(content: Any, name: str) -> Response:
    data = await asyncio.to_thread(write_workbook, content)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type=XLSX, headers=headers)
