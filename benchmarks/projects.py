"""`python -m benchmarks.projects [--write]`: chains of projects from PyPI, upgraded by orchctl.

Each runs from where its chain starts, and again from half-way with rows in. The numbers in
docs/projects.md are what `orchctl upgrade --json` said; the reasons stand beside the projects in
tests/support/public_chains.py, and the tests hold them against the runs.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.commits import counted_commits
from tests.support.project_environments import REQUIREMENTS, installed
from tests.support.public_chains import PROJECTS
from tests.support.public_projects import PublicProject, check_out, commits_inside

PAGE = Path(__file__).resolve().parents[1] / "docs" / "projects.md"
COLUMNS = (
    "project",
    "version",
    "from",
    "revisions",
    "commits deferred",
    "from half-way: commits made",
    "commits deferred",
    "put back",
)
HEAD = """\
# Public projects

Chains of projects from PyPI that orchctl upgrades to the schema and the rows plain Alembic gives.
Written by `python -m benchmarks.projects --write`; `tests/integration/test_public_projects.py`
holds the same runs against plain Alembic, and fails the last revision of each: then every byte of
the file is as it was. Nothing needed `--unsafe`.

*From* is where a chain starts: most from an empty file, the others from what the named version of
the project creates without Alembic. *Commits deferred* are those of revisions or env.py, beyond the
one that Alembic makes after each revision; all waited for orchctl's one commit. *Put back* is what
table rebuilds drop or weaken in silence (Prefect's lose DESC and COLLATE NOCASE): the one
difference to the schema that plain Alembic leaves.

Prefect's env.py names the folder of its revisions itself, which orchctl reads before: its ini file
has to say `version_locations`. It hands its work to an event loop, which has to be there: the
env.py in front of it in `tests/support/public_chains.py` makes one. Dagster's wants a connection
and the instance that is being upgraded; that file has its env.py too.
"""
_DECLARED = (
    "Rows that stand nowhere else afterwards: undeclared, they stop the run before its commit."
)


@dataclass(frozen=True)
class Seen:
    """What the two runs of one project showed."""

    project: PublicProject
    whole: dict[str, Any]
    half: dict[str, Any]
    commits: int

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        return (
            self.project.name,
            version(self.project),
            self.project.start.removesuffix(".sql") if self.project.start else "empty",
            str(len(self.whole["revisions"])),
            str(commits_inside(self.whole)),
            str(self.commits),
            str(commits_inside(self.half)),
            ", ".join(self.whole["put_back"] + self.half["put_back"]) or "-",
        )


def main() -> None:
    seen = []
    for project in PROJECTS:
        with tempfile.TemporaryDirectory() as folder:
            seen.append(look(project, Path(folder)))
        print(" | ".join(seen[-1].row), flush=True)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(seen), encoding="utf-8")


def look(project: PublicProject, folder: Path) -> Seen:
    """Upgrade a project twice."""
    environment = installed(project.environment)
    whole = check_out(project, environment, folder / "whole").upgraded(lost=project.lost)
    checkout = check_out(project, environment, folder / "half")
    checkout.bring_half_way()
    with counted_commits(checkout.database) as commits:
        half = checkout.upgraded(lost=project.lost_later)
        return Seen(project, whole, half, commits())


def version(project: PublicProject) -> str:
    """The version that its environment asks for."""
    asked = (one.partition(";")[0] for one in REQUIREMENTS[project.environment])
    return next(one.partition("==")[2] for one in asked if one.startswith(f"{project.package}=="))


def page(seen: list[Seen]) -> str:
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    table += [f"| {' | '.join(one.row)} |" for one in seen]
    commits = [
        f"- {one.project.name}: {reason}."
        for one in seen
        for reason in dict.fromkeys((one.project.commits, one.project.commits_later))
        if reason
    ]
    lost = [
        f"- {one.project.name}: `--allow-loss {place}`: {reason}."
        for one in seen
        for place, reason in (one.project.lost | one.project.lost_later).items()
    ]
    parts = [*table, "", "## Why commits are deferred", "", *commits]
    parts += ["", "## What has to be declared", "", _DECLARED, ""]
    return "\n".join([HEAD, *parts, *lost]) + "\n"


if __name__ == "__main__":
    main()
