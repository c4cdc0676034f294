"""Adding, changing and deleting one record: the same three forms for each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.state import CurrentState, State
from llm_orchestrator.store.faults import StoreFault, Unknown
from llm_orchestrator.web.forms import Field, errors_by_field, fill, sent_values
from llm_orchestrator.web.pages import (
    BASE,
    Form,
    Notice,
    PageRoute,
    SignedIn,
    go_to,
    not_found,
    render,
)

# What SQLite's integers hold; a larger number in an address is of no record.
_LARGEST_ID = 2**63 - 1


class Records(ABC):
    """One kind of record: its fields, and what the store does with it.

    Attributes:
        path: The part of its pages' addresses, and the tab's name.
        noun: What one is called in headings.
        new_body: What checks the fields of a new one.
        change_body: What checks the fields of one that is changed.
    """

    path: ClassVar[str]
    noun: ClassVar[str]
    new_body: ClassVar[type[BaseModel]]
    change_body: ClassVar[type[BaseModel]]

    @abstractmethod
    async def fields(self, session: AsyncSession, *, new: bool) -> Sequence[Field]:
        """Return the fields of the form."""

    @abstractmethod
    async def find(self, session: AsyncSession, id_: int) -> tuple[str, Mapping[str, Any]]:
        """Return what a record is called, and its values. Raises Unknown."""

    @abstractmethod
    async def create(self, session: AsyncSession, values: Mapping[str, Any]) -> str:
        """Add a record; returns what it is called. Raises StoreFault."""

    @abstractmethod
    async def change(self, session: AsyncSession, id_: int, values: Mapping[str, Any]) -> str:
        """Change a record; returns what it is called. Raises StoreFault."""

    @abstractmethod
    async def delete(self, session: AsyncSession, id_: int) -> None:
        """Delete a record. Raises Unknown."""

    @abstractmethod
    async def consequence(self, session: AsyncSession, id_: int) -> str:
        """Say what else goes when a record is deleted."""

    def defaults(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return what a new record's form starts with."""
        fields = self.new_body.model_fields
        return {
            name: field.default for name, field in fields.items() if not field.is_required()
        } | {name: value for name, value in query.items() if name in fields}


def record_routes(records: Records) -> APIRouter:
    """Return the routes of one kind's forms."""
    router = APIRouter(prefix=f"{BASE}/{records.path}", route_class=PageRoute)
    _add_new(router, records)
    _add_edit(router, records)
    _add_delete(router, records)
    return router


def _add_new(router: APIRouter, records: Records) -> None:
    @router.get("/new")
    async def show_new(request: Request, state: CurrentState, _session: SignedIn) -> Response:
        async with state.database.session() as session:
            fields = await records.fields(session, new=True)
        values = records.defaults(request.query_params)
        return _panel(request, records, None, fields, values)

    @router.post("/new")
    async def create(request: Request, state: CurrentState, form: Form) -> Response:
        async with state.database.session() as session:
            fields = await records.fields(session, new=True)
            sent = sent_values(fields, form)
            try:
                given = {name: value for name, value in sent.items() if value is not None}
                body = records.new_body.model_validate(given)
                name = await records.create(session, body.model_dump())
            except (ValidationError, StoreFault) as fault:
                return _panel(request, records, None, fields, sent, fault)
        return _done(request, state, records, f"{name} has been added.")


def _add_edit(router: APIRouter, records: Records) -> None:
    @router.get("/{id_}/edit")
    async def show_edit(
        request: Request, state: CurrentState, _session: SignedIn, id_: int
    ) -> Response:
        async with state.database.session() as session:
            try:
                _, values = await records.find(session, _possible(id_))
            except Unknown:
                return not_found(request)
            fields = await records.fields(session, new=False)
        return _panel(request, records, id_, fields, values)

    @router.post("/{id_}/edit")
    async def change(request: Request, state: CurrentState, form: Form, id_: int) -> Response:
        async with state.database.session() as session:
            fields = await records.fields(session, new=False)
            sent = sent_values(fields, form)
            # A password's field is never filled, so an empty one says nothing.
            kept = {f.name for f in fields if f.kind == "password" and sent[f.name] is None}
            given = {name: value for name, value in sent.items() if name not in kept}
            try:
                body = records.change_body.model_validate(given)
                values = body.model_dump(exclude_unset=True)
                name = await records.change(session, _possible(id_), values)
            except Unknown:
                return not_found(request)
            except (ValidationError, StoreFault) as fault:
                return _panel(request, records, id_, fields, sent, fault)
        return _done(request, state, records, f"{name} has been changed.")


def _add_delete(router: APIRouter, records: Records) -> None:
    @router.get("/{id_}/delete")
    async def ask(request: Request, state: CurrentState, _session: SignedIn, id_: int) -> Response:
        async with state.database.session() as session:
            try:
                name, _ = await records.find(session, _possible(id_))
            except Unknown:
                return not_found(request)
            consequence = await records.consequence(session, id_)
        return render(
            request,
            "panel.html",
            title=f"Delete {records.noun}?",
            tab=records.path,
            lead=f"{name} will be deleted. {consequence}",
            action=f"{BASE}/{records.path}/{id_}/delete",
            back=f"{BASE}/{records.path}",
            submit="Delete",
            danger=True,
            fields=(),
            problem="",
        )

    @router.post("/{id_}/delete")
    async def delete(request: Request, state: CurrentState, _form: Form, id_: int) -> Response:
        async with state.database.session() as session:
            try:
                name, _ = await records.find(session, _possible(id_))
                await records.delete(session, id_)
            except Unknown:
                return not_found(request)
        return _done(request, state, records, f"{name} has been deleted.")


def _possible(id_: int) -> int:
    if not 0 < id_ <= _LARGEST_ID:
        raise Unknown("There is no such record.")
    return id_


def _panel(
    request: Request,
    records: Records,
    id_: int | None,
    fields: Sequence[Field],
    values: Mapping[str, Any],
    fault: ValidationError | StoreFault | None = None,
) -> Response:
    """Answer with the form, and with what was wrong in it."""
    errors: dict[str, str] = {}
    if isinstance(fault, ValidationError):
        errors = errors_by_field(fault)
    elif fault:
        errors = {fault.field or "": fault.message}
    known = {field.name for field in fields}
    elsewhere = [text for name, text in errors.items() if name not in known]
    return render(
        request,
        "panel.html",
        title=f"Add {records.noun}" if id_ is None else f"Edit {records.noun}",
        tab=records.path,
        status=422 if fault else 200,
        lead="",
        action=f"{BASE}/{records.path}/" + ("new" if id_ is None else f"{id_}/edit"),
        back=f"{BASE}/{records.path}",
        submit="Add" if id_ is None else "Save",
        danger=False,
        fields=fill(fields, values, errors, old=id_ is not None),
        problem=" ".join(elsewhere),
    )


def _done(request: Request, state: State, records: Records, text: str) -> Response:
    state.note_change()
    return go_to(request, f"/{records.path}", Notice("good", text))
