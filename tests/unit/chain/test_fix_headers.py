"""Mending a docstring's header changes its ids, and nothing else in the world."""

from __future__ import annotations

import ast
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.findings import Finding
from orchctl.chain.fix import mend
from orchctl.chain.read import read_files
from orchctl.chain.rewriting import apply
from orchctl.chain.rules import verify
from orchctl.errors import Refused
from tests.support.chains import Link
from tests.support.machine import as_nobody, pinned

BASE = "revision = 'a1'\ndown_revision = None\n"


def project(folder: Path, child: bytes, **others: str) -> Path:
    for name, text in {"a1": BASE, **others}.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "b1.py"
    path.write_bytes(child)
    return path


def contradictions(folder: Path) -> list[Finding]:
    return [one for one in verify(read_files([folder]), [folder]).findings if one.rule == "C12"]


def mended(folder: Path) -> int:
    edits = mend(contradictions(folder))
    apply(edits)
    return len(edits)


# The docstring (with its quotes), the parents in the code, and what the docstring is to be.
HEADERS = {
    "an id": ('"""x\n\nRevises: z9\n"""', "'a1'", '"""x\n\nRevises: a1\n"""'),
    "spaces": ('"""x\n\n  Revises :   z9  \n"""', "'a1'", '"""x\n\n  Revises :   a1  \n"""'),
    "none": ('"""x\n\nRevises: None\n"""', "'a1'", '"""x\n\nRevises: a1\n"""'),
    "empty": ('"""x\n\nRevises:\n"""', "'a1'", '"""x\n\nRevises: a1\n"""'),
    "empty and a space": ('"""x\n\nRevises: \n"""', "'a1'", '"""x\n\nRevises: a1\n"""'),
    "now a base": ('"""x\n\nRevises: z9\n"""', "None", '"""x\n\nRevises: \n"""'),
    "several": ('"""x\n\nRevises: z9, y8\n"""', "('a1', 'c1')", '"""x\n\nRevises: a1, c1\n"""'),
    "brackets": ('"""x\n\nRevises: (z9, y8)\n"""', "'a1'", '"""x\n\nRevises: a1\n"""'),
    "its id": ('"""x\n\nRevision ID: z9\n"""', "'a1'", '"""x\n\nRevision ID: b1\n"""'),
    "both": (
        '"""x\n\nRevision ID: z9\nRevises: y8\nCreate Date: z9\n"""',
        "'a1'",
        '"""x\n\nRevision ID: b1\nRevises: a1\nCreate Date: z9\n"""',
    ),
    "first line": ('"""Revises: z9"""', "'a1'", '"""Revises: a1"""'),
    "single quotes": ("'Revises: z9'", "'a1'", "'Revises: a1'"),
    "raw": ("r'''x\nRevises: z9'''", "'a1'", "r'''x\nRevises: a1'''"),
    "raw, first line": ("r'''Revises: z9'''", "'a1'", "r'''Revises: a1'''"),
    "a comment above": (
        "# Revises: q\n'''x\n\nRevises: z9\n'''  # Revises: q",
        "'a1'",
        "# Revises: q\n'''x\n\nRevises: a1\n'''  # Revises: q",
    ),
    "umlauts": ("'''ä 中 x\n\n  Revises: zü9\n'''", "'a1'", "'''ä 中 x\n\n  Revises: a1\n'''"),
}


@pytest.mark.parametrize(("wrong", "down", "right"), HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["plain", "marked", "declared"])
def test_only_the_ids_change(
    tmp_path: Path, wrong: str, down: str, right: str, end: str, form: str
) -> None:
    if form == "declared" and not wrong.isascii():
        wrong, right = (text.replace("中", "é") for text in (wrong, right))
    cookie = "# -*- coding: latin-1 -*-\n" if form == "declared" else ""
    rest = f"\nrevision  =  'b1'   # z9 é\ndown_revision= {down}\t\nx = 'Revises: z9'\n\x0c\n"

    def written(docstring: str) -> bytes:
        text = f"{cookie}{docstring}{rest}".replace("\n", end)
        mark = b"\xef\xbb\xbf" if form == "marked" else b""
        return mark + text.encode("latin-1" if form == "declared" else "utf-8")

    path = project(tmp_path, written(wrong), c1="revision = 'c1'\ndown_revision = 'a1'\n")
    assert mended(tmp_path) == 1
    assert path.read_bytes() == written(right)
    assert contradictions(tmp_path) == []


