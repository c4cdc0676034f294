"""Reading revision files: which count, what they say, and that no file brings the reader down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.script.base import Script, ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain.contents import revision_paths
from orchctl.chain.graph import Graph
from orchctl.chain.parse import parse
from orchctl.chain.read import read_files
from orchctl.chain.revision_file import RevisionFile
from orchctl.errors import ConfigurationError

STOCK = '''\
"""add user table

Revision ID: ae1027a6acf
Revises: 1975ea83b712
Create Date: 2024-01-02 12:22:33.123456

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'ae1027a6acf'
down_revision: Union[str, Sequence[str], None] = '1975ea83b712'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.create_table("user", sa.Column("id", sa.Integer()))


def downgrade() -> None:
    op.drop_table("user")
'''


def read(text: str | bytes, name: str = "x.py", *, bodies: bool = True) -> RevisionFile:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(Path("/versions") / name, data, bodies=bodies)


@pytest.mark.parametrize("bodies", [True, False])
def test_a_stock_file(bodies: bool) -> None:
    file = read(STOCK, bodies=bodies)
    assert (file.revision, file.down_revisions) == ("ae1027a6acf", ("1975ea83b712",))
    assert (file.branch_labels, file.depends_on, file.problems) == ((), (), ())
    assert file.message == "add user table"
    assert file.place("revision") == (15, 17)
    assert file.place("down_revision") == (16, 50)
    assert file.place("branch_labels") == (17, 50)
    token = file.tokens["down_revision"][0]
    assert (token.end_line, token.end_column, token.direct) == (16, 64, True)
    lines = {name: (line.text, line.line) for name, line in file.header.items()}
    assert lines == {
        "Revision ID": ("ae1027a6acf", 3),
        "Revises": ("1975ea83b712", 4),
        "Create Date": ("2024-01-02 12:22:33.123456", 5),
    }


# How real projects write the four names; each is run by Alembic too, as the judge.
WRITINGS = {
    "untyped": "revision = 'a1'\ndown_revision = 'b1'",
    "double quotes": 'revision = "a1"\ndown_revision = "b1"',
    "base": "revision = 'a1'\ndown_revision = None",
    "chained none": "revision = down_revision = None\nrevision = 'a1'",
    "tuple": "revision = 'a1'\ndown_revision = ('b1', 'b2')",
    "list": "revision = 'a1'\ndown_revision = ['b1', 'b2']",
    "lone tuple": "revision = 'a1'\ndown_revision = ('b1',)",
    "empty tuple": "revision = 'a1'\ndown_revision = ()",
    "tuple of none": "revision = 'a1'\ndown_revision = (None,)",
    "several lines": "revision = 'a1'\ndown_revision = (\n    'b1',\n    'b2',  # merged\n)",
    "constants": "NAME = 'a'\nrevision = NAME + '1'\ndown_revision = f'{NAME}0'",
    "together": "revision, down_revision = 'a1', 'b1'",
    "last wins": "revision = 'z1'\ndown_revision = 'b1'\nrevision = 'a1'",
    "after the functions": "def upgrade(): pass\nrevision = 'a1'\ndown_revision = 'b1'",
    "changed after the functions": "revision = 'z1'\ndown_revision = None\n"
    "def upgrade(): pass\nrevision = 'a1'",
    "empty depends_on": "revision = 'a1'\ndown_revision = 'b1'\ndepends_on = ''",
    "labels": "revision = 'a1'\ndown_revision = None\nbranch_labels = ('x', 'y')",
    "one label": "revision = 'a1'\ndown_revision = None\nbranch_labels = 'x'",
    "dependencies": "revision = 'a1'\ndown_revision = 'b1'\ndepends_on = ['b2', 'b1']",
    "conditional import": "try:\n    import sqlite3\nexcept ImportError:\n    sqlite3 = None\n"
    "revision = 'a1'\ndown_revision = 'b1'",
    "under a condition": "if True:\n    revision = 'a1'\n    down_revision = 'b1'",
    "semicolons": "revision = 'a1'; down_revision = 'b1'",
    "continued": "revision = \\\n    'a1'\ndown_revision = 'b1'",
    "a function named like it": "revision = 'a1'\ndown_revision = 'b1'\n\ndef upgrade():\n"
    "    revision = 'local'\n    return revision",
    "a class": "revision = 'a1'\ndown_revision = 'b1'\nclass X:\n    revision = 'inner'",
    "cookie": "# -*- coding: latin-1 -*-\nrevision = 'a1'\ndown_revision = 'b1'",
    "a function in the docstring": '"""x\n\ndef upgrade\n"""\nrevision = "a1"\n'
    'down_revision = "b1"',
}


@pytest.mark.parametrize("bodies", [True, False])
@pytest.mark.parametrize("text", WRITINGS.values(), ids=list(WRITINGS))
def test_every_writing_means_what_it_means_to_alembic(text: str, bodies: bool) -> None:
    ran: dict[str, Any] = {"__name__": "a1_py"}
    exec(text, ran)
    file = read(text, bodies=bodies)
    assert file.problems == ()
    assert file.revision == ran["revision"]
    assert file.down_revisions == as_tuple(ran["down_revision"])
    assert file.branch_labels == as_tuple(ran.get("branch_labels"))
    assert file.depends_on == as_tuple(ran.get("depends_on") or None)


def as_tuple(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(one for one in value if one is not None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(end: str, mark: bytes) -> None:
    file = read(mark + STOCK.replace("\n", end).encode())
    assert (file.revision, file.problems) == ("ae1027a6acf", ())
    assert file.place("down_revision") == (16, 50)
    assert file.header["Revises"].line == 4


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "iso-8859-15", "utf-8-sig"])
def test_encodings_and_columns_in_characters(encoding: str) -> None:
    cookie = f"# coding: {encoding}\n" if "utf" not in encoding else "\n"
    text = f"{cookie}é, revision, down_revision = 'ü', 'ä1', 'b1'\n"
    file = read(text.encode(encoding))
    assert (file.revision, file.down_revisions, file.problems) == ("ä1", ("b1",), ())
    assert file.place("down_revision") == (2, text.splitlines()[1].index("'b1'") + 1)


def test_a_form_feed_is_no_line_end() -> None:
    assert read("\f\nrevision = 'a1'\x0c\ndown_revision = None").place("down_revision") == (3, 17)


def test_invalid_bytes_in_code_and_in_a_comment() -> None:
    code = read(b"revision = 'a\xe9'\ndown_revision = None\n")
    assert [(p.rule, p.severity, p.line) for p in code.problems] == [("C07", "error", 1)]
    comment = read(b"revision = 'a1'\ndown_revision = 'b1'\n# caf\xe9\n")
    # Python itself only complains where it decodes, which differs between versions.
    assert comment.revision == "a1"
    assert [(p.rule, p.line) for p in comment.problems] == [("C07", 3)]


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: nonsense\nrevision = 'a1'\n",
        b"\xef\xbb\xbf# coding: latin-1\nrevision = 'a1'\n",
        b"# coding: rot13\nerivfvba = 'n1'\n",
        b"# coding: hex\n00\n",
        "revision = 'a1'".encode("utf-16"),
    ],
)
def test_impossible_encodings(data: bytes) -> None:
    assert [problem.rule for problem in read(data).problems][:1] == ["C07"]


def test_a_broken_body_is_found_and_the_facts_are_kept() -> None:
    file = read(STOCK + "\n\ndef broken(:\n    pass\n")
    assert (file.revision, file.down_revisions) == ("ae1027a6acf", ("1975ea83b712",))
    assert [(p.rule, p.severity, p.line) for p in file.problems] == [("C07", "error", 29)]
    assert "invalid syntax" in file.problems[0].message
    # Without the bodies it is not looked for.
    assert read(STOCK + "\n\ndef broken(:\n    pass\n", bodies=False).problems == ()


def test_what_only_the_compiler_refuses_is_found() -> None:
    assert [p.rule for p in read(STOCK + "\nreturn 1\n").problems] == ["C07"]


def test_a_conflict_leaves_only_what_is_sure() -> None:
    text = STOCK.replace(
        "down_revision: Union[str, Sequence[str], None] = '1975ea83b712'",
        "<<<<<<< HEAD\ndown_revision = '1975ea83b712'\n=======\ndown_revision = 'x'\n>>>>>>> b",
    )
    file = read(text)
    assert (file.revision, file.down_revisions) == ("ae1027a6acf", ())
    assert "down_revision" in file.unknown
    assert [p.rule for p in file.problems] == ["C07"]
    assert file.place("revision") == (15, 17)


PROBLEMS = {
    "no revision": ("x = 1", "error", "no revision"),
    "empty file": ("", "error", "no revision"),
    "no down_revision": ("revision = 'a1'", "error", "no down_revision"),
    "number": ("revision = 1\ndown_revision = None", "error", "revision holds 1"),
    "none": ("revision = None\ndown_revision = None", "error", "revision holds None"),
    "bytes": ("revision = b'a'\ndown_revision = None", "error", "revision holds b'a'"),
    "sequence": ("revision = ('a',)\ndown_revision = None", "error", "revision holds a sequence"),
    "empty": ("revision = ''\ndown_revision = None", "error", "an empty string"),
    "empty parent": ("revision = 'a'\ndown_revision = ''", "error", "an empty string"),
    "number as parent": ("revision = 'a'\ndown_revision = 0", "error", "down_revision holds 0"),
    "none among parents": ("revision = 'a'\ndown_revision = ('b', None)", "error", "holds None"),
    "empty dependency of a base": (
        "revision = 'a'\ndown_revision = None\ndepends_on = ''",
        "error",
        "depends_on is empty",
    ),
    "number as label": (
        "revision = 'a'\ndown_revision = None\nbranch_labels = 5",
        "warning",
        "branch_labels holds 5",
    ),
    "computed id": ("revision = make()\ndown_revision = None", "warning", "revision is computed"),
    "computed parent": ("revision = 'a'\ndown_revision = f()", "warning", "down_revision is comp"),
    "computed in part": ("revision = 'a'\ndown_revision = ('b', f())", "warning", "is computed"),
    "from a star": ("from ids import *", "warning", "revision is computed"),
    "long": (f"revision = {'9' * 60}\ndown_revision = None", "error", "999…"),
}


@pytest.mark.parametrize(("text", "severity", "words"), PROBLEMS.values(), ids=list(PROBLEMS))
def test_what_is_missing_mistyped_or_computed(text: str, severity: str, words: str) -> None:
    (problem,) = read(text).problems
    assert (problem.rule, problem.severity) == ("C08", severity)
    assert words in problem.message
    assert problem.suggestion


def test_an_id_from_the_file_name() -> None:
    file = read("down_revision = '1a'\n", "2b.py")
    assert (file.revision, file.problems, file.unknown) == ("2b", (), frozenset())
    assert [p.rule for p in read("x = 1", "2b.py").problems] == ["C08"]  # but a parent it needs


HUGE = {
    "one line of a megabyte": f"revision = 'a1'\ndown_revision = None\nx = '{'y' * 1_000_000}'\n",
    "a megabyte of id": f"revision = '{'y' * 1_000_000}'\ndown_revision = None\n",
    "a megabyte of comment": f"revision = 'a1'\n# {'é' * 500_000}\ndown_revision = None\n",
    "ten thousand parents": f"revision = 'a1'\ndown_revision = {['b'] * 10_000}\n",
    "ten thousand terms": "revision = 'a1'\ndown_revision = " + "+".join(["'b'"] * 10_000),
    "deep brackets": "revision = 'a1'\ndown_revision = " + "(" * 150 + "'b1'" + ")" * 150,
    "deeper brackets": "revision = 'a1'\ndown_revision = " + "(" * 5000 + "'b'" + ")" * 5000,
    "deep not": "revision = 'a1'\ndown_revision = " + "not " * 5000 + "1",
    "deep minus": "revision = 'a1'\ndown_revision = " + "-" * 50_000 + "1",
    "deep conditions": "revision = 'a1'\ndown_revision = " + "'b' if x else " * 1500 + "'b'",
    "deep blocks": "\n".join(" " * n + "if x:" for n in range(99)) + "\n" + " " * 99 + "y = 1",
    "many branches": "if a: pass\n" + "elif b: pass\n" * 2500 + "revision = 'a1'\n",
    "deep attributes": "revision = 'a1'\ndown_revision = x" + ".y" * 20_000,
    "huge number": "revision = 'a1'\ndown_revision = " + "9" * 100_000,
    "nulls": "revision = 'a1'\n\0\ndown_revision = None\n",
    "many assignments": "revision = 'a1'\n" * 20_000 + "down_revision = None",
    "open string": "revision = '''",
    "open bracket": "revision = (",
    "bad indentation": "  revision = 'a1'\n down_revision = 1",
}


