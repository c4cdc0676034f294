"""Mending changes the characters between two quotes, and nothing else in the world."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.findings import ChainReport
from orchctl.chain.fix import mend
from orchctl.chain.read import read_files
from orchctl.chain.rewriting import apply
from orchctl.chain.rules import verify
from orchctl.errors import Refused

BASE = "revision = '001'\ndown_revision = None\n"


def project(folder: Path, child: bytes) -> Path:
    (folder / "001_initial_schema.py").write_text(BASE)
    path = folder / "002_more.py"
    path.write_bytes(child)
    return path


def report(folder: Path) -> ChainReport:
    return verify(read_files([folder]), [folder])


def mended(folder: Path, rules: tuple[str, ...] = ("C01", "C12")) -> int:
    edits = mend(one for one in report(folder).findings if one.rule in rules)
    apply(edits)
    return len(edits)


WRITINGS = {
    "single": ("'001_initial_schema'", "'001'"),
    "double": ('"001_initial_schema"', '"001"'),
    "triple": ('"""001_initial_schema"""', '"""001"""'),
    "raw": ("r'001_initial_schema'", "r'001'"),
    "unicode": ("u'001_initial_schema'", "u'001'"),
    "with a suffix": ("'001_initial_schema.py'", "'001'"),
    "brackets": ("('001_initial_schema',)", "('001',)"),
    "list with comments": (
        "[  # why\n    '001_initial_schema',   # this one\n]",
        "[  # why\n    '001',   # this one\n]",
    ),
    "escaped": (r"'001\x5finitial_schema'", "'001'"),
    "spaces": ("   '001_initial_schema'  # so it is", "   '001'  # so it is"),
    "continued": ("\\\n  '001_initial_schema'", "\\\n  '001'"),
}


@pytest.mark.parametrize(("wrong", "right"), WRITINGS.values(), ids=list(WRITINGS))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"), [(b"", "utf-8"), (b"\xef\xbb\xbf", "utf-8"), (b"", "latin-1")]
)
def test_only_the_literal_changes(
    tmp_path: Path, wrong: str, right: str, end: str, mark: bytes, encoding: str
) -> None:
    cookie = "# coding: latin-1\n" if encoding == "latin-1" else ""
    text = (
        f"{cookie}'''schéma\n\nRevises: 001_initial_schema\n'''\n\nrevision  =  '002'   # é\n"
        f"é = 'ü'; down_revision: str = {{}}\t\n\nx = '001_initial_schema'\n\x0c\n"
    ).replace("\n", end)

    def written(value: str) -> bytes:
        return mark + text.replace("{}", value.replace("\n", end)).encode(encoding)

    path = project(tmp_path, written(wrong))
    assert mended(tmp_path, ("C01",)) == 1
    assert path.read_bytes() == written(right)
    assert "C01" not in {one.rule for one in report(tmp_path).findings}


LEFT_ALONE = {
    "joined": "'001_initial' '_schema'",
    "concatenated": "'001_initial' + '_schema'",
    "f-string": "f'001_initial_schema'",
    "named": "PARENT",
    "with other prefix": "'001_initial_schema' if True else None",
}


@pytest.mark.parametrize("value", LEFT_ALONE.values(), ids=list(LEFT_ALONE))
def test_what_could_change_more_is_left_alone(tmp_path: Path, value: str) -> None:
    text = f"PARENT = '001_initial_schema'\nrevision = '002'\ndown_revision = {value}\n"
    path = project(tmp_path, text.encode())
    assert "C01" in {one.rule for one in report(tmp_path).findings}
    changed = mended(tmp_path)
    if value.endswith("None"):  # a literal of its own after all
        assert changed == 1
    else:
        assert changed == 0
        assert path.read_text() == text


def test_a_literal_shared_by_two_names_is_left_alone(tmp_path: Path) -> None:
    text = "revision = '002'\ndown_revision = depends_on = '001_initial_schema'\n"
    path = project(tmp_path, text.encode())
    assert mended(tmp_path) == 0
    assert path.read_text() == text


def test_two_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "001_a.py").write_text("revision = '001'\ndown_revision = None\n")
    (tmp_path / "002_b.py").write_text("revision = '002'\ndown_revision = None\n")
    path = tmp_path / "003_c.py"
    path.write_text("revision = '003'\ndown_revision = ('001_a', '002_b')\n")
    (edit,) = mend(report(tmp_path).findings)
    assert len(edit.findings) == 2
    apply([edit])
    assert path.read_text() == "revision = '003'\ndown_revision = ('001', '002')\n"


def test_an_id_that_needs_escaping(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('revision = "it\'s"\ndown_revision = None\n')
    path = tmp_path / "b.py"
    path.write_text("revision = 'b'\ndown_revision = 'a'\n")
    assert mended(tmp_path) == 1
    assert path.read_text() == "revision = 'b'\ndown_revision = \"it's\"\n"


def test_an_id_that_the_encoding_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = '中'\ndown_revision = None\n", encoding="utf-8")
    path = tmp_path / "b.py"
    path.write_bytes(b"# coding: latin-1\nrevision = 'b'\ndown_revision = 'a'\n")
    assert mended(tmp_path) == 0
    assert path.read_bytes().endswith(b"'a'\n")


def test_mending_is_data_until_it_is_applied(tmp_path: Path) -> None:
    path = project(tmp_path, b"revision = '002'\ndown_revision = '001_initial_schema'\n")
    before = path.stat()
    (edit,) = mend(report(tmp_path).findings)
    assert path.stat() == before
    assert edit.diff("v/002_more.py") == (
        "--- a/v/002_more.py\n+++ b/v/002_more.py\n@@ -1,2 +1,2 @@\n"
        " revision = '002'\n-down_revision = '001_initial_schema'\n+down_revision = '001'\n"
    )


def test_mode_and_neighbours_stay(tmp_path: Path) -> None:
    path = project(tmp_path, b"revision = '002'\ndown_revision = '001_initial_schema'\n")
    path.chmod(0o640)
    names = sorted(tmp_path.iterdir())
    assert mended(tmp_path) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(tmp_path.iterdir()) == names


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    versions, shared = tmp_path / "versions", tmp_path / "shared"
    versions.mkdir()
    shared.mkdir()
    path = project(shared, b"revision = '002'\ndown_revision = '001_initial_schema'\n")
    for file in shared.iterdir():
        (versions / file.name).symlink_to(file)
    assert mended(versions) == 1
    assert (versions / path.name).is_symlink()
    assert path.read_text().endswith("'001'\n")


def test_a_file_changed_in_between_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, b"revision = '002'\ndown_revision = '001_initial_schema'\n")
    (edit,) = mend(report(tmp_path).findings)
    path.write_text("revision = '002'\ndown_revision = '001_initial_schema'  # mine\n")
    with pytest.raises(Refused, match="changed in the meantime"):
        apply([edit])
    assert path.read_text().endswith("# mine\n")


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, b"revision = '002'\ndown_revision = '001_initial_schema'\n")
    (edit,) = mend(report(tmp_path).findings)
    path.unlink()
    with pytest.raises(Refused, match="cannot be written"):
        apply([edit])


AROUND = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=AROUND, after=AROUND, end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_whatever_stands_around_it(
    before: str, after: str, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("versions")
    text = f"x = {before!r}; revision = '002'{end}y = {before!r}; down_revision = 'NAME'; "
    text += f"z = {after!r}{end}# " + after.translate(dict.fromkeys(map(ord, "\r\n"))) + end
    path = project(folder, text.replace("NAME", "001_initial_schema", 1).encode())
    if "NAME" in before + after:
        return
    assert mended(folder) == 1
    assert path.read_bytes() == text.replace("NAME", "001", 1).encode()