CODE = "revision = 'b1'\ndown_revision = 'a1'\n"
LEFT_ALONE = {
    "a sentence": ("'''Revises: z9 (the first)'''\n" + CODE, {}),
    "a missing parent": ("'''Revises: a1'''\n" + CODE.replace("'a1'", "'q7'"), {}),
    "itself": ("'''Revises: a1'''\n" + CODE.replace("'a1'", "'b1'"), {}),
    "an id twice": ("'''Revision ID: c1'''\n" + CODE, {"other": CODE}),
    "a computed parent": ("'''Revises: z9'''\n" + CODE.replace("'a1'", "f()"), {}),
    "a syntax error": ("'''Revises: z9'''\n" + CODE + "def f(:\n", {}),
    "joined": ("'''x\n''' '''\nRevises: z9'''\n" + CODE, {}),
    "escaped": ("'''x\\nRevises: z9'''\n" + CODE, {}),
}


@pytest.mark.parametrize(("text", "others"), LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_may_be_right_is_left_alone(tmp_path: Path, text: str, others: dict[str, str]) -> None:
    path = project(tmp_path, text.encode(), **others)
    changed = mended(tmp_path)
    if "''' '''" in text:  # one string to Python, and one edit
        assert changed == 1
        assert path.read_text() == text.replace("z9", "a1")
        return
    assert changed == 0
    assert path.read_text() == text


@pytest.mark.parametrize("id_", ["it's", "a'''b", "a\\b", "a\nb", "a b", "ä"])
def test_an_id_that_a_docstring_cannot_hold_is_left_out(tmp_path: Path, id_: str) -> None:
    text = f"'''x\n\nRevises: z9\n'''\nrevision = 'b1'\ndown_revision = {id_!r}\n"
    path = project(tmp_path, text.encode())
    (tmp_path / "a1.py").write_text(f"revision = {id_!r}\ndown_revision = None\n")
    before, after = path.read_bytes(), text.replace("z9", id_)
    done = mended(tmp_path)
    assert path.read_bytes() == (after.encode() if done else before)
    if done:
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring is not None
        assert docstring.endswith(f"Revises: {id_}")
    assert done == (id_ in ("it's", "a b", "ä"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.text(
        st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r\\"), max_size=15
    ),
    name=st.sampled_from(["Revises", "Revision ID"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_stands_around_it(
    text: str, name: str, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("versions")
    around = text.replace('"', "").replace("\n", end)
    whole = f'"""{around}{end}{name}: NAME{end}{around}{end}"""{end}{CODE}# {text.split()}{end}'
    path = project(folder, whole.replace("NAME", "z9", 1).encode())
    right = "a1" if name == "Revises" else "b1"
    assert mended(folder) == 1
    assert path.read_bytes() == whole.replace("NAME", right, 1).encode()


# -- all of the files or none ----------------------------------------------------------------


def three(folder: Path) -> list[Path]:
    texts = {"b1": Link("b1", ("a1",)), "c1": Link("c1", ("b1",)), "d1": Link("d1", ("c1",))}
    project(folder, b"")
    for name, link in texts.items():
        text = link.text.replace(f"Revises: {link.parents[0]}", "Revises: z9")
        (folder / f"{name}.py").write_text(text)
    return [folder / f"{name}.py" for name in texts]


def test_a_read_only_file_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    paths = three(tmp_path)
    paths[1].chmod(0o444)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    edits = mend(contradictions(tmp_path))
    assert len(edits) == 3
    with pytest.raises(Refused, match=r"c1\.py cannot be written: it is read-only") as caught:
        apply(edits)
    assert (caught.value.state, caught.value.hint) == (
        "No file was changed",
        f"chmod u+w {paths[1]}",
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("obstacle", ["folder", "file"])
def test_somebody_elses_files(obstacle: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders let nobody in
        folder = Path(name)
        paths = three(folder)
        for path in folder.iterdir():
            path.chmod(0o666)
        folder.chmod(0o555 if obstacle == "folder" else 0o777)
        if obstacle == "file":
            paths[2].chmod(0o644)
        before = {path: path.read_bytes() for path in folder.iterdir()}
        words = [sys.executable, "-m", "orchctl", "verify-chain", "--fix", "--no-cache", name]
        done = subprocess.run(
            [*as_nobody(), *words], cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 5, done
        which = paths[0] if obstacle == "folder" else paths[2]
        assert f"{which} cannot be written: Permission denied" in done.stderr
        assert "No file was changed" in done.stderr
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        folder.chmod(0o700)


def test_what_fails_half_way_is_put_back(tmp_path: Path) -> None:
    paths = three(tmp_path)
    before = [path.read_bytes() for path in paths]
    edits = mend(contradictions(tmp_path))
    with pinned(paths[2]), pytest.raises(Refused, match=r"d1\.py cannot be written") as caught:
        apply(edits)
    assert caught.value.state == "No file was changed"
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a1.py", "b1.py", "c1.py", "d1.py"]


def test_modes_stay(tmp_path: Path) -> None:
    paths = three(tmp_path)
    for path, mode in zip(paths, (0o600, 0o755, 0o664), strict=True):
        path.chmod(mode)
    assert mended(tmp_path) == 3
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o755, 0o664]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a1.py", "b1.py", "c1.py", "d1.py"]
