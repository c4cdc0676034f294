"""Providers, models and associations out of the database as rows, and in from rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.inputs import NewModel
from llm_orchestrator.schema import Model, ModelProvider, Provider
from llm_orchestrator.store.associations import list_associations
from llm_orchestrator.store.masks import is_masked, mask_key
from llm_orchestrator.store.models import list_models
from llm_orchestrator.store.providers import list_providers, next_id
from llm_orchestrator.store.sheets import (
    ASSOCIATIONS,
    MODELS,
    PROVIDERS,
    SHEETS,
    AssociationRow,
    ProviderRow,
    RowError,
    Sheet,
    read_row,
)
from llm_orchestrator.store.workbook import SheetRows
from llm_orchestrator.store.writing import begin_writing


@dataclass
class SheetResult:
    """What became of a sheet; with errors nothing of it was imported."""

    imported: int = 0
    skipped: int = 0
    errors: list[RowError] = field(default_factory=list)


@dataclass
class _Names:
    """What is in the database by now, by name."""

    providers: dict[str, int]
    models: dict[str, int]
    served: set[tuple[int, int, str]]
    next_provider: int


# Adds a row to the session. True: added; False: there already; a RowError without its number.
Adder = Callable[[AsyncSession, _Names, Any], Awaitable[bool]]


class _Refused(Exception):
    """A row can't be added: which column, and why."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


async def export_configuration(
    session: AsyncSession, *, include_keys: bool
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every sheet; keys are masked unless they are asked for."""
    providers = [_facts(PROVIDERS, row) for row in await list_providers(session)]
    if not include_keys:
        for facts in providers:
            facts["api_key"] = mask_key(facts["api_key"])
    associations = [
        {**_facts(ASSOCIATIONS, each.row), "model": each.model_name, "provider": each.provider_name}
        for each in await list_associations(session)
    ]
    return {
        PROVIDERS.name: providers,
        MODELS.name: [_facts(MODELS, row) for row in await list_models(session)],
        ASSOCIATIONS.name: associations,
    }


def _facts(sheet: Sheet, row: Any) -> dict[str, Any]:
    return {column: getattr(row, column, None) for column in sheet.columns}


async def import_configuration(
    session: AsyncSession, content: Mapping[str, SheetRows]
) -> dict[str, SheetResult]:
    """Add what is not there yet, sheet after sheet, each all or nothing; return what became of it.

    Nothing that is there is changed, so a masked key never takes the place of a real one.
    """
    results = {}
    for sheet in SHEETS:
        if sheet.name in content:
            results[sheet.name] = await _import_sheet(session, sheet, content[sheet.name])
    return results


async def _import_sheet(session: AsyncSession, sheet: Sheet, found: SheetRows) -> SheetResult:
    result = SheetResult(errors=_check_titles(found))
    await begin_writing(session)
    names = await _known(session)
    for number, cells in found.rows if not result.errors else ():
        row = read_row(sheet, number, cells)
        if isinstance(row, list):
            result.errors += row
            continue
        try:
            added = await _ADDERS[sheet.name](session, names, row)
        except _Refused as refused:
            result.errors.append(RowError(number, refused.column, str(refused)))
        else:
            result.imported += added
            result.skipped += not added
    if result.errors:
        await session.rollback()
        result.imported = 0
    else:
        await session.commit()
    return result


def _check_titles(found: SheetRows) -> list[RowError]:
    faults = (
        (found.unknown, "there is no such column"),
        (found.missing, "this column is missing"),
        (found.repeated, "this column is there more than once"),
    )
    return [RowError(1, title, message) for titles, message in faults for title in titles]


async def _known(session: AsyncSession) -> _Names:
    providers = await session.execute(select(Provider.name, Provider.id))
    models = await session.execute(select(Model.name, Model.id))
    served = await session.execute(
        select(ModelProvider.model_id, ModelProvider.provider_id, ModelProvider.provider_model)
    )
    return _Names(
        dict(providers.tuples().all()),
        dict(models.tuples().all()),
        set(served.tuples()),
        await next_id(session),
    )


async def _add_provider(session: AsyncSession, names: _Names, row: ProviderRow) -> bool:
    if row.name in names.providers:
        return False
    if is_masked(row.api_key):
        raise _Refused("api_key", "is a masked key: put the key itself there")
    provider = Provider(id=names.next_provider, **row.model_dump())
    names.next_provider += 1
    names.providers[row.name] = await _add(session, provider)
    return True


async def _add_model(session: AsyncSession, names: _Names, row: NewModel) -> bool:
    if row.name in names.models:
        return False
    names.models[row.name] = await _add(session, Model(**row.model_dump()))
    return True


async def _add_association(session: AsyncSession, names: _Names, row: AssociationRow) -> bool:
    for column, there in (("model", names.models), ("provider", names.providers)):
        if getattr(row, column) not in there:
            raise _Refused(column, f"there is no {column} {getattr(row, column)!r}")
    new = row.to_new(names.models[row.model], names.providers[row.provider])
    key = (new.model_id, new.provider_id, new.provider_model)
    if key in names.served:
        return False
    names.served.add(key)
    await _add(session, ModelProvider(**new.model_dump()))
    return True


async def _add(session: AsyncSession, row: Provider | Model | ModelProvider) -> int:
    session.add(row)
    await session.flush()
    return row.id


_ADDERS: Mapping[str, Adder] = {
    PROVIDERS.name: _add_provider,
    MODELS.name: _add_model,
    ASSOCIATIONS.name: _add_association,
}