@pytest.mark.parametrize("bodies", [True, False])
@pytest.mark.parametrize("text", HUGE.values(), ids=list(HUGE))
def test_nothing_brings_the_reader_down(text: str, bodies: bool) -> None:
    file = read(text, bodies=bodies)
    assert file.revision is not None or file.problems
    for problem in file.problems:
        assert len(problem.message) < 300


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_junk_named_py(data: bytes, bodies: bool) -> None:
    file = read(data, bodies=bodies)
    assert file.revision is None
    assert file.problems


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(STOCK)),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=10), st.sampled_from([b"(", b'"""', b"'", b"\\", b"\r", b"=", b":"])
    ),
)
def test_a_stock_file_with_something_torn_out(start: int, length: int, instead: bytes) -> None:
    data = STOCK.encode()
    file = read(data[:start] + instead + data[start + length :])
    assert isinstance(file, RevisionFile)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(STOCK)),
    st.sampled_from(
        ["revision = 'z'\n", "down_revision = None\n", "def f(): pass\n", "del revision\n", "@x\n"]
    ),
)
def test_the_quick_look_sees_what_the_full_one_sees(start: int, inserted: str) -> None:
    text = STOCK[:start] + inserted + STOCK[start:]
    full, quick = read(text), read(text, bodies=False)
    if any(problem.rule == "C07" for problem in full.problems):
        return
    assert (quick.revision, quick.down_revisions) == (full.revision, full.down_revisions)
    assert (quick.tokens, quick.unknown) == (full.tokens, full.unknown)


