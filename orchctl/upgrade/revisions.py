"""The revisions of a project's chain as people and scripts look at them.

Two sources with the same answers: the files alone, read without running them, wherever they can be
understood that way; otherwise Alembic's ScriptDirectory, which imports every revision.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.errors import UsageError
from orchctl.upgrade.at_head import static_chain

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

    from orchctl.chain.graph import Graph
    from orchctl.config import Settings

_CREATED = re.compile(r"^[ \t]*Create Date[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision and its place in the chain.

    Attributes:
        revision: Its id.
        down_revisions: The ids of its parents; empty for a base.
        followers: The ids of its children, sorted.
        branch_labels: The labels of the branches that it is on, sorted.
        depends_on: What it depends on besides its parents, as the file says it.
        docstring: The file's docstring, stripped.
        path: The file, links resolved.
        is_effective_head: Whether the version table holds it after `upgrade heads`: nothing
            follows it and nothing depends on it.
    """

    revision: str
    down_revisions: Ids
    followers: Ids
    branch_labels: Ids
    depends_on: Ids
    docstring: str
    path: Path
    is_effective_head: bool

    @property
    def message(self) -> str:
        """The docstring up to its first empty line, as Alembic shows it."""
        return self.docstring.split("\n\n")[0]

    @property
    def create_date(self) -> str | None:
        """The docstring's `Create Date`, as written; None where there is none."""
        match = _CREATED.search(self.docstring)
        return match[1] if match else None

    @property
    def is_head(self) -> bool:
        """Whether no revision has it as a parent."""
        return not self.followers

    @property
    def is_base(self) -> bool:
        """Whether it has no parent."""
        return not self.down_revisions

    @property
    def is_branch_point(self) -> bool:
        """Whether several revisions have it as a parent."""
        return len(self.followers) > 1

    @property
    def is_merge(self) -> bool:
        """Whether it has several parents."""
        return len(self.down_revisions) > 1


class StaticRevisions:
    """The chain as its files state it.

    Args:
        graph: A sound graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._effective = frozenset(graph.effective_heads)

    def get(self, ids: Iterable[str]) -> tuple[Revision, ...]:
        """The revisions with these ids."""
        return tuple(self._revision(id_) for id_ in ids)

    def heads(self, *, effective: bool = False) -> Ids:
        """The ids that nothing follows; `effective`: that nothing depends on either."""
        return self._graph.effective_heads if effective else self._graph.heads

    def locate(self, target: str) -> Ids | None:
        """The ids that a target names; None when only Alembic can tell."""
        return self._graph.locate(target)

    def walk(self, lower: Ids | str, upper: Ids | str) -> Ids | None:
        """The ids of a range, newest first; None when only Alembic can tell."""
        bottom, top = _single(lower), _single(upper)
        # Alembic takes BRANCH@… at the lower end for a choice of branches at the upper one too.
        if bottom is None or top is None or "@" in bottom:
            return None
        return self._graph.walk(top, bottom)

    def resolve(self, stamp: str) -> str | None:
        """The id that a row of the version table means; None when it is none of this chain."""
        if stamp in self._graph.revisions:
            return stamp
        found = self._graph.locate(stamp) or ()
        return found[0] if len(found) == 1 else None

    def reached(self, ids: Iterable[str]) -> Ids:
        """What Alembic calls current: of each branch the newest revision that is applied.

        Args:
            ids: The revisions in the version table.
        """
        applied = self._graph.ancestors(ids)
        return tuple(
            sorted(id_ for id_ in applied if applied.isdisjoint(self._graph.children(id_)))
        )

    def _revision(self, id_: str) -> Revision:
        file = self._graph.revisions[id_]
        return Revision(
            revision=id_,
            down_revisions=file.down_revisions,
            followers=tuple(sorted(self._graph.children(id_))),
            branch_labels=self._graph.branch_names[id_],
            depends_on=file.depends_on,
            docstring=file.docstring,
            path=file.path,
            is_effective_head=id_ in self._effective,
        )


class LoadedRevisions:
    """The chain as Alembic loads it; the same questions, and an answer to every one.

    Args:
        script: Alembic's view of the chain.
    """

    def __init__(self, script: ScriptDirectory) -> None:
        self._script = script
        self._effective = frozenset(self.heads(effective=True))

    def get(self, ids: Iterable[str]) -> tuple[Revision, ...]:
        """The revisions with these ids."""
        return tuple(self._revision(self._script.get_revision(id_)) for id_ in ids)

    def heads(self, *, effective: bool = False) -> Ids:
        """The ids that nothing follows; `effective`: that nothing depends on either."""
        if not effective:
            return tuple(self._script.get_heads())
        return tuple(head.revision for head in self._script.get_revisions("heads"))

    def locate(self, target: str) -> Ids:
        """The ids that a target names.

        Raises:
            UsageError: No such revision, or several where one is meant.
        """
        with _said_plainly(target):
            found = self._script.get_revisions(target)
            # Walking past the base leaves a None or the word "base" among them.
            return tuple(each.revision for each in found if hasattr(each, "revision"))

    def walk(self, lower: Ids | str, upper: Ids | str) -> Ids:
        """The ids of a range, newest first.

        Raises:
            UsageError: No such revision, or the ends are not on one line.
        """
        ends: Any = (_single(lower) or lower, _single(upper) or upper)
        with _said_plainly(f"{_shown(lower)}:{_shown(upper)}"):
            return tuple(each.revision for each in self._script.walk_revisions(*ends))

    def resolve(self, stamp: str) -> str | None:
        """The id that a row of the version table means; None when it is none of this chain."""
        from alembic.util import CommandError

        try:
            return self._script.get_revision(stamp).revision
        except CommandError:
            return None

    def reached(self, ids: Iterable[str]) -> Ids:
        """See `StaticRevisions.reached`."""
        return tuple(sorted(each.revision for each in self._script.get_all_current(tuple(ids))))

    def _revision(self, script: Any) -> Revision:
        return Revision(
            revision=script.revision,
            down_revisions=ids_of(script.down_revision),
            followers=tuple(sorted(script.nextrev)),
            branch_labels=tuple(sorted(script.branch_labels)),
            depends_on=ids_of(script.dependencies),
            docstring=script.longdoc,
            path=Path(script.path),
            is_effective_head=script.revision in self._effective,
        )


def static_revisions(settings: Settings) -> StaticRevisions | None:
    """The chain without running any of it; None where the files alone don't prove it."""
    graph = static_chain(settings)
    return None if graph is None else StaticRevisions(graph)


