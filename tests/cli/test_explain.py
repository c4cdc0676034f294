"""`orchctl explain`: the pages of the rules, wherever one stands."""

from __future__ import annotations

import json
from pathlib import Path

from orchctl.chain.pages import find_page, read_pages
from tests.support.failures import refused
from tests.support.preloaded import orchctl
from tests.support.projects import Project


def test_without_a_rule_it_lists_them(project: Project, tmp_path: Path) -> None:
    project.folder = tmp_path  # where no project is
    done = orchctl(project, "explain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{page.id}  {page.title}" for page in read_pages()]
    listed = json.loads(orchctl(project, "explain", "--json").stdout)
    assert listed["rules"][0] == {"rule": "C01", "title": find_page("C01").title}


def test_it_prints_the_pages(project: Project) -> None:
    done = orchctl(project, "explain", "c01", "I02")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{find_page('C01').text}\n{find_page('I02').text}"
    (told,) = json.loads(orchctl(project, "explain", "C01", "--json").stdout)["rules"]
    assert told["text"] == find_page("C01").text


def test_an_unknown_rule(project: Project) -> None:
    refused(project, "explain", "C0l", exit_code=2, code="unknown-rule", says="C0l", hint="C0")
    refused(project, "explain", "", exit_code=2, code="unknown-rule", says="no rule", hint="lists")
    refused(project, "explain", "../x", exit_code=2, code="unknown-rule", says="no rule", hint="")
