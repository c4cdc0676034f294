"""`orchctl current`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.invocation import Json, begin

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.upgrade.current import Current


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("current")(current)


def current(
    context: typer.Context,
    check_heads: Annotated[
        bool, typer.Option("--check-heads", "-c", help="Exit with 1 unless it is at head.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also database, path, parents, date and message."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the revision that the database is at."""
    invocation = begin(context, as_json)
    from orchctl.upgrade.current import read_current

    found = read_current(invocation.settings)
    data = {
        "database": found.database,
        "revisions": list(found.stamped),
        "heads": list(found.heads),
        "at_head": found.at_head,
    }
    invocation.output.result(data, lambda: _show(invocation.output, found, verbose))
    if check_heads and not found.at_head:
        from orchctl.errors import NegativeAnswer

        raise NegativeAnswer(
            f"{found.database} is not at head ({', '.join(found.heads)})",
            code="not-at-head",
            hint="orchctl upgrade",
        )


def _show(output: Output, found: Current, verbose: bool) -> None:
    from orchctl.cli.revision_text import encodable, entry, short

    if verbose:
        output.line(f"Current revision(s) for {found.url}:")
    for one in found.revisions:
        output.line(encodable(entry(one) if verbose else short(one)))
    for stamp in found.unknown:
        output.line(f"{stamp} (not in this chain)")
    if not found.stamped:
        output.note(f"{found.database} is at no revision yet")
