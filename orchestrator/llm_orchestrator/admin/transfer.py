"""Routes: the configuration as an Excel file."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Response, UploadFile
from pydantic import BaseModel, Field

from llm_orchestrator.admin.session import INVALID, TOO_LARGE, CurrentSession
from llm_orchestrator.auth import AdminRoute
from llm_orchestrator.errors import ApiError
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.sheets import EXAMPLES
from llm_orchestrator.store.transfer import (
    SheetResult,
    export_configuration,
    import_configuration,
)
from llm_orchestrator.store.workbook import (
    MAX_FILE,
    WorkbookFault,
    read_workbook,
    write_workbook,
)

router = APIRouter(route_class=AdminRoute)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An Excel file with the sheets Providers, Models and Associations",
        "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class RowErrorBody(BaseModel):
    """What is wrong with a cell."""

    row: int = Field(description="as Excel counts; 1 is the titles")
    column: str | None
    message: str


class SheetReport(BaseModel):
    """What became of a sheet; with errors nothing of it was imported."""

    imported: int
    skipped: int = Field(description="there already, and left as they are")
    errors: list[RowErrorBody]


class ImportReport(BaseModel):
    """What became of each sheet of the file."""

    complete: bool = Field(description="whether no sheet has errors")
    sheets: dict[str, SheetReport]


@router.get("/export/config", response_class=Response, responses={**_FILE, **INVALID})
async def export_config(
    session: CurrentSession,
    include_keys: Annotated[
        bool, Query(description="with the providers' keys instead of masks; keep such a file safe")
    ] = False,
) -> Response:
    """Return providers, models and associations as an Excel file."""
    content = await export_configuration(session, include_keys=include_keys)
    day = dt.datetime.now(dt.UTC).date().isoformat()
    return await _file(content, f"llm-orchestrator-{day}.xlsx")


@router.get("/export/template", response_class=Response, responses=_FILE)
async def export_template() -> Response:
    """Return an Excel file to fill in, with a row of each kind as an example."""
    return await _file(EXAMPLES, "llm-orchestrator-template.xlsx")


@router.post(
    "/import/config",
    responses={**TOO_LARGE, **INVALID},
)
async def import_config(
    session: CurrentSession,
    state: CurrentState,
    file: Annotated[UploadFile, File(description="an .xlsx of these three sheets, or of some")],
) -> ImportReport:
    """Add what the file has and the service has not.

    Each sheet is imported as a whole or, if a row has an error, not at all. What is there already,
    by name, is left as it is.
    """
    data = await file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ApiError(413, f"The file is over {MAX_FILE} bytes.", code="request_too_large")
    try:
        content = await asyncio.to_thread(read_workbook, data)
    except WorkbookFault as fault:
        raise ApiError(422, str(fault), code="invalid_workbook", param="file") from fault
    results = await import_configuration(session, content)
    state.note_change()
    return _report(results)


def _report(results: dict[str, SheetResult]) -> ImportReport:
    return ImportReport(
        complete=not any(result.errors for result in results.values()),
        sheets={
            name: SheetReport(
                imported=result.imported,
                skipped=result.skipped,
                errors=[
                    RowErrorBody(row=e.row, column=e.column, message=e.message)
                    for e in result.errors
                ],
            )
            for name, result in results.items()
        },
    )


async def _file(content: Any, name: str) -> Response:
    data = await asyncio.to_thread(write_workbook, content)
    return Response(
        data, media_type=XLSX, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
