"""verify-chain for other tools: SARIF, workflow commands, JUnit, and pictures of the chain."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from orchctl.chain.titles import rule_titles
from tests.support.projects import Project
from tests.support.repositories import GitRepository

SCHEMA = Path(__file__).parents[1] / "support" / "schemas" / "sarif-2.1.0.json"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "pro ject")
    made.add("001", "op.create_table('users', sa.Column('id', sa.Integer))", name="001_initial.py")
    made.add("002", name="002_more.py", down="001_initial")
    made.add("003", name="003_odd, name%.py", down="00x")
    return made


def formatted(project: Project, style: str, *words: str) -> subprocess.CompletedProcess[str]:
    return project.orchctl("verify-chain", "--select", "C", "--format", style, *words)


def sarif(project: Project, *words: str) -> dict[str, Any]:
    done = formatted(project, "sarif", *words)
    assert done.returncode == 1, done.stderr
    log: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(log, json.loads(SCHEMA.read_text()))
    return log


def test_sarif_is_valid_and_names_file_and_line(project: Project) -> None:
    (run,) = sarif(project)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["C01", "C06"]
    result = run["results"][0]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], result["level"]) == ("C01", "error")
    place = result["locations"][0]["physicalLocation"]
    path = project.folder / "migrations/versions/002_more.py"
    line = path.read_text().splitlines().index("down_revision = '001_initial'") + 1
    assert place["region"] == {"startLine": line, "startColumn": 17}
    assert place["artifactLocation"] == {
        "uri": "migrations/versions/002_more.py",
        "uriBaseId": "SRCROOT",
    }
    odd = run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert odd == "migrations/versions/003_odd%2C%20name%25.py"


def test_sarif_knows_a_finding_again_after_lines_were_added(project: Project) -> None:
    def marks() -> list[dict[str, str]]:
        return [one["partialFingerprints"] for one in sarif(project)["runs"][0]["results"]]

    before = marks()
    path = project.folder / "migrations/versions/002_more.py"
    path.write_text("# a line\n" + path.read_text())
    assert marks() == before


def test_every_finding_has_a_place_in_sarif(project: Project) -> None:
    for path in (project.folder / "migrations/versions").glob("*.py"):
        path.unlink()
    done = formatted(project, "sarif")
    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    assert result["ruleId"] == "C14"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_workflow_commands(project: Project) -> None:
    done = formatted(project, "github")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert re.fullmatch(
        r"::error file=migrations/versions/002_more.py,line=\d+,col=17,title=C01::"
        r"down_revision names the file '001_initial'; the revision in it is '001'"
        r"%0Asuggestion: 001",
        first,
    )
    assert second.startswith("::error file=migrations/versions/003_odd%2C name%25.py,line=")


def test_junit_has_a_test_for_each_rule(project: Project) -> None:
    done = formatted(project, "junit")
    suites = ET.fromstring(done.stdout)
    (suite,) = suites
    rules = [one for one in rule_titles() if one.id.startswith("C")]
    assert [case.get("name") for case in suite] == [f"{one.id} {one.title}" for one in rules]
    failed = {case.get("name", "")[:3]: case.find("failure") for case in suite}
    assert {rule for rule, failure in failed.items() if failure is not None} == {"C01", "C06"}
    assert (suite.get("tests"), suite.get("failures")) == (str(len(rules)), "2")
    failure = failed["C01"]
    assert failure is not None
    assert (failure.text or "").startswith("migrations/versions/002_more.py:")


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "sarif", "--graph", "dot"),
        ("--format", "junit", "--json"),
        ("--graph", "svg", "--json"),
    ],
)
def test_two_outputs_at_once_are_refused(project: Project, words: tuple[str, ...]) -> None:
    done = project.orchctl("verify-chain", *words)
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def drawn(project: Project, drawing: str) -> str:
    done = project.orchctl("verify-chain", "--select", "C", "--graph", drawing)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


def test_the_chain_as_text(project: Project) -> None:
    assert drawn(project, "text") == (
        "●  003 (head), step 003 [C06 error]\n"
        "●  00x, no such revision\n"
        "●  002 (head), step 002 [C01 error]\n"
        "●  001 (base), step 001\n"
    )


def test_the_chain_for_graphviz(project: Project) -> None:
    lines = drawn(project, "dot").splitlines()
    assert (lines[0], lines[-1]) == ("digraph chain {", "}")
    nodes = [match[1] for line in lines if (match := re.match(r'  "(\w+)" \[label="', line))]
    assert nodes == ["003", "00x", "002", "001"]
    edges = [match.groups() for line in lines if (match := re.match(r'  "(\w+)" -> "(\w+)"', line))]
    assert sorted(edges) == [("001", "002"), ("00x", "003")]


def test_the_chain_for_mermaid(project: Project) -> None:
    lines = drawn(project, "mermaid").splitlines()
    assert lines[0] == "flowchart BT"
    assert '  r2["002 (head)<br/>step 002<br/>C01 error: down_revision names the file' in (
        "\n".join(lines)
    )
    assert "  r3 --> r2" in lines
    assert "  r1 -.-x r0" in lines


def test_the_chain_as_a_picture_shows_every_revision_once(project: Project) -> None:
    root = ET.fromstring(drawn(project, "svg"))
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(text.split()[0] for text in texts) == ["001", "002", "003", "00x"]
    circles = [
        (one.get("cx"), one.get("cy")) for one in root.iter("{http://www.w3.org/2000/svg}circle")
    ]
    assert len(set(circles)) == 4


def test_the_page_needs_nothing_else_and_escapes(project: Project) -> None:
    path = project.folder / "migrations/versions/001_initial.py"
    path.write_text(path.read_text().replace('"""', '"""<script>alert(1)</script> ', 1))
    page = drawn(project, "html")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=", page)


def test_a_file_that_computes_its_id_is_run_when_asked(project: Project) -> None:
    path = project.folder / "migrations/versions/003_odd, name%.py"
    path.unlink()
    project.add("004", name="004_computed.py", down="002")
    path = project.folder / "migrations/versions/004_computed.py"
    path.write_text(path.read_text().replace("'004'", "''.join(['0', '04'])"))
    read = project.orchctl("verify-chain", "--select", "C08", "--json")
    assert [one["rule"] for one in json.loads(read.stdout)["findings"]] == ["C08"]
    ran = json.loads(
        project.orchctl("verify-chain", "--select", "C08", "--import", "--json").stdout
    )
    assert (ran["findings"], ran["heads"]) == ([], ["004"])
    path.write_text("import no_such_module\n" + path.read_text())
    failed = project.orchctl("verify-chain", "--select", "C08", "--import", "--json")
    (finding,) = json.loads(failed.stdout)["findings"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in finding["message"]


def test_what_running_it_tells_is_held_against_the_same_rules(tmp_path: Path) -> None:
    project = Project(tmp_path / "computing")
    (project.folder / "ids.py").write_text("NUMBER, PARENTS = 2, (None, 3)\n")
    project.add("001")
    path = project.add("002")
    text = "import ids\nrevision = ids.NUMBER\ndown_revision = ids.PARENTS\n"
    path.write_text(text)
    done = project.orchctl("verify-chain", "--select", "C", "--import", "--json")
    assert done.returncode == 1, done.stderr
    told = {(one["line"], one["message"]) for one in json.loads(done.stdout)["findings"]}
    assert (2, "revision holds 2, where Alembic takes a string that is not empty") in told
    assert (
        3,
        "down_revision holds None, where Alembic takes an id, a sequence of ids, or None",
    ) in told
    path.write_text(
        text.replace("ids.NUMBER", "f'{ids.NUMBER}'").replace("ids.P", "'001' or ids.P")
    )
    done = project.orchctl("verify-chain", "--select", "C", "--import", "--json")
    assert (json.loads(done.stdout)["findings"], done.returncode) == ([], 0)


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [("_exit(0)", 1, "The file fails when it is run: os._exit: 0"), ("fork()", 0, "no findings")],
)
def test_a_file_that_ends_or_doubles_the_process(
    tmp_path: Path, ending: str, code: int, told: str
) -> None:
    project = Project(tmp_path / "project")
    project.add("001").write_text(
        f"import os\nrevision = ''.join('001')\ndown_revision = None\nos.{ending}\n"
    )
    done = project.orchctl("verify-chain", "--select", "C", "--import")
    assert done.returncode == code, done.stderr
    assert done.stdout.count(told) == 1


def test_github_counts_paths_from_the_top_of_the_checkout(tmp_path: Path) -> None:
    repository = GitRepository.make(tmp_path / "checkout")
    project = Project(repository.folder / "ser vice")
    project.add("001", down="000")
    done = project.orchctl("verify-chain", "--format", "github", "--select", "C06")
    assert "file=ser vice/migrations/versions/001_step.py,line=12," in done.stdout
    log = json.loads(project.orchctl("verify-chain", "--format", "sarif", "--select", "C06").stdout)
    (run,) = log["runs"]
    (location,) = run["results"][0]["locations"]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "ser%20vice/migrations/versions/001_step.py"
    root = run["originalUriBaseIds"]["SRCROOT"]["uri"]
    assert root == f"{repository.folder.as_uri()}/"


def test_the_summary_page(project: Project) -> None:
    path = project.folder / "migrations/versions/001_initial.py"
    path.write_text(path.read_text().replace("step 001", "<b>|`x`", 1))
    done = formatted(project, "markdown")
    assert done.returncode == 1
    title, counts, table, picture = done.stdout.split("\n\n")
    assert title == "### The migration chain is broken"
    assert counts == "3 revisions, 2 heads (002, 003), 2 errors"
    head, rule, first, second = table.splitlines()
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert first.startswith("| error | C01 | migrations/versions/002\\_more.py:")
    assert first.endswith(" | 001 |")
    assert picture.startswith("```mermaid\nflowchart BT\n")
    assert picture.endswith("\n```\n")
    assert picture[:-5].count("```") == 1
    assert "<b>" not in done.stdout


def test_the_summary_page_of_a_long_chain_and_of_a_sound_one(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001")
    sound = formatted(project, "markdown")
    assert sound.stdout.startswith("### The migration chain is sound\n\n1 revision, 1 head (001), ")
    assert "| rule |" not in sound.stdout
    versions = project.folder / "migrations/versions"
    for number in range(600):
        parent = f"'r{number - 1}'" if number else "'nowhere'"
        text = f"revision = 'r{number}'\ndown_revision = {parent}\ndepends_on = 'gone{number}'\n"
        (versions / f"r{number}.py").write_text(text)
    long = formatted(project, "markdown").stdout
    assert "\n\nThe chain is too long to be drawn here" in long
    assert "\n… and " in long
    assert len(long) < 100_000
