"""A check of a chain as `verify-chain` runs it: the files, and what is held against them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchctl.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.chain.findings import ChainReport, Finding
    from orchctl.chain.fix import Edit
    from orchctl.chain.lockfile import LockChange
    from orchctl.chain.project import ChainPlace
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.chain.selection import Selection
    from orchctl.config import Settings


@dataclass(frozen=True)
class Sources:
    """What is held against the chain besides its own files.

    Attributes:
        databases: URLs or paths.
        frozen: Whether the lockfile counts.
        base: The branch it will be merged into.
        run: Whether files that compute their ids are run.
        cached: Whether what is known of unchanged files may be used.
    """

    databases: tuple[str, ...] = ()
    frozen: bool = False
    base: str | None = None
    run: bool = False
    cached: bool = True


class ChainCheck:
    """One check.

    Args:
        place: Where the chain is.
        selection: Which rules count.
        sources: What is held against it.
        settings: The run's settings.
    """

    def __init__(
        self, place: ChainPlace, selection: Selection, sources: Sources, settings: Settings
    ) -> None:
        self.place = place
        self.selection = selection
        self.settings = settings
        self._sources = sources
        self._examine()

    def _examine(self) -> None:
        from orchctl.chain.cache import ChainCache
        from orchctl.chain.check import wants_lint
        from orchctl.chain.examine import examine

        cache = ChainCache(self.settings.folder) if self._sources.cached else None
        lint = wants_lint(self.selection)
        self._examination = examine(self.place, lint=lint, cache=cache)
        if self._sources.run:
            from orchctl.upgrade.imported import imported

            self._examination = replace(self._examination, files=imported(self._examination.files))

    @property
    def files(self) -> tuple[RevisionFile, ...]:
        """The chain's files."""
        return self._examination.files

    def mend(self, *, apply: bool) -> tuple[Edit, ...]:
        """The edits for what has one right answer; applied, the files are read again.

        Raises:
            Refused: A file cannot be written; then none is.
        """
        from orchctl.chain import fix, rewriting
        from orchctl.chain.check import check

        edits: tuple[Edit, ...] = ()
        # Once its code names the parent's id, a docstring may contradict it: looked at again.
        for _ in range(3):
            mended = replace(self._examination, files=fix.mended(self.files, edits))
            more = fix.mend(check(self.place, mended, self.selection).findings, edits)
            if more == edits:
                break
            edits = more
        if apply and edits:
            rewriting.apply(edits)
            self._examine()
        return edits

    def report(self) -> ChainReport:
        """What is found.

        Raises:
            ConfigurationError: No such database, no lockfile, or they can't be read.
            UsageError: No such branch.
        """
        from orchctl.chain.check import check
        from orchctl.chain.vanished import with_history
        from orchctl.cli.chain_databases import about_databases

        more = about_databases(self._sources.databases, self.place, self.files, self.settings)
        if self._sources.frozen:
            more += about_lockfile(self.place, self.files)
        if self._sources.base:
            more += about_merge(self.place, self.files, self._sources.base)
        report = check(self.place, self._examination, self.selection, more)
        return replace(report, findings=tuple(with_history(report.findings, self.place)))

    def write_lockfile(self) -> LockChange:
        """Lock the chain as it is.

        Raises:
            Refused: It is broken.
            ConfigurationError: The file cannot be written.
        """
        from orchctl.chain.graph import Graph
        from orchctl.chain.lockfile import locked_now, write_lock

        graph = Graph.of(self.files)
        if not graph.sound:
            raise Refused(
                "A broken chain is not locked",
                code="broken-chain",
                state=f"{self.place.lockfile} is as before",
                hint="orchctl verify-chain says what is broken",
            )
        return write_lock(self.place.lockfile, locked_now(graph))


def about_lockfile(place: ChainPlace, files: Sequence[RevisionFile]) -> list[Finding]:
    """C13: what is not as the lockfile says.

    Raises:
        ConfigurationError: There is no lockfile, or it is none.
    """
    from orchctl.chain.graph import Graph
    from orchctl.chain.lockfile import frozen, read_lock

    return list(frozen(Graph.of(files), place.lockfile, read_lock(place.lockfile)))


def about_merge(place: ChainPlace, files: Sequence[RevisionFile], ref: str) -> list[Finding]:
    """C15: what breaks once this tree is merged with another branch.

    Raises:
        UsageError: No git, no repository, no such branch, nothing in common with it.
    """
    from orchctl.chain.git import Repository
    from orchctl.chain.merged import broken_once_merged, merged_chain

    repository = Repository.of(place.locations[0])
    merged = merged_chain(repository, place, files, ref)
    return list(broken_once_merged(repository, place, files, merged, ref))
