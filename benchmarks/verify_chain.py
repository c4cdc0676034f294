"""Checking a chain: `orchctl verify-chain` against `alembic heads`, which loads every file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks.chain import revision_id, write_project
from benchmarks.commands import ALEMBIC, ORCHCTL, peak_share, timed
from benchmarks.figures import Figure, Memory, Options, Ratio, Report, race

_THEIRS = "alembic heads"
_CHAIN = "orchctl verify-chain --select C"
_LINT = "orchctl verify-chain"
_COMMANDS = {
    _THEIRS: [ALEMBIC, "heads"],
    _CHAIN: [ORCHCTL, "verify-chain", "--select", "C"],
    _LINT: [ORCHCTL, "verify-chain"],
}
# Spares Alembic the writing.
_NO_PYC = {"PYTHONDONTWRITEBYTECODE": "1"}
_TYPES = (
    "sa.Integer()",
    "sa.BigInteger()",
    "sa.String(length=255)",
    "sa.String(length=40)",
    "sa.Text()",
    "sa.Boolean()",
    "sa.DateTime()",
    "sa.DateTime(timezone=True)",
    "sa.Numeric(precision=10, scale=2)",
    "sa.JSON()",
)


def run(options: Options) -> Report:
    """Measure chains of 10 to 20,000 revisions."""
    length = 500 if options.quick else 5000
    rounds = min(options.rounds, 5)
    figures = [
        *_fresh(options, length, rounds),
        *_warm(options, length, rounds),
        _edited(options, length, rounds),
        *_short(options),
        *_memory(options, length),
        *_growth(options),
    ]
    return Report(
        "verify",
        "Checking a chain",
        "Chains as autogenerate writes them, about 42 lines a file: a table of three to ten "
        "columns of ten types, an index, a batch with another column and index, and all of it "
        "taken back. `alembic heads` imports every file; orchctl reads them. Fresh: no `.pyc` of "
        "a revision, none written "
        "(PYTHONDONTWRITEBYTECODE, which spares Alembic their writing), no cache of ours (it is "
        "written). Warm: every `.pyc` is there, and our cache; one edited: one file was since, "
        "anew in each round. Memory is what all processes of a side have together, pages that they "
        "share counted once (PSS), in a fresh checkout. The last rows hold the time for long "
        "chains against that for shorter ones.",
        tuple(figures),
    )


def _fresh(options: Options, length: int, rounds: int) -> list[Figure]:
    project = _project(options, length)
    for words in _COMMANDS.values():
        timed(words, project)  # the programs' own .pyc are there
    sides = {name: partial(_from_nothing, project, words) for name, words in _COMMANDS.items()}
    seconds = race(sides, rounds)
    case = f"{length:,} revisions, fresh checkout"
    return [
        Ratio(f"{case}: {name}", seconds[name], _THEIRS, seconds[_THEIRS], bound)
        for name, bound in ((_CHAIN, 0.3), (_LINT, 0.7))
    ]


def _warm(options: Options, length: int, rounds: int) -> list[Figure]:
    project = _project(options, length)
    _clear(project)
    for words in (_COMMANDS[_THEIRS], _COMMANDS[_LINT]):
        timed(words, project)
    seconds = race(_sides(project), rounds)
    case = f"{length:,} revisions, warm"
    return [
        Ratio(f"{case}: {name}", seconds[name], _THEIRS, seconds[_THEIRS], 0.2)
        for name in (_CHAIN, _LINT)
    ]


def _edited(options: Options, length: int, rounds: int) -> Ratio:
    """One file is another one in each round; nothing is promised."""
    project = _project(options, length)
    path = project / "migrations" / "versions" / f"{revision_id(length // 2)}_step.py"
    text = path.read_text()

    def edited(command: Sequence[str]) -> float:
        path.write_text(f"{text}# {random.random()}\n")
        return timed(command, project)

    names = (_THEIRS, _LINT)
    seconds = race({name: partial(edited, _COMMANDS[name]) for name in names}, rounds)
    path.write_text(text)
    case = f"{length:,} revisions, warm, one edited: {_LINT}"
    return Ratio(case, seconds[_LINT], _THEIRS, seconds[_THEIRS])


def _short(options: Options) -> list[Figure]:
    project = _project(options, 10)
    seconds = race(_sides(project), options.rounds)
    return [Ratio(f"10 revisions: {_LINT}", seconds[_LINT], _THEIRS, seconds[_THEIRS], 0.35)]


def _memory(options: Options, length: int) -> list[Figure]:
    project = _project(options, length)
    theirs = _peak(project, _COMMANDS[_THEIRS])
    return [
        Memory(
            f"{length:,} revisions, memory: {name}",
            _peak(project, _COMMANDS[name]),
            _THEIRS,
            theirs,
        )
        for name in (_CHAIN, _LINT)
    ]


def _growth(options: Options) -> list[Figure]:
    """Twenty times the files take at most twenty times as long, and a tenth."""
    figures: list[Figure] = []
    lengths = (100, 500) if options.quick else (100, 1000, 5000, 20000)
    projects = {length: _project(options, length) for length in lengths}
    words = [*_COMMANDS[_LINT], "--no-cache"]
    sides = {
        f"{length:,} revisions": partial(timed, words, project)
        for length, project in projects.items()
    }
    seconds = race(sides, 3)
    for less, more in pairwise(lengths):
        long, short = f"{more:,} revisions", f"{less:,} revisions"
        case = f"{long}: {_LINT} --no-cache"
        bound = round(more / less * 1.1, 1)
        figures.append(Ratio(case, seconds[long], f"orchctl, {short}", seconds[short], bound))
    return figures


def _sides(project: Path) -> dict[str, Callable[[], float]]:
    return {name: partial(timed, words, project) for name, words in _COMMANDS.items()}


def _from_nothing(project: Path, command: Sequence[str]) -> float:
    _clear(project)
    return timed(command, project, _NO_PYC)


def _peak(project: Path, command: Sequence[str]) -> float:
    shares = []
    for _ in range(3):  # a peak between two looks is missed
        _clear(project)
        shares.append(peak_share(command, project))
    return max(shares)


def _clear(project: Path) -> None:
    for name in ("migrations/versions/__pycache__", ".orchctl_cache"):
        shutil.rmtree(project / name, ignore_errors=True)


def _project(options: Options, length: int) -> Path:
    folder = options.folder / f"verify-{length}"
    if not folder.exists():
        write_project(folder, [_statements(number) for number in range(1, length + 1)])
        for path in (folder / "migrations" / "versions").glob("*.py"):
            path.write_text(_with_downgrade(path.read_text()))
    return folder


def _statements(number: int) -> str:
    """What one revision does: the same on every run, seldom the same as another one."""
    chance = random.Random(number)
    table = f"table_{revision_id(number)}"
    columns = [
        f'sa.Column("column_{place}", {chance.choice(_TYPES)}, nullable={chance.random() < 0.7})'
        for place in range(chance.randint(2, 9))
    ]
    listed = "".join(f"        {column},\n" for column in columns)
    note = f'sa.Column("note", {chance.choice(_TYPES)}, nullable=True)'
    return f"""# ### commands auto generated by Alembic - please adjust! ###
    op.create_table(
        "{table}",
        sa.Column("id", sa.Integer(), nullable=False),
{listed}        sa.PrimaryKeyConstraint("id", name=op.f("pk_{table}")),
    )
    op.create_index(op.f("ix_{table}_column_0"), "{table}", ["column_0"], unique=False)
    with op.batch_alter_table("{table}", schema=None) as batch_op:
        batch_op.add_column({note})
        batch_op.create_index("ix_{table}_note", ["note"], unique={number % 2 == 0})
    # ### end Alembic commands ###"""


def _with_downgrade(text: str) -> str:
    table = text.split('op.create_table(\n        "')[1].partition('"')[0]
    undone = f"""with op.batch_alter_table("{table}", schema=None) as batch_op:
        batch_op.drop_index("ix_{table}_note")
        batch_op.drop_column("note")

    op.drop_index(op.f("ix_{table}_column_0"), table_name="{table}")
    op.drop_table("{table}")"""
    head, _, _ = text.rpartition("    pass\n")
    return f"{head}    {undone}\n"
