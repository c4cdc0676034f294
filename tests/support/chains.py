"""Revision chains for tests: random sound ones, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from orchctl.chain.revision_file import RevisionFile


@dataclass(frozen=True)
class Link:
    """One revision of a chain under test."""

    id: str
    parents: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()

    @property
    def file(self) -> RevisionFile:
        return RevisionFile(
            Path(f"/versions/{self.id}_step.py"),
            self.id,
            down_revisions=self.parents,
            branch_labels=self.labels,
            depends_on=self.depends_on,
        )

    @property
    def text(self) -> str:
        return (
            f'"""Step {self.id}.\n\n'
            f"Revision ID: {self.id}\n"
            f"Revises: {', '.join(self.parents)}\n"
            f"Create Date: 2024-01-02 03:04:05.678901\n\n"
            f'"""\n'
            f"from alembic import op\n\n"
            f"revision = {self.id!r}\n"
            f"down_revision = {_written(self.parents)}\n"
            f"branch_labels = {_written(self.labels)}\n"
            f"depends_on = {_written(self.depends_on)}\n\n\n"
            f"def upgrade():\n    pass\n\n\n"
            f"def downgrade():\n    pass\n"
        )


def _written(values: tuple[str, ...]) -> str:
    if not values:
        return "None"
    return repr(values[0]) if len(values) == 1 else repr(values)


def write(folder: Path, links: Sequence[Link]) -> Path:
    """The files of a chain, `<id>_step.py` each; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for link in links:
        (folder / f"{link.id}_step.py").write_text(link.text)
    return folder


def _above(id_: str, links: dict[str, Link]) -> set[str]:
    seen: set[str] = set()
    todo = [id_]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(links[one].parents)
            todo.extend(links[one].depends_on)
    return seen


@st.composite
def sound_chains(
    draw: st.DrawFn, *, most: int = 12, labels: bool = True, dependencies: bool = True
) -> list[Link]:
    """Random chains that Alembic takes: branches, merges, several bases, labels, depends_on.

    In random file order. No parent or dependency is an ancestor of another one.
    """
    alphabet = st.text("ab01", min_size=2, max_size=6)
    ids = draw(st.lists(alphabet, min_size=1, max_size=most, unique=True))
    links: dict[str, Link] = {}
    for place, id_ in enumerate(ids):
        earlier = ids[:place]
        parents: list[str] = []
        depends: list[str] = []
        if earlier:
            recent = st.sampled_from(earlier[-4:])
            for candidate in draw(st.lists(recent, max_size=3, unique=True)) or (
                [earlier[-1]] if draw(st.integers(0, 4)) else []
            ):
                if not any(
                    candidate in _above(other, links) or other in _above(candidate, links)
                    for other in parents
                ):
                    parents.append(candidate)
            if dependencies and draw(st.integers(0, 3)) == 0:
                chosen = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True))
                depends = [
                    candidate
                    for candidate in chosen
                    if not any(candidate in _above(other, links) for other in parents)
                ]
        label = (f"l{place}abc",) if labels and draw(st.integers(0, 3)) == 0 else ()
        links[id_] = Link(id_, tuple(parents), label, tuple(depends))
    return draw(st.permutations(list(links.values())))
