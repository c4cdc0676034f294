"""The quick way through a stock file and the parser always say the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.parse import parse
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.stock import read_stock
from tests.support.chains import Link

PATH = Path("/versions/x.py")
STOCK = Link("ae1027a6acf", ("1975ea83b712",)).text


def both(text: str, *, bodies: bool) -> tuple[object, object]:
    """What is said of the file as it is, and with line ends that only the parser takes."""
    return said(text, bodies), said(text.replace("\n", "\r\n"), bodies)


def said(text: str, bodies: bool) -> tuple[RevisionFile, list[str]]:
    file = parse(PATH, text.encode(), bodies=bodies)
    # Where exactly a syntax error is, Python itself tells differently for the two line ends.
    return replace(file, problems=()), [problem.rule for problem in file.problems]


@pytest.mark.parametrize("template", ["generic", "pyproject_async"])
def test_what_alembic_writes_is_stock(template: str, tmp_path: Path) -> None:
    for words in (
        ["init", "-t", template.removeprefix("pyproject_"), "m"],
        ["revision", "-m", "add users", "--rev-id", "a1"],
        ["revision", "-m", "add ümläut's", "--rev-id", "b1"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for path in (tmp_path / "m" / "versions").glob("*.py"):
        text = path.read_text()
        file = read_stock(path, text[: text.index("\ndef ") + 1])
        assert file is not None
        assert file == parse(path, text.replace("\n", "\r\n").encode())


STOCK_LINES = st.sampled_from(
    [
        "",
        "# a comment",
        "from alembic import op",
        "import sqlalchemy as sa, re  # why",
        "from typing import Sequence, Union",
        "from __future__ import annotations",
        "revision = 'a1'",
        'revision: str = "a1"  # x',
        "revision='ä1'",
        "down_revision: Union[str, Sequence[str], None] = '1975ea83b712'",
        "down_revision: str | None = None",
        "down_revision = None  # first",
        "branch_labels = 'é'; x = 1",
        "branch_labels = ('x', 'y')",
        "branch_labels = None",
        "depends_on = ''",
        "depends_on: str = 'q'",
        "  ",
        "revision = 'a' 'b'",
        "revision = r'a'",
        "revision = 'a\\x41'",
        "from ids import revision",
        "from ids import *",
        "import depends_on",
        "x = 1",
        "revision += 'x'",
        "del revision",
        "'''text'''",
        "if x:",
        "    revision = 'z'",
        "(",
        ")",
        "\f",
    ]
)
DOCSTRINGS = st.sampled_from(
    [
        "",
        '"""add users"""',
        '"""add users\n\nRevision ID: a1\nRevises: b1, c1\nCreate Date: now\n\n"""',
        '"""\nadd é\n\n  Revises:   \n"""  # x',
        "'''add\n\nRevises: b1'''",
        '"""a \\d"""',
        '""""quoted" text """',
        '"""open',
        '"""a""" """b"""',
        '"""a"" """',
        'r"""a"""',
        "# first\n'''Revises: z'''",
        '"""\n\ndef f():\n"""',
    ]
)


@settings(max_examples=1500, deadline=None)
@given(DOCSTRINGS, st.lists(STOCK_LINES, max_size=8), st.booleans(), st.booleans())
def test_the_same_either_way(
    docstring: str, lines: list[str], bodies: bool, functions: bool
) -> None:
    text = "\n".join([docstring, *lines, *(["def upgrade():", "    pass"] if functions else [])])
    quick, thorough = both(text + "\n", bodies=bodies)
    assert quick == thorough


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(STOCK)),
    st.integers(0, 6),
    st.text(st.sampled_from("\n '\"#=(),rNone:é\t"), max_size=4),
)
def test_the_same_with_something_torn_out(start: int, length: int, instead: str) -> None:
    text = STOCK[:start] + instead + STOCK[start + length :]
    quick, thorough = both(text, bodies=True)
    assert quick == thorough
