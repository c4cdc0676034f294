"""The command tree: global options and the registration of every command."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from orchctl import __version__
from orchctl.cli.invocation import begin
from orchctl.cli.parameters import lighten
from orchctl.output import Output

# Which module registers which commands, in the order of `--help`. Only what is run gets imported:
# the others would cost more than many a command.
_REGISTERED = {
    "status": ("status",),
    "upgrade": ("upgrade", "downgrade"),
    "run": ("run",),
    "wait_db": ("wait-db",),
    "health": ("health",),
    "doctor": ("doctor",),
    "docker": ("docker",),
    "kubernetes": ("k8s",),
    "stamp": ("stamp",),
    "rehearse": ("rehearse",),
    "rollback": ("rollback",),
    "deploy": ("deploy",),
    "backup": ("backup",),
    "listing": ("heads", "branches", "history", "show"),
    "current": ("current",),
    "authoring": ("revision", "merge", "check"),
    "verify_chain": ("verify-chain",),
    "explain": ("explain",),
    "settings": ("config",),
}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orchctl {__version__}")
        raise typer.Exit


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


def own_words(words: Sequence[str]) -> Sequence[str]:
    """The words that orchctl's options may be among: not those behind `--`."""
    return words[: words.index("--")] if "--" in words else words


def command_tree(words: Sequence[str] | None = None) -> Any:
    """The tree of commands as Typer runs it.

    Args:
        words: The words of the command line: modules whose commands are not among them are left
            out. None, or words that name no command or ask for help, give the whole tree.
    """
    given = set(own_words(words or ()))
    needed = [module for module, names in _REGISTERED.items() if given & set(names)]
    if not needed or given & {"--help", "-h"}:
        needed = list(_REGISTERED)
    app = typer.Typer(
        name="orchctl",
        help=main.__doc__,
        no_args_is_help=True,
        rich_markup_mode=None,  # Rich would cost more than all the rest of `--help`
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main)
    for module in needed:
        import_module(f"orchctl.cli.{module}").register(app)
    tree = typer.main.get_command(app)
    lighten(tree)
    return tree
