"""Files that nobody writes by hand: read in time that grows with their size, never a crash."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchctl.chain.check import check
from orchctl.chain.contents import revision_paths
from orchctl.chain.examine import examine
from orchctl.chain.findings import ChainReport
from orchctl.chain.fingerprint import fingerprint
from orchctl.chain.ignores import ignores_of
from orchctl.chain.lint.lint_file import lint_file
from orchctl.chain.parse import parse
from orchctl.chain.project import ChainPlace
from orchctl.chain.read import read_file
from orchctl.chain.rules import verify
from orchctl.chain.selection import Selection
from orchctl.chain.source import decode
from orchctl.chain.titles import rule_titles
from tests.support.chains import Link
from tests.support.counted import steps

pytestmark = pytest.mark.timeout(120)
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
ALL = Selection(frozenset(rule.id for rule in rule_titles()))
HEAD = "revision = 'a1'\ndown_revision = None\n"
BODY = "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
LONG = "0x" + "f" * 10_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """As `examine` does it: what compiling warns of is not our business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(data: bytes) -> ChainReport:
    """One file through everything that looks at a file."""
    path = Path("/versions/a1.py")
    file = parse(path, data)
    text = decode(data).text
    if not any(problem.rule == "C07" for problem in file.problems):
        lint_file(path, text, file.revision)
    fingerprint(file, text)
    ignores_of(text)
    return verify([file])


# -- single files ----------------------------------------------------------------------------

ODD = {
    "parentheses": HEAD + "x = " + "(" * 3000 + ")" * 3000,
    "minus": HEAD + "x = " + "-" * 90_000 + "1",
    "not": HEAD + "if " + "not " * 50_000 + "1: pass",
    "attributes": HEAD + "x = a" + ".b" * 50_000,
    "calls": HEAD + "x = a" + "()" * 50_000,
    "a sum": "revision = 'a'" + " + 'a'" * 50_000 + "\ndown_revision = None",
    "elif": HEAD + "if a: pass\n" + "elif b: x = 1\n" * 2000,
    "a line of 1 MB": HEAD + "x = '" + "a" * 1_000_000 + "'\n" + BODY,
    "null bytes": HEAD + "\0" * 1000,
    "form feeds": HEAD + "\f" * 100_000 + BODY,
    "an integer": HEAD + f"x = {LONG}\n" + BODY,
    "an integer as id": f"revision = {LONG}\ndown_revision = {LONG}\n" + BODY,
    "an integer in an f-string": f"revision = f'{{{LONG}}}'\ndown_revision = None\n" + BODY,
    "an integer in SQL": HEAD + f"def upgrade():\n    op.execute(f'{{{LONG}}}' + str({LONG}))\n",
    "an integer compared": HEAD + f"if x == {LONG}: pass\n" + BODY,
    "surrogates": "revision = '\\ud800'\ndown_revision = '\\udfff'\n" + BODY,
    "pairs of pairs": "a = ('x',)\n" + "a = (a, a)\n" * 60 + "revision = a\ndown_revision = a\n",
    "doubled lists": "a = ('x',)\n" + "a = a + a\n" * 60 + "revision = 'r'\ndown_revision = a\n",
    "doubled stars": "a = ('x',)\n" + "a = (*a, *a)\n" * 60 + "revision = 'r'\ndown_revision = a\n",
    "doubled text": "a = 'x'\n" + "a = a + a\n" * 60 + "revision = a\ndown_revision = None\n",
    "doubled f-strings": "a = 'x'\n" + "a = f'{a}{a}'\n" * 60 + "revision = a\ndown_revision = a\n",
    "labels": HEAD + "branch_labels = (" + "'x'," * 100_000 + ")\n" + BODY,
    "labels of two bytes": HEAD + "branch_labels = (" + "'é'," * 30_000 + ")\n" + BODY,
    "parents": "revision = 'r'\ndown_revision = (" + "'x'," * 30_000 + ")\n" + BODY,
    "assignments that don't parse": "revision = 'a'\n" * 20_000 + "def f(:\n",
    "conditions": HEAD + "".join(f"x{n} = {n}\nif y: x{n} = 2\n" for n in range(800)),
    "attempts": HEAD + "".join(f"x{n} = {n}\ntry: y{n} = 2\nexcept E: pass\n" for n in range(500)),
    "copies": "a = (" + "'x'," * 5000 + ")\n" + "b = a\n" * 5000 + HEAD,
    "comments": HEAD + "# orchctl: ignore[" + "L02," * 100_000 + "] x\n" + BODY,
    "a comment of spaces": HEAD + "#" + " " * 500_000 + "orchctl\n" + BODY,
    "carriage returns": (HEAD + BODY).replace("\n", "\r"),
    "nothing": "",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_file_is_read_like_any_other(text: str) -> None:
    report = read(text.encode())
    assert all(finding.message for finding in report.findings)


@pytest.mark.parametrize("name", [name for name in ODD if name.startswith("doubled")])
def test_what_is_blown_up_counts_as_computed(name: str) -> None:
    assert "C08" in {one.rule for one in read(ODD[name].encode()).findings}


def test_a_file_of_20_mb() -> None:
    text = HEAD + "\n".join(f"# {n:>60}" for n in range(300_000)) + "\n" + BODY
    report = read(text.encode())
    assert (report.revisions, report.findings) == (("a1",), ())


@EXAMPLES
@given(st.binary(max_size=300))
@example(b"# coding: utf-7\n+AAo-")
@example(b"\xef\xbb\xbf# coding: latin-1\n")
def test_any_bytes(data: bytes) -> None:
    read(data)


@EXAMPLES
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 30))
def test_a_file_with_bytes_put_over_it(data: bytes, start: int, gone: int) -> None:
    whole = Link("a1", ("b1",), ("label",)).text.encode()
    read(whole[:start] + data + whole[start + gone :])