# -- which files count -----------------------------------------------------------------------


def alembic_paths(folder: Path, **options: bool) -> list[Path]:
    """The files Alembic would load, by its own rules."""
    script = ScriptDirectory(
        folder,
        version_locations=[folder],
        recursive_version_locations=options.get("recursive", False),
        sourceless=options.get("sourceless", False),
    )
    loaded: list[Path] = []

    def note(_script: ScriptDirectory, path: Path) -> None:
        from alembic.script import base

        pattern = base._sourceless_rev_file if script.sourceless else base._only_source_rev_file
        match = pattern.match(path.name)
        if match and not (
            path.suffix in (".pyc", ".pyo") and (path.parent / match.group(1)).exists()
        ):
            loaded.append(path)

    for path in Script._list_py_dir(script, folder):
        if path.resolve() not in loaded:
            note(script, path.resolve())
    return loaded


NAMES = [
    "b.py",
    "a.py",
    ".hidden.py",
    ".#lock.py",
    "__init__.py",
    "__init__old.py",
    "README",
    "x.py.orig",
    "y.pyc",
    "a.pyc",
    "z.PY",
    "with space.py",
    "ä.py",
    ".py",
    "sub/c.py",
    "sub/__init__.py",
    "sub/deep/d.py",
    "a_sub/e.py",
    "__pycache__/f.cpython-311.pyc",
    "__pycache__/a.cpython-311.pyc",
    "sub/__pycache__/g.cpython-311.pyc",
    "folder.py/inside.py",
]


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("sourceless", [False, True])
def test_the_files_that_alembic_loads(tmp_path: Path, recursive: bool, sourceless: bool) -> None:
    folder = tmp_path / "versions"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (tmp_path / "outside.py").write_text("")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "twice.py").symlink_to(folder / "a.py")
    (folder / "text.txt").symlink_to(tmp_path / "outside.py")
    (folder / "linked").symlink_to(folder / "sub", target_is_directory=True)
    ours = list(revision_paths([folder], recursive=recursive, sourceless=sourceless))
    assert ours == alembic_paths(folder, recursive=recursive, sourceless=sourceless)


