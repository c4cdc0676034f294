"""The command tree: global options and the registration of every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchctl import __version__
from orchctl.cli import (
    authoring,
    backup,
    current,
    listing,
    rehearse,
    rollback,
    settings,
    stamp,
    status,
    upgrade,
    verify_chain,
)
from orchctl.cli.invocation import begin
from orchctl.output import Output

app = typer.Typer(
    name="orchctl",
    help="Safe Alembic migrations, snapshots and restarts for services that keep data in SQLite.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich would cost more than all the rest of `--help`
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orchctl {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="alembic.ini or pyproject.toml of the project."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Section of alembic.ini to use.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Database URL, instead of the configured.")
    ] = None,
    x: Annotated[
        list[str] | None, typer.Option("-x", help="KEY=VALUE handed to env.py, repeatable.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout, errors as JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Safe Alembic migrations, snapshots and restarts for services that keep data in SQLite."""
    invocation = begin(context, config=config, section=name, url=url, x=x or None)
    invocation.output = Output(
        as_json=as_json or invocation.output.as_json,
        quiet=quiet,
        colour=not no_color,
        debug=debug,
    )


status.register(app)
upgrade.register(app)
stamp.register(app)
rehearse.register(app)
rollback.register(app)
backup.register(app)
listing.register(app)
current.register(app)
authoring.register(app)
verify_chain.register(app)
settings.register(app)
