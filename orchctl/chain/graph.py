"""The chain as a graph of revision ids: plain data, no files, no database.

Wherever a chain is sound, the answers are those of Alembic's ScriptDirectory (1.18 to 1.20), order
included; tests/unit/chain/test_graph_agrees.py holds that against Alembic itself. Every walk is a
loop: chains of ten thousand revisions are no deeper for Python than chains of ten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from orchctl.chain import targets
from orchctl.chain.loops import loops, loops_through, postorder
from orchctl.chain.order import newest_first
from orchctl.chain.revision_file import RevisionFile


class Graph:
    """The revisions of a chain and how they hang together.

    Args:
        files: The revision files, in the order in which Alembic loads them. Files without a known
            id are left out.
        aliases: Ids to put in place of mistaken ones that parents are named by.

    Attributes:
        revisions: Each id with its file. Of files with the same id the last one counts, as it does
            for Alembic.
        labels: Each branch label with the id that carries it.
        duplicates: The ids that several files claim, with those files.
        missing_parents: (child, parent) where no revision has the parent's id.
        missing_dependencies: (revision, dependency) where it is neither an id nor a label.
        heads: Ids that are nobody's parent, in file order.
        bases: Ids without a parent, in file order.
        effective_heads: Heads that nothing depends on either: what the version table holds after
            `upgrade heads`.
    """

    def __init__(
        self, files: Iterable[RevisionFile], *, aliases: Mapping[str, str] | None = None
    ) -> None:
        self.revisions: dict[str, RevisionFile] = {}
        self.labels: dict[str, str] = {}
        self.duplicates: dict[str, tuple[RevisionFile, ...]] = {}
        self.missing_parents: list[tuple[str, str]] = []
        self.missing_dependencies: list[tuple[str, str]] = []
        self._label_conflict = False
        self._unread = False
        self._aliases = dict(aliases or {})
        self._collect(files)
        self._parents = {id_: self._known_parents(id_) for id_ in self.revisions}
        self._dependencies = {id_: self._known_dependencies(id_) for id_ in self.revisions}
        self._children: dict[str, list[str]] = {id_: [] for id_ in self.revisions}
        self._dependents: dict[str, list[str]] = {id_: [] for id_ in self.revisions}
        self._turn_around()
        self.heads = tuple(id_ for id_ in self.revisions if not self._children[id_])
        self.bases = tuple(
            id_ for id_, file in self.revisions.items() if not self._declared_parents(file)
        )
        self.effective_heads = tuple(id_ for id_ in self.heads if not self._dependents[id_])

    @classmethod
    def of(
        cls, files: Iterable[RevisionFile], *, aliases: Mapping[str, str] | None = None
    ) -> Graph:
        """The graph of these files; see the class."""
        return cls(files, aliases=aliases)

    def _collect(self, files: Iterable[RevisionFile]) -> None:
        for file in files:
            self._unread |= bool(file.unknown) or any(
                problem.severity == "error" for problem in file.problems
            )
            if file.revision is None:
                continue
            if file.revision in self.revisions:
                known = self.duplicates.get(file.revision, (self.revisions[file.revision],))
                self.duplicates[file.revision] = (*known, file)
            self.revisions[file.revision] = file
        for id_, file in self.revisions.items():
            for label in file.branch_labels:
                self._label_conflict |= label in self.labels or label in self.revisions
                self.labels.setdefault(label, id_)

    def _declared_parents(self, file: RevisionFile) -> tuple[str, ...]:
        if "down_revision" in file.unknown and not file.down_revisions:
            return ("",)  # it has some, we don't know which
        return tuple(self._aliases.get(id_, id_) for id_ in file.down_revisions)

    def _known_parents(self, id_: str) -> tuple[str, ...]:
        parents = dict.fromkeys(self._declared_parents(self.revisions[id_]))
        for parent in parents:
            if parent and parent not in self.revisions:
                self.missing_parents.append((id_, parent))
        return tuple(parent for parent in parents if parent in self.revisions)

    def _known_dependencies(self, id_: str) -> tuple[str, ...]:
        found = []
        for name in self.revisions[id_].depends_on:
            target = self.target_of(name)
            if target is None:
                self.missing_dependencies.append((id_, name))
            else:
                found.append(target)
        return tuple(dict.fromkeys(found))

    def _turn_around(self) -> None:
        for id_, parents in self._parents.items():
            for parent in parents:
                self._children[parent].append(id_)
        for id_, dependencies in self._dependencies.items():
            for dependency in dependencies:
                self._dependents[dependency].append(id_)

    def target_of(self, dependency: str) -> str | None:
        """The id that a `depends_on` names: an id or a label, never the start of one."""
        return dependency if dependency in self.revisions else self.labels.get(dependency)

    def parents(self, id_: str) -> tuple[str, ...]:
        """The parents of a revision that exist."""
        return self._parents[id_]

    def children(self, id_: str) -> tuple[str, ...]:
        """The revisions that name this one as a parent, in file order."""
        return tuple(self._children[id_])

    def dependencies(self, id_: str) -> tuple[str, ...]:
        """The ids that a revision depends on besides its parents, labels resolved."""
        return self._dependencies[id_]

    @cached_property
    def branch_points(self) -> tuple[str, ...]:
        """Ids with several children, in file order."""
        return tuple(id_ for id_, children in self._children.items() if len(children) > 1)

    @cached_property
    def merges(self) -> tuple[str, ...]:
        """Ids with several parents, in file order."""
        return tuple(
            id_ for id_, file in self.revisions.items() if len(self._declared_parents(file)) > 1
        )

    def ancestors(self, ids: Iterable[str], *, dependencies: bool = True) -> set[str]:
        """These revisions and everything that must come before them."""
        return _reached(ids, self._parents, self._dependencies if dependencies else None)

    def descendants(self, ids: Iterable[str], *, dependencies: bool = True) -> set[str]:
        """These revisions and everything that comes after them."""
        return _reached(ids, self._children, self._dependents if dependencies else None)

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Loops among parents, each as child, parent, …, back to just before the child."""
        return tuple(loops(self._parents))

    @cached_property
    def dependency_cycles(self) -> tuple[tuple[str, ...], ...]:
        """Loops that need at least one `depends_on` to close."""
        return tuple(loops_through(self._parents, self._dependencies))

    @cached_property
    def sound(self) -> bool:
        """Whether every file was understood and the graph is one that Alembic can use."""
        broken = self.duplicates or self.missing_parents or self.missing_dependencies
        if broken or self._label_conflict or self._unread:
            return False
        return not (self.cycles or self.dependency_cycles)

    def order(self) -> tuple[str, ...]:
        """Every id in application order; for a broken chain the nearest thing to it."""
        if self.sound:
            return self.applied_order(self.revisions, self.effective_heads)
        return tuple(postorder(self._parents))

    def locate(self, target: str) -> tuple[str, ...] | None:
        """The ids that a target such as `head`, `ae10` or `branch@head` names.

        Returns:
            The ids; empty for `base`. None for a target or a chain that only Alembic should judge:
            anything relative, unknown or ambiguous, and any chain that is not sound.
        """
        return targets.locate(self, target)

    def pending(self, stamped: Collection[str], target: str = "heads") -> tuple[str, ...] | None:
        """What `upgrade TARGET` would apply to a database, in that order.

        Args:
            stamped: The ids in the database's version table.
            target: See `locate`.

        Returns:
            The ids; None when only Alembic should answer.
        """
        return targets.pending(self, stamped, target)

    def walk(self, upper: str = "heads", lower: str = "base") -> tuple[str, ...] | None:
        """The ids of a range, newest first, both ends included: `history -r LOWER:UPPER`.

        Returns:
            The ids; None when only Alembic should answer.
        """
        return targets.walk(self, upper, lower)

    def applied_order(self, needed: Iterable[str], targets: Iterable[str]) -> tuple[str, ...]:
        """A set of revisions in the order in which Alembic would apply them.

        Args:
            needed: The revisions; with each one, its descendants up to the targets.
            targets: Where the upgrade goes.
        """
        todo = set(needed)
        newest = newest_first(todo, targets, self._steps, list(self.revisions))
        return tuple(reversed(newest))

    @cached_property
    def _steps(self) -> dict[str, tuple[str, ...]]:
        """Parents and dependencies of each revision, without what an ancestor depends on already.

        Alembic's `_normalize_depends_on`: it decides the order where branches depend on each other.
        """
        steps = dict(self._parents)
        for id_, dependencies in self._dependencies.items():
            if dependencies:
                own = dict.fromkeys(dependencies)
                # Only what others depend on too can an ancestor depend on.
                doubtful = {one for one in own if len(self._dependents[one]) > 1}
                for ancestor in self._walk_down(id_) if doubtful else ():
                    for dependency in self._dependencies[ancestor]:
                        own.pop(dependency, None)
                        doubtful.discard(dependency)
                    if not doubtful:
                        break
                steps[id_] = tuple(dict.fromkeys((*self._parents[id_], *own)))
        return steps

    def _walk_down(self, id_: str) -> Iterator[str]:
        seen = {id_}
        todo = list(self._parents[id_])
        while todo:
            ancestor = todo.pop()
            if ancestor not in seen:
                seen.add(ancestor)
                yield ancestor
                todo.extend(self._parents[ancestor])

    @cached_property
    def branch_names(self) -> dict[str, tuple[str, ...]]:
        """Each revision with the labels of the branches it is on, sorted.

        A label covers what follows the revision that carries it, and what precedes that revision
        down to the next branch point or merge (`RevisionMap._add_branches`).
        """
        names: dict[str, set[str]] = {id_: set() for id_ in self.revisions}
        for carrier, file in self.revisions.items():
            labels = set(file.branch_labels)
            if not labels:
                continue
            for id_ in self._label_cover(carrier):
                names[id_] |= labels
        return {id_: tuple(sorted(labels)) for id_, labels in names.items()}

    def _label_cover(self, carrier: str) -> set[str]:
        cover = self.descendants([carrier], dependencies=False)
        # Alembic starts downwards from the descendant it saw last; a branch point or merge above
        # the carrier therefore ends the walk before it begins.
        below: str | None = carrier
        if any(self._forks(id_) for id_ in cover):
            below = None
        while below is not None and not self._forks(below):
            cover.add(below)
            parents = self._parents[below]
            below = parents[0] if parents else None
        return cover

    def _forks(self, id_: str) -> bool:
        followers = {*self._children[id_], *self._dependents[id_]}
        return len(followers) > 1 or len(self.revisions[id_].down_revisions) > 1


def _reached(
    ids: Iterable[str],
    edges: Mapping[str, Iterable[str]],
    more: Mapping[str, Iterable[str]] | None,
) -> set[str]:
    seen: set[str] = set()
    todo = [id_ for id_ in ids if id_ in edges]
    while todo:
        id_ = todo.pop()
        if id_ not in seen:
            seen.add(id_)
            todo.extend(edges[id_])
            if more is not None:
                todo.extend(more[id_])
    return seen
