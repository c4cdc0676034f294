"""The sheets of the Excel file: which columns they have, and what a cell means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from llm_orchestrator.inputs import (
    ChangedKey,
    Name,
    NewAssociation,
    NewModel,
    NewProvider,
    Taken,
    Weight,
)
from llm_orchestrator.patterns import EXPLAINED
from llm_orchestrator.store.masks import MASK


class ProviderRow(NewProvider):
    """A provider; an export without keys has masks, which do for a provider that is there."""

    api_key: ChangedKey


class AssociationRow(Taken):
    """An association by the names of what it joins."""

    model: Name
    provider: Name
    provider_model: Name
    weight: Weight = 1
    tool_call: bool = True
    structured_output: bool = True
    image: bool = False
    enabled: bool = True

    def to_new(self, model_id: int, provider_id: int) -> NewAssociation:
        """Return it by ids."""
        facts = self.model_dump(exclude={"model", "provider"})
        return NewAssociation(model_id=model_id, provider_id=provider_id, **facts)


@dataclass(frozen=True)
class Sheet:
    """A sheet: its name, and what one of its rows must be."""

    name: str
    row: type[Taken]

    @property
    def columns(self) -> tuple[str, ...]:
        """The titles of the columns."""
        return tuple(self.row.model_fields)

    @property
    def required(self) -> frozenset[str]:
        """The columns that no row may leave empty."""
        return frozenset(n for n, f in self.row.model_fields.items() if f.is_required())


PROVIDERS = Sheet("Providers", ProviderRow)
MODELS = Sheet("Models", NewModel)
ASSOCIATIONS = Sheet("Associations", AssociationRow)
SHEETS = (PROVIDERS, MODELS, ASSOCIATIONS)

# A row of each for the template. The key is a mask, so that nobody imports it as it is.
EXAMPLES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "Providers": (
        {
            "name": "example",
            "type": "openai",
            "api_key": MASK,
            "base_url": "https://api.openai.com/v1",
        },
    ),
    "Models": ({"name": "example-model", "remark": "what callers ask for"},),
    "Associations": (
        {"model": "example-model", "provider": "example", "provider_model": "name-upstream"},
    ),
}

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class RowError:
    """What is wrong with a cell; rows count as Excel counts them."""

    row: int
    column: str | None
    message: str


def read_row(sheet: Sheet, number: int, cells: Mapping[str, Any]) -> Taken | list[RowError]:
    """Return what a row says, or what is wrong with it. Empty cells are as if left out."""
    facts = {
        column: _meant(sheet.row, column, value)
        for column, value in cells.items()
        if value is not None and value != ""
    }
    try:
        return sheet.row.model_validate(facts)
    except ValidationError as error:
        # Not the input: it may be a key.
        return [RowError(number, str(each["loc"][0]), _message(each)) for each in error.errors()]


def _message(error: Any) -> str:
    if error["type"] == "missing":
        return "must be filled in"
    if isinstance(error["input"], dt.date | dt.time | dt.timedelta):
        return "is a date or time to Excel: make the cell a text and type it again"
    return EXPLAINED.get(error.get("ctx", {}).get("pattern"), str(error["msg"]))


def _meant(row: type[BaseModel], column: str, value: Any) -> Any:
    """Turn what Excel made of an entry into what was meant: 4.0 may be a name, `yes` a flag."""
    kind = str(row.model_fields[column].annotation)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if "bool" in kind:
        return _FLAGS.get(str(value).strip().lower(), value)
    if "int" in kind and "Literal" not in kind:
        return int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        # A name such as 1-2 is one to Excel, and what was typed is lost.
        return value
    return str(value).strip()