def loaded_revisions(settings: Settings) -> LoadedRevisions:
    """The chain through Alembic.

    Raises:
        ConfigurationError: No project.
        Refused: The chain cannot be loaded.
    """
    from orchctl.upgrade.environment import open_script

    return LoadedRevisions(open_script(settings)[1])


def open_revisions(settings: Settings) -> StaticRevisions | LoadedRevisions:
    """The chain, by the cheapest way that answers; raises as `loaded_revisions`."""
    settings.require_project()
    return static_revisions(settings) or loaded_revisions(settings)


@contextlib.contextmanager
def _said_plainly(target: str) -> Iterator[None]:
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        raise revision_error(error, target) from error
    except AssertionError as error:  # what Alembic makes of "" and of walking past the base
        missing = AssertionError(f"Can't locate revision identified by {target!r}")
        raise revision_error(missing, target) from error


def revision_error(error: Exception, target: str) -> UsageError:
    """The error for a revision or a range that Alembic cannot make out.

    Args:
        error: What Alembic raised.
        target: What was asked for.
    """
    from orchctl.upgrade.environment import one_line

    code, hint = _ADVICE.get(
        type(error.__cause__).__name__,
        ("unknown-revision", f"orchctl history lists the revisions; {target!r} names none of them"),
    )
    # Alembic's command line only says "can't locate" of an id that several others begin with.
    ambiguous = error.__cause__ if str(error.__cause__).startswith("Multiple revisions") else None
    return UsageError(one_line(ambiguous or error).rstrip("."), code=code, hint=hint)


# By the exception of alembic.script.revision that is behind a CommandError.
_ADVICE = {
    "MultipleHeads": (
        "multiple-heads",
        "orchctl heads lists them; BRANCH@head means one, heads means all",
    ),
    "RangeNotAncestorError": (
        "bad-range",
        "The older end comes first, and the newer one must descend from it: START:END",
    ),
}


def _single(end: Ids | str) -> str | None:
    """An end of a range as one name, where it is one."""
    if isinstance(end, str):
        return end
    return end[0] if len(end) == 1 else None


def _shown(end: Ids | str) -> str:
    return end if isinstance(end, str) else ",".join(end)


def ids_of(value: Any) -> Ids:
    """One id, several or none, the way Alembic keeps them."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
