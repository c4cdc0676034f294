"""The fields of a form: what they are called, how they are filled, what was wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from starlette.datastructures import FormData

from llm_orchestrator.patterns import EXPLAINED

Kind = Literal["text", "number", "password", "url", "select", "check"]


@dataclass(frozen=True)
class Field:
    """One field; `name` is also the body's."""

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    required: bool = False
    wide: bool = False
    maxlength: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    options: Sequence[tuple[str, str]] = ()
    # A choice whose values are numbers.
    numbered: bool = False


@dataclass(frozen=True)
class Filled:
    """A field as a page shows it."""

    field: Field
    value: Any
    error: str
    # Of a record that is there, not of one to be added.
    old: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.field, name)

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Return what can be chosen, what is chosen already among it.

        A row of old may have what can't be chosen any more: saved, it is refused, not replaced by
        whatever comes first.
        """
        known, value = self.field.options, str(self.value)
        if not self.old or not known or not value or value in dict(known):
            return known
        return [(value, value), *known]

    @property
    def id(self) -> str:
        """Return the element's id."""
        return f"field-{self.field.name}"


def fill(
    fields: Sequence[Field],
    values: Mapping[str, Any],
    errors: Mapping[str, str] | None = None,
    *,
    old: bool = False,
) -> list[Filled]:
    """Put values and errors into fields; a password is never filled.

    `old`: the values are those of a record that is there.
    """
    told = errors or {}
    return [
        Filled(field, _shown(field, values.get(field.name)), told.get(field.name, ""), old)
        for field in fields
    ]


def _shown(field: Field, value: Any) -> Any:
    if field.kind == "check":
        return bool(value)
    return "" if value is None or field.kind == "password" else value


def sent_values(fields: Sequence[Field], form: FormData) -> dict[str, Any]:
    """Return what was sent, as bodies take it: numbers as numbers, an empty field as None."""
    return {field.name: _sent(field, form.get(field.name)) for field in fields}


def _sent(field: Field, sent: Any) -> Any:
    if field.kind == "check":
        return sent is not None
    text = sent.strip() if isinstance(sent, str) else ""
    whole = field.kind == "number" or field.numbered
    # Longer ones stay text, and are refused as such.
    if whole and text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= 18:
        return int(text)
    return text or None


def errors_by_field(error: ValidationError) -> dict[str, str]:
    """Say what is wrong with each field, never what stood in it."""
    return {
        str(each["loc"][0]) if each["loc"] else "": _in_words(each["type"], each)
        for each in error.errors(include_url=False)
    }


def _in_words(kind: str, error: Mapping[str, Any]) -> str:
    limits: Mapping[str, Any] = error.get("ctx") or {}
    if kind in {"missing", "string_too_short"} or error.get("input") is None:
        return "This is needed."
    match kind:
        case "int_type" | "int_parsing":
            text = "A whole number, please."
        case "greater_than_equal":
            text = f"At least {limits['ge']}."
        case "less_than_equal":
            text = f"At most {limits['le']:,}."
        case "string_too_long":
            text = f"At most {limits['max_length']} characters."
        case "string_pattern_mismatch" if limits["pattern"] in EXPLAINED:
            text = f"This {EXPLAINED[limits['pattern']]}."
        case _:
            text = str(error["msg"])
    return text
