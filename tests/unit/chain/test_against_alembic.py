"""What a finding says of Alembic is what Alembic says, and no error is raised where it works."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script.base import ScriptDirectory

from orchctl.chain.findings import ChainReport
from orchctl.chain.read import read_files
from orchctl.chain.rules import verify
from tests.support.chains import Link


def text(
    revision: str = "'b1'", down: str = "'a1'", labels: str = "None", depends: str = "None"
) -> str:
    return (
        f"revision = {revision}\ndown_revision = {down}\n"
        f"branch_labels = {labels}\ndepends_on = {depends}\n"
        "def upgrade(): pass\ndef downgrade(): pass\n"
    )


BASE = text("'a1'", "None")
# Each with the rule that finds it; the first file is always the base a1.
FAULTS: dict[str, tuple[str, dict[str, str | bytes]]] = {
    "by its file": ("C01", {"b.py": text(down="'a'")}),
    "twice": ("C02", {"b.py": BASE}),
    "own parent": ("C03", {"b.py": text(down="'b1'")}),
    "loop": ("C03", {"a.py": text("'a1'", "'b1'"), "b.py": text()}),
    "loop beside": ("C03", {"b.py": text(down="'c1'"), "c.py": text("'c1'", "'b1'")}),
    "heads": ("C04", {"b.py": text(), "c.py": text("'c1'")}),
    "missing": ("C06", {"b.py": text(down="'z1'")}),
    "label as parent": ("C06", {"a.py": text("'a1'", "None", "'x'"), "b.py": text(down="'x'")}),
    "syntax": ("C07", {"b.py": text() + "def f(:\n"}),
    "return": ("C07", {"b.py": text() + "return\n"}),
    "bytes": ("C07", {"b.py": b"x = '\xe9'\n" + text().encode()}),
    "null": ("C07", {"b.py": text() + "\0"}),
    "cookie": ("C07", {"b.py": "# coding: nonsense\n" + text()}),
    "no revision": ("C08", {"helper.py": "x = 1\n"}),
    "no parent": ("C08", {"b.py": "revision = 'b1'\n"}),
    "number": ("C08", {"b.py": text("1")}),
    "none": ("C08", {"b.py": text("None")}),
    "bytes as id": ("C08", {"b.py": text("b'b1'")}),
    "tuple as id": ("C08", {"b.py": text("('b1',)")}),
    "empty parent": ("C08", {"b.py": text(down="''")}),
    "number as parent": ("C08", {"b.py": text(down="0")}),
    "false as parent": ("C08", {"b.py": text(down="False")}),
    "none among parents": ("C08", {"b.py": text(down="('a1', None)")}),
    "base with empty dependency": ("C08", {"a.py": text("'a1'", "None", depends="''")}),
    "number as label": ("C08", {"b.py": text(labels="5")}),
    "unknown dependency": ("C09", {"b.py": text(depends="'z1'")}),
    "own dependency": ("C09", {"b.py": text(depends="'b1'")}),
    "dependency on a child": (
        "C09",
        {"b.py": text(depends="'c1'"), "c.py": text("'c1'", "'b1'")},
    ),
    "label twice": ("C10", {"a.py": text("'a1'", "None", "'x'"), "b.py": text(labels="'x'")}),
    "label twice in one": ("C10", {"b.py": text(labels="('x', 'x')")}),
    "label equal to an id": ("C10", {"b.py": text(labels="'a1'")}),
    "label equal to its own id": ("C10", {"b.py": text(labels="'b1'")}),
    "forbidden characters": ("C11", {"b.py": text("'b@1-x'")}),
}
# What Alembic takes without a word although it cannot be right.
SILENT: dict[str, tuple[str, dict[str, str | bytes]]] = {
    "empty id": ("C08", {"b.py": text("''")}),
    "loop with a way in and out": (
        "C03",
        {
            "b.py": text(down="('a1', 'c1')"),
            "c.py": text("'c1'", "'b1'"),
            "d.py": text("'d1'", "'c1'"),
        },
    ),
    "dependency on a child in the middle": (
        "C09",
        {"b.py": text(depends="'c1'"), "c.py": text("'c1'", "'b1'"), "d.py": text("'d1'", "'c1'")},
    ),
    "ids alike but for case": ("C11", {"b.py": text("'A1'")}),
    "ids alike up to 32": (
        "C11",
        {"b.py": text(f"'{'b' * 33}'"), "c.py": text(f"'{'b' * 32}c'", f"'{'b' * 33}'")},
    ),
    "dates": (
        "C17",
        {
            "b.py": '"""x\n\nCreate Date: 2024-01-02 00:00:00\n"""\n' + text(),
            "c.py": '"""x\n\nCreate Date: 2024-01-01 00:00:00\n"""\n' + text("'c1'", "'b1'"),
        },
    ),
    "merge with an ancestor": ("C18", {"b.py": text(), "c.py": text("'c1'", "('a1', 'b1')")}),
    "id of a symbol": ("C19", {"b.py": text("'heads'")}),
    "id with a space": ("C19", {"b.py": text("'b 1'")}),
    "id too long": ("C19", {"b.py": text(f"'{'b' * 33}'")}),
    "label of a symbol": ("C19", {"b.py": text(labels="'base'")}),
    "parent twice": ("C18", {"b.py": text(down="('a1', 'a1')")}),
    "bases": ("C05", {"b.py": text(down="None"), "c.py": text("'c1'", "('a1', 'b1')")}),
    "a header": ("C12", {"b.py": '"""x\n\nRevises: z1\n"""\n' + text()}),
}
FINE: dict[str, dict[str, str | bytes]] = {
    "empty": {"a.py": BASE},
    "list": {"b.py": text(down="['a1']")},
    "set": {"b.py": text(down="{'a1'}")},
    "empty tuple": {"a.py": text("'a1'", "()")},
    "tuple of none": {"a.py": text("'a1'", "(None,)")},
    "empty dependency": {"b.py": text(depends="''")},
    "empty label": {"b.py": text(labels="''")},
    "dependency on an ancestor": {"b.py": text(), "c.py": text("'c1'", "'b1'", depends="'a1'")},
    "dependency by label": {
        "a.py": text("'a1'", "None", "'x'"),
        "b.py": text(),
        "c.py": text("'c1'", "'b1'", depends="'x'"),
    },
    "hidden names": {".#b.py": "raise", "__init__.py": "raise", "x.txt": "raise"},
    "id from the name": {"2b.py": "down_revision = 'a1'\ndef upgrade(): pass\n"},
}


def project(folder: Path, files: dict[str, str | bytes]) -> Path:
    versions = folder / "m" / "versions"
    versions.mkdir(parents=True)
    for name, content in {"a.py": BASE, **files}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (versions / name).write_bytes(data)
    return versions


def alembic_says(versions: Path) -> str | None:
    """All it says on loading, listing and upgrading to head; None when that works in silence."""
    config = Config()
    config.set_main_option("script_location", str(versions.parent))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            script = ScriptDirectory.from_config(config)
            for revision in script.walk_revisions("base", "heads"):
                revision.cmd_format(verbose=False, include_branches=True)
            script._upgrade_revs("head", ())  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001
            warnings.warn(f"{type(error).__name__}: {error}", stacklevel=2)
    return "\n".join(str(one.message) for one in said) or None


def report_of(versions: Path) -> ChainReport:
    return verify(read_files([versions]), [versions])


@pytest.mark.parametrize(("rule", "files"), FAULTS.values(), ids=list(FAULTS))
def test_alembic_fails_and_says_so(
    rule: str, files: dict[str, str | bytes], tmp_path: Path
) -> None:
    versions = project(tmp_path, files)
    said = alembic_says(versions)
    assert said is not None
    findings = [one for one in report_of(versions).findings if one.rule == rule]
    assert findings
    quoted = findings[0].alembic
    assert quoted is not None
    assert agree(quoted, said), (quoted, said)


def agree(quoted: str, said: str) -> bool:
    """The quotation, up to where it was cut or generalised, is in what was said."""
    quoted = re.sub(r"^[A-Z]\w*(Error|Warning): ", "", quoted)
    parts = [part.strip() for part in re.split(r"…|\(…\)|, when the heads", quoted)[:2]]
    said = re.sub(r"module '\w+'", "module", said)
    return all(part in said or part.startswith("are listed") for part in parts)


@pytest.mark.parametrize(("rule", "files"), SILENT.values(), ids=list(SILENT))
def test_alembic_says_nothing_and_neither_do_we_claim_it(
    rule: str, files: dict[str, str | bytes], tmp_path: Path
) -> None:
    versions = project(tmp_path, files)
    assert alembic_says(versions) is None
    findings = [one for one in report_of(versions).findings if one.rule == rule]
    assert findings
    assert findings[0].alembic is not None
    assert findings[0].alembic.startswith("nothing")


@pytest.mark.parametrize("files", FINE.values(), ids=list(FINE))
def test_what_works_has_no_finding(files: dict[str, str | bytes], tmp_path: Path) -> None:
    versions = project(tmp_path, files)
    assert alembic_says(versions) is None
    assert report_of(versions).findings == ()


def test_invalid_bytes_in_a_comment_are_as_bad_as_this_python_finds_them(tmp_path: Path) -> None:
    versions = project(tmp_path, {"b.py": Link("b1", ("a1",)).text.encode() + b"# \xe9\n"})
    (finding,) = report_of(versions).findings
    assert finding.rule == "C07"
    assert (finding.severity == "error") == (alembic_says(versions) is not None)