WORDS = st.sampled_from(
    (
        *("revision", "down_revision", "depends_on", "=", "(", ")", "[", "]", ",", "'a'", "None"),
        *("\n", "if x:", "else:", "try:", "except:", " ", "    ", "f'{a}'", "del ", "*", "+", "1"),
        *("for a in b:", "def upgrade():", "op.drop_table", "with a as b:", ":", "#", '"""', "\\"),
    )
)


@EXAMPLES
@given(st.lists(WORDS, max_size=40).map("".join))
def test_words_in_any_order(text: str) -> None:
    read(text.encode())


# -- chains ----------------------------------------------------------------------------------


def numbered(count: int, parents: Callable[[int], tuple[str, ...]]) -> list[Link]:
    return [Link(f"r{n}", parents(n)) for n in range(count)]


CHAINS: dict[str, Callable[[int], list[Link]]] = {
    "one loop": lambda n: numbered(n, lambda i: (f"r{(i - 1) % n}",)),
    "loops of two": lambda n: numbered(n, lambda i: (f"r{i ^ 1}",)),
    "loops of one": lambda n: numbered(n, lambda i: (f"r{i}",)),
    "heads": lambda n: numbered(n, lambda i: ("r0",) if i else ()),
    "labelled heads": lambda n: [Link("b"), *(Link(f"r{i}", ("b",), (f"l{i}",)) for i in range(n))],
    "bases": lambda n: numbered(n, lambda _: ()),
    "merges": lambda n: [
        Link("m0"),
        *(
            Link(f"{kind}{i}", parents)
            for i in range(1, n // 3)
            for kind, parents in (
                ("x", (f"m{i - 1}",)),
                ("y", (f"m{i - 1}",)),
                ("m", (f"x{i}", f"y{i}")),
            )
        ),
    ],
    "a merge of all": lambda n: [
        *numbered(n, lambda i: ("r0",) if i else ()),
        Link("m", tuple(f"r{i}" for i in range(1, n))),
    ],
    "merges with the base": lambda n: numbered(
        n, lambda i: ("r0", f"r{i - 1}") if i > 1 else ("r0",) if i else ()
    ),
    "bases merged one by one": lambda n: [
        *(Link(f"r{i}", (f"r{i - 1}", f"z{i}") if i else ()) for i in range(n // 2)),
        *(Link(f"z{i}") for i in range(1, n // 2)),
    ],
    "missing parents": lambda n: numbered(n, lambda i: (f"q{i}",)),
    "missing dependencies": lambda n: [Link(f"r{i}", (), (), (f"q{i}",)) for i in range(n)],
    "branches that depend on each other": lambda n: [
        *(Link(f"a{i}", (f"a{i - 1}",) if i else ()) for i in range(n // 2)),
        *(Link(f"b{i}", (f"b{i - 1}",) if i else (), (), (f"a{i}",)) for i in range(n // 2)),
    ],
    "dependencies in loops": lambda n: [Link(f"r{i}", (), (), (f"r{i ^ 1}",)) for i in range(n)],
    "one id": lambda n: [Link("a")] * n,
    "one label": lambda n: [Link(f"r{i}", (), ("x",)) for i in range(n)],
}


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
def test_twice_the_chain_is_twice_the_work(make: Callable[[int], list[Link]]) -> None:
    """Counted in lines, not in seconds. A quadratic rule takes four times as many."""
    small, large = ([link.file for link in make(count)] for count in (240, 480))
    assert steps(lambda: verify(large)) < 2.7 * steps(lambda: verify(small))


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
def test_ten_thousand(make: Callable[[int], list[Link]]) -> None:
    links = make(10_000)
    report = verify([link.file for link in links])
    assert set(report.revisions) == {link.id for link in links}


# -- what a folder can hold ------------------------------------------------------------------


def look(folder: Path, *, recursive: bool = False) -> ChainReport:
    place = ChainPlace((folder,), recursive=recursive)
    return check(place, examine(place, lint=True), ALL)


def test_links_pipes_and_names(tmp_path: Path) -> None:
    (tmp_path / "a1.py").write_text(HEAD + BODY)
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "inside").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.py")).write_text("revision = '")
    report = look(tmp_path, recursive=True)
    assert report.revisions == ("a1",)
    broken = {one.path.name for one in report.findings if one.rule == "C07" and one.path}
    assert broken == {"loop.py", "nowhere.py", "pipe.py", os.fsdecode(b"\xff\xfe.py")}


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github", "junit"])
def test_names_that_are_no_text_are_shown_in_every_format(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "versions"
    folder.mkdir()
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.py"))
    odd.write_text("revision = '\\ud800'\ndown_revision = '\\udfff\\x1b[31m\\0'\n" + BODY)
    words = [sys.executable, "-m", "orchctl", "verify-chain", "versions", "--format", form]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout


def test_files_that_vanish_while_they_are_read(tmp_path: Path) -> None:
    count = 50
    for number in range(count):
        (tmp_path / f"r{number:03}.py").write_text(HEAD.replace("a1", f"r{number:03}"))
    taken = iter(sorted(tmp_path.iterdir(), reverse=True))
    files = []
    for path in revision_paths([tmp_path]):
        next(taken).unlink()
        files.append(read_file(path)[0])
    gone = [file for file in files if file.problems and file.problems[0].rule == "C07"]
    assert len(files) == count
    assert len(gone) == count // 2


def test_real_files_with_lines_mixed_up(tmp_path: Path) -> None:
    chance = random.Random(4)
    root = Path(__file__).parents[3] / "migrations" / "versions"
    texts = [path.read_text() for path in sorted(root.glob("*.py"))]
    assert texts
    for _ in range(60):
        lines = chance.choice(texts).splitlines(keepends=True)
        for _ in range(chance.randrange(1, 6)):
            one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[one], lines[other] = lines[other], lines[one][: chance.randrange(40)]
        read("".join(lines).encode())
