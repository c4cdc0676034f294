"""`orchctl explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin

if TYPE_CHECKING:
    from orchctl.chain.pages import RulePage
    from orchctl.output import Output


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("explain")(explain)


def explain(
    context: typer.Context,
    rules: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE]...", help="Such as C01; all without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a rule of verify-chain means, with a wrong and a right example."""
    output = begin(context, as_json).output
    from orchctl.chain.pages import find_page, read_pages

    if not rules:
        pages = read_pages()
        output.result({"rules": [_titled(page) for page in pages]}, lambda: _list(output, pages))
        return
    pages = tuple(find_page(rule) for rule in dict.fromkeys(rules))
    data = {"rules": [{**_titled(page), "text": page.text} for page in pages]}
    output.result(data, lambda: output.raw("\n".join(page.text for page in pages)))


def _titled(page: RulePage) -> dict[str, Any]:
    return {"rule": page.id, "title": page.title}


def _list(output: Output, pages: tuple[RulePage, ...]) -> None:
    for page in pages:
        output.line(f"{page.id}  {page.title}")
