"""The rules: sound chains pass, each fault is found, and one slip is one finding."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchctl.chain.findings import ChainReport, Finding, report_data
from orchctl.chain.parse import parse
from orchctl.chain.read import read_files
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.rules import RULES, verify
from tests.support.chains import Link, sound_chains

EXAMPLES = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def files_of(links: list[Link]) -> list[RevisionFile]:
    """The files of a chain as reading them gives them, without a disk."""
    return [parse(link.file.path, link.text.encode()) for link in links]


def check(links: list[Link]) -> ChainReport:
    return verify(files_of(links))


def rules_of(report: ChainReport, severity: str | None = None) -> list[str]:
    return [one.rule for one in report.findings if severity in (None, one.severity)]


def only(report: ChainReport) -> Finding:
    (finding,) = report.findings
    return finding


# -- sound chains ----------------------------------------------------------------------------


@EXAMPLES
@given(sound_chains())
def test_what_alembic_upgrades_has_no_error(links: list[Link]) -> None:
    report = check(links)
    assert set(rules_of(report)) <= {"C04", "C05"}
    heads = report.heads
    # `upgrade head` fails with several heads: the one thing that is an error here.
    assert report.ok or (len(heads) > 1 and rules_of(report, "error") == ["C04"])
    assert sorted(report.revisions) == sorted(link.id for link in links)


def test_a_plain_chain_has_no_finding() -> None:
    report = check([Link("001"), Link("002", ("001",)), Link("003", ("002",))])
    assert (report.ok, report.findings) == (True, ())
    assert report.revisions == ("001", "002", "003")
    assert (report.heads, report.bases) == (("003",), ("001",))


# -- broken in one way, found ----------------------------------------------------------------


def lines(least: int = 3) -> st.SearchStrategy[list[Link]]:
    """Chains with one head and one base, of four-digit ids."""
    count = st.integers(least, 9)
    return count.map(
        lambda n: [Link(f"{i:04}", (f"{i - 1:04}",) if i else ()) for i in range(n)]
    ).flatmap(st.permutations)


def pick(data: st.DataObject, links: list[Link], *, child: bool = True) -> int:
    places = [index for index, link in enumerate(links) if link.parents or not child]
    return data.draw(st.sampled_from(places))


@EXAMPLES
@given(st.data(), lines())
def test_c01_one_parent_by_its_file_name(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links)
    right = links[index].parents[0]
    wrong = right + data.draw(st.sampled_from(["_step", "_step.py"]))
    links[index] = replace(links[index], parents=(wrong,))
    report = check(links)
    finding = only(report)
    assert (finding.rule, finding.severity, finding.suggestion) == ("C01", "error", right)
    assert (finding.revision, finding.path) == (links[index].id, links[index].file.path)
    assert finding.replacement is not None
    assert report.heads == (max(link.id for link in links),)
    assert report.revisions == tuple(sorted(link.id for link in links))


@EXAMPLES
@given(st.data(), lines())
def test_c02_one_id_twice(data: st.DataObject, links: list[Link]) -> None:
    first, second = data.draw(
        st.lists(st.integers(0, len(links) - 1), min_size=2, max_size=2, unique=True)
    )
    links[second] = replace(links[second], id=links[first].id)
    report = verify(
        [replace(file, path=Path(f"/v/{n}.py")) for n, file in enumerate(files_of(links))]
    )
    assert not report.ok
    assert rules_of(report).count("C02") == 1


@EXAMPLES
@given(st.data(), lines())
def test_c03_a_loop(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links, child=False)
    later = data.draw(st.sampled_from([one.id for one in links if one.id >= links[index].id]))
    links[index] = replace(links[index], parents=(later,))
    report = check(links)
    assert rules_of(report, "error") == ["C03"]
    finding = next(one for one in report.findings if one.rule == "C03")
    assert finding.line is not None
    loop = [link.id for link in links if links[index].id <= link.id <= later]
    assert all(id_ in finding.message for id_ in loop)


@EXAMPLES
@given(st.data(), lines())
def test_c04_a_second_head(data: st.DataObject, links: list[Link]) -> None:
    top = max(link.id for link in links)
    parent = data.draw(st.sampled_from([link.id for link in links if link.id != top]))
    report = check([*links, Link("9999", (parent,))])
    finding = only(report)
    assert (finding.rule, finding.severity) == ("C04", "error")
    assert top in finding.message
    assert "9999" in finding.message
    assert finding.suggestion
    assert "merge" in finding.suggestion


@EXAMPLES
@given(st.data(), lines())
def test_c05_a_second_base(data: st.DataObject, links: list[Link]) -> None:
    top = max(link.id for link in links)
    report = check([*links, Link("8888"), Link("9999", (top, "8888"))])
    finding = only(report)
    assert (finding.rule, finding.severity, finding.revision) == ("C05", "warning", "8888")
    assert report.ok


@EXAMPLES
@given(st.data(), lines())
def test_c06_a_revision_in_the_middle_deleted(data: st.DataObject, links: list[Link]) -> None:
    top = max(link.id for link in links)
    gone = data.draw(st.sampled_from([link for link in links if link.id != top]))
    report = check([link for link in links if link is not gone])
    finding = only(report)
    assert (finding.rule, finding.severity) == ("C06", "error")
    assert gone.id in finding.message
    assert finding.suggestion


@EXAMPLES
@given(st.data(), lines())
def test_c07_one_file_with_a_syntax_error(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links, child=False)
    files = files_of(links)
    files[index] = parse(files[index].path, links[index].text.encode() + b"\ndef f(:\n")
    report = verify(files)
    finding = only(report)
    last = links[index].text.count("\n") + 2
    assert (finding.rule, finding.severity, finding.line) == ("C07", "error", last)
    assert sorted(report.revisions) == sorted(link.id for link in links)


@EXAMPLES
@given(st.data(), lines())
def test_c08_one_file_without_its_id(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links, child=False)
    files = files_of(links)
    text = links[index].text.replace("revision = '", "version = '", 1)
    files[index] = parse(files[index].path, text.encode())
    report = verify(files)
    assert rules_of(report, "error") == ["C08"]
    # What may only be missed because of that file is no error of its own.
    assert set(rules_of(report, "warning")) <= {"C06"}


@EXAMPLES
@given(st.data(), lines())
def test_c09_a_dependency_that_is_nothing_or_later(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links, child=False)
    later = [link.id for link in links if link.id >= links[index].id]
    name = data.draw(st.sampled_from(["nothing", *later]))
    links[index] = replace(links[index], depends_on=(name,))
    finding = only(check(links))
    assert (finding.rule, finding.severity) == ("C09", "error")
    assert (finding.line, finding.column) == (13, 14)


@EXAMPLES
@given(st.data(), lines())
def test_c12_a_header_that_says_something_else(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links)
    files = files_of(links)
    text = links[index].text
    name = data.draw(st.sampled_from(["Revises", "Revision ID"]))
    changed = [f"{name}: 7777" if one.startswith(name) else one for one in text.split("\n")]
    files[index] = parse(files[index].path, "\n".join(changed).encode())
    report = verify(files)
    finding = only(report)
    assert (finding.rule, finding.severity) == ("C12", "note")
    assert finding.line == (4 if name == "Revises" else 3)
    assert report.ok


@EXAMPLES
@given(st.data(), lines())
def test_c10_a_label_twice(data: st.DataObject, links: list[Link]) -> None:
    first, second = data.draw(
        st.lists(st.integers(0, len(links) - 1), min_size=2, max_size=2, unique=True)
    )
    label = data.draw(st.sampled_from(["branch", links[first].id]))
    links[first] = replace(links[first], labels=("branch",))
    links[second] = replace(links[second], labels=(label,))
    finding = only(check(links))
    assert (finding.rule, finding.severity) == ("C10", "error")
    assert label in finding.message


def renamed(links: list[Link], old: str, new: str) -> list[Link]:
    return [
        replace(
            link,
            id=new if link.id == old else link.id,
            parents=tuple(new if parent == old else parent for parent in link.parents),
        )
        for link in links
    ]


@EXAMPLES
@given(st.data(), lines(), st.sampled_from("@-+:"))
def test_c11_a_forbidden_character(data: st.DataObject, links: list[Link], sign: str) -> None:
    old = links[pick(data, links, child=False)].id
    place = data.draw(st.integers(1, len(old)))
    finding = only(check(renamed(links, old, old[:place] + sign + old[place:])))
    assert (finding.rule, finding.severity) == ("C11", "error")
    assert repr(sign) in finding.message


@EXAMPLES
@given(st.data(), lines())
def test_c11_two_ids_that_nearly_are_one(data: st.DataObject, links: list[Link]) -> None:
    first, second = data.draw(
        st.lists(st.sampled_from([one.id for one in links]), min_size=2, max_size=2, unique=True)
    )
    links = renamed(renamed(links, first, "abcdef"), second, "abcDEF")
    finding = only(check(links))
    assert (finding.rule, finding.severity) == ("C11", "warning")


def test_c14_no_file_at_all(tmp_path: Path) -> None:
    finding = only(verify([], [tmp_path]))
    assert (finding.rule, finding.severity) == ("C14", "warning")


@EXAMPLES
@given(st.data(), lines(), st.integers(1, 4000))
def test_c17_a_date_before_the_parents(data: st.DataObject, links: list[Link], days: int) -> None:
    top = max(link.id for link in links)
    index = next(place for place, link in enumerate(links) if link.id == top)
    files = files_of(links)
    date = datetime(2024, 1, 2, 3, 4, 5) - timedelta(days=days)
    text = re.sub("Create Date: .*", f"Create Date: {date.isoformat(' ')}", links[index].text)
    files[index] = parse(files[index].path, text.encode())
    finding = only(verify(files))
    assert (finding.rule, finding.severity, finding.revision) == ("C17", "note", top)
    assert finding.line == 5


@EXAMPLES
@given(st.data(), lines())
def test_c18_a_merge_with_an_ancestor(data: st.DataObject, links: list[Link]) -> None:
    index = pick(data, links)
    (parent,) = links[index].parents
    older = data.draw(st.sampled_from([one.id for one in links if one.id <= parent]))
    pair = data.draw(st.permutations([parent, older]))
    links[index] = replace(links[index], parents=tuple(pair))
    finding = only(check(links))
    assert (finding.rule, finding.severity, finding.revision) == (
        "C18",
        "warning",
        links[index].id,
    )
    assert repr(older) in finding.message
    assert finding.suggestion == f"down_revision = {parent!r}"


@EXAMPLES
@given(st.data(), lines(), st.sampled_from(["head", "heads", "base", "a b", "x" * 33]))
def test_c19_an_id_that_is_no_name(data: st.DataObject, links: list[Link], new: str) -> None:
    old = links[pick(data, links, child=False)].id
    found = {one.rule for one in check(renamed(links, old, new)).findings}
    # The docstring's list of ids is read by words, where "base" is no parent.
    assert found - ({"C12"} if new in ("a b", "base") else set()) == {"C19"}


def test_c04_labels_that_are_computed_are_labels() -> None:
    text = "branch_labels = names.LEFT\n"
    files = [
        parse(Path("/v/a.py"), b"revision = 'a'\ndown_revision = None\n"),
        parse(Path("/v/b.py"), f"revision = 'b'\ndown_revision = 'a'\n{text}".encode()),
        parse(Path("/v/c.py"), f"revision = 'c'\ndown_revision = 'a'\n{text}".encode()),
    ]
    assert sorted(rules_of(verify(files), "warning")) == ["C04", "C08", "C08"]
    assert verify(files).ok
    assert not verify([*files, parse(Path("/v/d.py"), b"revision='d'\ndown_revision='a'\n")]).ok


def test_c04_a_merge_whose_parents_are_computed_may_join_any_number() -> None:
    names = ("a", "b", "c")
    files = [
        parse(Path(f"/v/{one}.py"), f"revision='{one}'\ndown_revision=None".encode())
        for one in names
    ]
    merge = b"revision = 'd'\ndown_revision = []\ndown_revision.extend(PARENTS)\n"
    report = verify([*files, parse(Path("/v/d.py"), merge)])
    assert "unless d.py joins them" in next(x.message for x in report.findings if x.rule == "C04")
    assert report.ok


def test_c08_where_any_name_may_be_bound_the_files_name_is_no_id() -> None:
    for text in (b"from elsewhere import *\n", b"exec(IDS)\n"):
        (finding,) = verify([parse(Path("/v/a1.py"), text)]).findings
        assert (finding.rule, finding.severity) == ("C08", "warning")


# -- particular cases ------------------------------------------------------------------------


def test_c01_the_field_case(tmp_path: Path) -> None:
    (tmp_path / "001_initial_schema.py").write_text("revision = '001'\ndown_revision = None\n")
    (tmp_path / "002_add_fields.py").write_text(
        "revision = '002'\ndown_revision = '001_initial_schema'\n"
    )
    report = verify(read_files([tmp_path]), [tmp_path])
    finding = only(report)
    assert (finding.rule, finding.line, finding.column) == ("C01", 2, 17)
    assert finding.suggestion == "001"
    assert report_data(report, tmp_path) == {
        "ok": False,
        "revisions": ["001", "002"],
        "heads": ["002"],
        "bases": ["001"],
        "findings": [
            {
                "rule": "C01",
                "severity": "error",
                "path": "002_add_fields.py",
                "line": 2,
                "column": 17,
                "revision": "002",
                "message": "down_revision names the file '001_initial_schema'; "
                "the revision in it is '001'",
                "suggestion": "001",
                "alembic": "KeyError: '001_initial_schema'",
            }
        ],
    }


def test_c01_not_when_two_files_have_the_name() -> None:
    files = [
        replace(Link("a").file, path=Path("/v/one/x.py")),
        replace(Link("b", ("a",)).file, path=Path("/v/two/x.py")),
        Link("c", ("x",)).file,
    ]
    assert "C06" in rules_of(verify(files))
    assert "C01" not in rules_of(verify(files))


def test_c01_not_when_it_is_an_id_too() -> None:
    files = [Link("a").file, replace(Link("a_step", ("a",)).file, path=Path("/v/z.py"))]
    assert verify([*files, Link("c", ("a_step",)).file]).findings == ()


def test_c01_its_own_file_name_is_no_parent() -> None:
    finding = only(verify([Link("a").file, Link("b", ("b_step",)).file]))
    assert finding.rule == "C06"


def test_c01_several_and_merges() -> None:
    report = check(
        [Link("a1"), Link("b1", ("a1_step",)), Link("c1", ("a1",)), Link("d1", ("b1_step", "c1"))]
    )
    assert [(one.rule, one.revision, one.suggestion) for one in report.findings] == [
        ("C01", "b1", "a1"),
        ("C01", "d1", "b1"),
    ]


@pytest.mark.parametrize(
    ("wrong", "ids", "right"),
    [
        ("AE1027", ["ae1027", "bf3300"], "ae1027"),
        ("2", ["001", "002"], "002"),
        ("ae1027a6ac", ["ae1027a6acf", "1975ea83b712"], "ae1027a6acf"),
        ("ae1027a6acf_add_user", ["ae1027a6acf", "1975ea83b712"], "ae1027a6acf"),
        ("ae1027a6afc", ["ae1027a6acf", "1975ea83b712"], "ae1027a6acf"),
    ],
)
def test_c06_suggests_what_was_meant(wrong: str, ids: list[str], right: str) -> None:
    links = [Link(id_, (ids[n - 1],) if n else ()) for n, id_ in enumerate(ids)]
    finding = next(
        one for one in check([*links, Link("ffff", (wrong,))]).findings if one.rule == "C06"
    )
    assert finding.suggestion == right


def test_c06_the_docstring_knows_better() -> None:
    child = Link("c1", ("gone",))
    text = child.text.replace("Revises: gone", "Revises: b1")
    files = [*files_of([Link("a1"), Link("b1", ("a1",))]), parse(child.file.path, text.encode())]
    finding = next(one for one in verify(files).findings if one.rule == "C06")
    assert finding.suggestion == "b1"


def test_c06_a_deleted_number_is_no_misspelling_of_its_neighbour() -> None:
    finding = only(check([Link("001"), Link("003", ("002",))]))
    assert finding.suggestion
    assert finding.suggestion.startswith("Bring the file of 002 back")


def test_c06_never_suggests_a_descendant() -> None:
    links = [Link("aaaa1", ("aaaa9",)), Link("aaaa2", ("aaaa1",))]
    finding = next(one for one in check(links).findings if one.rule == "C06")
    assert finding.suggestion
    assert finding.suggestion.startswith("Bring the file")


def test_c06_a_label_is_no_parent() -> None:
    finding = only(check([Link("a1", labels=("main",)), Link("b1", ("main",))]))
    assert (finding.rule, finding.suggestion) == ("C06", "a1")


def test_c06_is_no_error_while_the_parent_may_be_in_a_file_that_computes_its_id() -> None:
    computed = parse(Path("/v/x.py"), b"revision = f()\ndown_revision = 'a1'\n")
    report = verify([*files_of([Link("a1"), Link("c1", ("b1",))]), computed])
    assert report.ok
    assert sorted(rules_of(report)) == ["C06", "C08"]
    # Two missing ids, one such file: one of them is missing for sure.
    report = verify([*files_of([Link("a1"), Link("c1", ("b1", "b2"))]), computed])
    assert not report.ok


def test_c04_is_a_warning_when_every_head_has_a_name() -> None:
    links = [
        Link("a1"),
        Link("b1", ("a1",), labels=("left",)),
        Link("c1", ("a1",), labels=("right",)),
    ]
    finding = only(check(links))
    assert (finding.rule, finding.severity) == ("C04", "warning")
    assert finding.suggestion == "upgrade heads, or one of left@head, right@head"
    assert rules_of(check([*links, Link("d1", ("c1",)), Link("e1", ("c1",))]), "error") == ["C04"]


def test_c05_is_a_note_when_every_base_has_a_label() -> None:
    links = [Link("a1", labels=("x",)), Link("b1", labels=("y",)), Link("c1", ("a1", "b1"))]
    finding = only(check(links))
    assert (finding.rule, finding.severity) == ("C05", "note")


def test_c05_the_docstring_names_the_parent() -> None:
    links = [Link("a1"), Link("b1", ("a1",)), Link("c1"), Link("d1", ("b1", "c1"))]
    files = files_of(links)
    text = links[2].text.replace("Revises: ", "Revises: b1")
    files[2] = parse(files[2].path, text.encode())
    finding = next(one for one in verify(files).findings if one.rule == "C05")
    assert finding.suggestion == "In c1_step.py: down_revision = 'b1', as its docstring says"


def test_c03_a_long_loop_is_shortened() -> None:
    count = 12_000
    links = [Link(f"r{n}", (f"r{(n - 1) % count}",)) for n in range(count)]
    report = verify([link.file for link in links])
    finding = only(report)
    assert finding.rule == "C03"
    assert "11990 more" in finding.message
    assert len(finding.message) < 300
    assert len(finding.alembic or "") < 300


def test_c14_no_revisions_and_no_folder(tmp_path: Path) -> None:
    report = verify([], [tmp_path])
    assert (report.ok, rules_of(report)) == (True, ["C14"])
    assert "No revisions in" in only(report).message
    assert "does not exist" in only(verify([], [tmp_path / "gone"])).message
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "sqlite" / "001.py").write_text("")
    suggestion = only(verify([], [tmp_path])).suggestion
    assert suggestion
    assert suggestion.startswith("Name one of its folders (sqlite)")


def test_c18_a_parent_named_twice() -> None:
    report = check([Link("a1"), Link("b1", ("a1", "a1"))])
    assert (only(report).rule, only(report).severity) == ("C18", "warning")
    assert only(report).suggestion == "down_revision = 'a1'"


@pytest.mark.parametrize(
    ("said", "parents"),
    [
        ("", ()),
        ("None", ()),
        ("<base>", ()),
        ("a1, b1", ("b1", "a1")),
        ("('a1', 'b1')", ("a1", "b1")),
    ],
)
def test_c12_ways_to_say_the_same(said: str, parents: tuple[str, ...]) -> None:
    link = Link("c1", parents)
    lines_ = [
        f"Revises: {said}" if one.startswith("Revises") else one for one in link.text.split("\n")
    ]
    file = parse(link.file.path, "\n".join(lines_).encode())
    assert "C12" not in rules_of(verify([*files_of([Link("a1"), Link("b1", ("a1",))]), file]))


def test_one_broken_file_never_hides_the_findings_of_the_others(tmp_path: Path) -> None:
    texts = {
        "a.py": Link("a1").text,
        "b.py": Link("b1", ("a1",), depends_on=("who",)).text,
        "c.py": "def broken(:",
        "d.py": Link("a1").text,
        "e.py": "\0\0\0",
        "f.py": Link("f1", ("gone",)).text,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    report = verify(read_files([tmp_path]), [tmp_path])
    found = Counter((one.path.name if one.path else "", one.rule) for one in report.findings)
    assert {
        ("b.py", "C09"),
        ("c.py", "C07"),
        ("d.py", "C02"),
        ("e.py", "C07"),
        ("f.py", "C06"),
    } <= found.keys()


WILD = st.builds(
    Link,
    st.sampled_from("abcdef"),
    st.lists(st.sampled_from([*"abcdefg", "a_step", "x"]), max_size=3).map(tuple),
    st.lists(st.sampled_from([*"xyza"]), max_size=2).map(tuple),
    st.lists(st.sampled_from([*"abcdefgx"]), max_size=2).map(tuple),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WILD, max_size=8), st.booleans())
def test_no_chain_is_too_wild(links: list[Link], tokens: bool) -> None:
    files = files_of(links) if tokens else [link.file for link in links]
    report = verify(files)
    assert set(report.revisions) == {link.id for link in links}
    for finding in report.findings:
        assert finding.message
        assert finding.rule in {rule.id for rule in RULES}
