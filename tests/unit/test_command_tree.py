"""The tree of commands: built only as far as needed, and converting values as Typer does."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from orchctl.cli.app import command_tree
from orchctl.cli.parameters import lighten

WHOLE = list(command_tree().commands)


@pytest.mark.parametrize("name", WHOLE)
def test_every_command_is_found_by_its_own_name(name: str) -> None:
    assert name in command_tree(["--json", name, "-x", "y"]).commands


def test_words_behind_two_dashes_are_somebody_else_s() -> None:
    assert command_tree(["run", "--", "backup", "--help"]).commands.keys() == {"run"}


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["upgrade", "--help"], ["-h", "status"], ["upgrad"]]
)
def test_help_and_what_is_no_command_see_the_whole_tree(words: list[str]) -> None:
    assert list(command_tree(words).commands) == WHOLE


def test_the_order_of_help_does_not_depend_on_the_words() -> None:
    both = [name for name in WHOLE if name in command_tree(["status", "current"]).commands]
    assert both == list(command_tree(["current", "status"]).commands)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def _tool() -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    def paint(
        name: str,
        times: int = 1,
        tags: Annotated[list[str] | None, typer.Option("--tag")] = None,
        path: Path | None = None,
        there: Annotated[Path | None, typer.Option(exists=True)] = None,
        colour: Colour = Colour.RED,
        loud: bool = False,
        quiet: bool | None = None,
        parsed: Annotated[str, typer.Option(parser=str.upper)] = "",
    ) -> dict[str, Any]:
        return locals()

    return app


@pytest.mark.parametrize(
    "words",
    [
        "wall",
        "wall --times 3",
        "wall --times three",
        "wall --tag a --tag b",
        "wall --path nowhere/x",
        "wall --path .",
        "wall --there nowhere",
        "wall --there .",
        "wall --colour blue",
        "wall --colour BLUE",
        "wall --colour green",
        "wall --loud --no-quiet",
        "wall --parsed abc",
        "",
        "wall --unknown",
    ],
)
def test_a_light_parameter_gives_what_typers_own_gives(words: str) -> None:
    light = typer.main.get_command(_tool())
    lighten(light)
    assert _outcome(light, words) == _outcome(typer.main.get_command(_tool()), words)


def _outcome(command: Any, words: str) -> tuple[str, Any]:
    try:
        return "result", command(words.split(), standalone_mode=False)
    except typer.TyperException as error:
        return type(error).__name__, str(error)