def test_several_locations_each_file_once(tmp_path: Path) -> None:
    for name in ("one/a.py", "two/b.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    places = [
        tmp_path / "two",
        tmp_path / "gone",
        tmp_path / "one",
        tmp_path / "one" / ".." / "two",
    ]
    assert [path.name for path in revision_paths(places)] == ["b.py", "a.py"]


def test_one_broken_file_never_hides_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'a'\ndown_revision = None\n")
    (tmp_path / "b.py").write_bytes(os.urandom(4096))
    (tmp_path / "c.py").symlink_to(tmp_path / "nowhere.py")
    os.mkfifo(tmp_path / "d.py")
    (tmp_path / "e.py").write_text("revision = 'e'\ndown_revision = 'a'\n")
    files = read_files([tmp_path])
    assert [file.path.name for file in files] == ["a.py", "b.py", "nowhere.py", "d.py", "e.py"]
    assert [bool(file.problems) for file in files] == [False, True, True, True, False]
    assert "link to nothing" in files[2].problems[0].message
    assert "not a regular file" in files[3].problems[0].message
    assert Graph.of(files).heads == ("e",)
    assert not Graph.of(files).sound


def test_a_compiled_file_is_told_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.pyc").write_bytes(b"\0" * 40)
    (file,) = read_files([tmp_path], sourceless=True)
    assert (file.revision, [p.rule for p in file.problems]) == (None, ["C08"])
    assert read_files([tmp_path]) == ()


def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    """Seen from a process without rights: root may list everything."""
    closed = tmp_path / "versions"
    closed.mkdir()
    program = (
        "import os, sys, pathlib, shlex  # which hints need; afterwards Python is out of reach\n"
        "from orchctl.chain.read import read_files\n"
        "from orchctl.errors import ConfigurationError\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: read_files([pathlib.Path(sys.argv[1])])\n"
        "except ConfigurationError as error: print(error.code)\n"
    )
    closed.chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", program, str(closed)], capture_output=True, text=True, check=False
    )
    closed.chmod(0o755)
    assert done.stdout == "versions-unreadable\n", done.stderr
    assert ConfigurationError.exit_code == 3


def test_no_warning_gets_out(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""a \\d"""\nrevision = "a"\ndown_revision = None\nx = 1 is 1\n'
    )
    (file,) = read_files([tmp_path])  # warnings are errors here
    assert file.problems == ()
