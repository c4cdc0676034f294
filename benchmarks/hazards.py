"""`python -m benchmarks.hazards [--write] [ID…]`: plain Alembic and orchctl, hazard by hazard.

Each case is built anew for every tool, run with `alembic upgrade head` and with `orchctl upgrade`,
and looked at afterwards; the other tools say what they find in it. What stands in docs/hazards.md
was seen, not typed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.hazard_cases import CASES, Case
from tests.support.machine import mounted
from tests.support.projects import Project

ROOT = Path(__file__).resolve().parents[1]
PAGE, README = ROOT / "docs" / "hazards.md", ROOT / "README.md"
_MARKS = "<!-- hazards -->", "<!-- /hazards -->"
TOOLS = {"plain Alembic": ("alembic", "upgrade", "head"), "orchctl": ("orchctl", "upgrade")}

_HEAD = """\
# Hazards, side by side

What each left behind. Written by `python -m benchmarks.hazards --write`: every cell was seen in a
run on real files. Every case has tests of its own in `tests/hazards/`; what orchctl's exit codes
mean: [exit-codes.md](exit-codes.md). H05, H06 and H08 hang on moments: their counts differ from run
to run, and the replicas of H06 wait for each other in env.py, so that all go on at one moment.

"""
_PEERS = """
## What other tools say beforehand

They don't run upgrades: they read the revision, or run it on an empty database in a test. So the
question is whether they warn of the case. Some cases lie in env.py, in the machine or in the data,
which they don't look at; what they flag there is an operation of the revision, most of it with
PostgreSQL in mind. What a tool says to a revision that only creates a table as well is left out.

pytest-alembic ran `test_upgrade`, `test_up_down_consistency` and `test_single_head_revision` with
the env.py that its documentation asks for; the others their `alembic-lint --dialect sqlite`,
`migsafe analyze` and `mrt check`, on revision 002. All are on PyPI: {versions}.

"""


Rows = dict[tuple[str, str], tuple[str, ...]]


# What README shows of it.
EXCERPT = (
    ("H01", "a revision fails half-way"),
    ("H02", "a parent table with CASCADE children is rebuilt, foreign_keys=ON"),
    ("H06", "five replicas at once"),
    ("H12", "a type change casts text to 0"),
)


def main() -> None:
    """Run the cases named on the command line, or all; with `--write` renew their rows."""
    chosen = [word for word in sys.argv[1:] if word.startswith("H")]
    for case in CASES:
        if chosen and case.id not in chosen:
            continue
        left = tuple(run(case, words) for words in TOOLS.values())
        flagged = tuple(_flags(case))
        print(" | ".join((case.id, case.hazard, *left, *flagged)), flush=True)
        if "--write" in sys.argv[1:]:
            _renew((case.id, case.hazard), left, flagged)


def _renew(name: tuple[str, str], left: tuple[str, ...], flagged: tuple[str, ...]) -> None:
    """Renew the rows of one case, the others as they stand."""
    behind, said = standing()
    behind[name], said[name] = left, flagged
    PAGE.write_text(page(behind, said), encoding="utf-8")
    _renew_excerpt(behind)


def standing() -> tuple[Rows, Rows]:
    """What the page says now: what each of `TOOLS` left behind, what the other tools say."""
    tables: tuple[Rows, Rows] = ({}, {})
    known = {(case.id, case.hazard) for case in CASES}
    before, _, after = PAGE.read_text(encoding="utf-8").partition("\n## ")
    for rows, text in zip(tables, (before, after), strict=True):
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if tuple(cells[:2]) in known:
                rows[cells[0], cells[1]] = tuple(cells[2:])
    return tables


def run(case: Case, words: tuple[str, ...]) -> str:
    """What a tool exits with, and what it leaves behind."""
    with built(case) as project:
        told = case.run(project, words)
        return f"{told}; {case.look(project)}"


@contextlib.contextmanager
def built(case: Case) -> Iterator[Project]:
    """A case's project in a folder of its own."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place) / "project"
        if case.small_disk:
            stack.enter_context(mounted(folder / "disk", "size=16m"))
        yield case.build(folder)


def _flags(case: Case) -> Sequence[str]:
    with built(case) as project:
        versions = project.folder / "migrations" / "versions"
        if not list(versions.glob("002_*")):  # the code that meets a newer database
            return ["nothing"] * len(peers.PEERS)
        return list(peers.flags(project).values())


def page(behind: Rows, said: Rows) -> str:
    """The page's text.

    Args:
        behind: By id and hazard, what each of `TOOLS` left behind.
        said: By id and hazard, what each of the other tools says.
    """
    versions = ", ".join(f"{name} {version}" for name, version in peers.versions().items())
    text = _HEAD + _table(("id", "hazard", *TOOLS), _ordered(behind))
    return (
        text
        + _PEERS.format(versions=versions)
        + _table(("id", "hazard", *peers.PEERS), _ordered(said))
    )


def _ordered(rows: Rows) -> list[tuple[str, ...]]:
    names = [(case.id, case.hazard) for case in CASES]
    return [(*name, *rows[name]) for name in names if name in rows]


def _renew_excerpt(behind: Rows) -> None:
    text = README.read_text(encoding="utf-8")
    rows = [row[1:] for row in _ordered(behind) if row[:2] in EXCERPT]
    front, rest = text.split(_MARKS[0])
    table = _table(("hazard", *TOOLS), rows)
    README.write_text(
        f"{front}{_MARKS[0]}\n{table}{_MARKS[1]}{rest.split(_MARKS[1])[1]}", encoding="utf-8"
    )


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    os.environ.pop("DATABASE_URL", None)
    main()
