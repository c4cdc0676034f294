"""A check of a chain as `verify-chain` runs it: the files, and what is held against them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchctl.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.chain.examine import Examination
    from orchctl.chain.findings import ChainReport, Finding
    from orchctl.chain.fix import Edit
    from orchctl.chain.lockfile import LockChange
    from orchctl.chain.project import ChainPlace
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.chain.selection import Selection
    from orchctl.chain.verdict import Verdict
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
        self._read()

    def _read(self) -> None:
        """Read the files, once: whatever is said is said of these bytes."""
        from orchctl.chain.cache import ChainCache

        self._contents = self.place.contents()
        cache = ChainCache(self.settings.folder)
        kept = self._sources.cached and len(self._contents) >= cache.least
        self._cache = cache if kept else None
        self._examination: Examination | None = None
        self._with_lint = False
        self._verdict: Verdict | None = None

    def _examined(self, *, lint: bool) -> Examination:
        if self._examination is None or (lint and not self._with_lint):
            from orchctl.chain.examine import examine

            found = examine(self.place, lint=lint, cache=self._cache, contents=self._contents)
            if self._sources.run:
                from orchctl.upgrade.imported import imported

                found = replace(found, files=imported(found.files, self.settings), lasting=False)
            self._examination, self._with_lint = found, lint
        return self._examination

    def _judged(self) -> Verdict:
        """What all rules say: as the cache knows it, or found out and kept."""
        if self._verdict is None:
            self._verdict = self._known() or self._found()
        return self._verdict

    def _known(self) -> Verdict | None:
        if self._cache is None or self._sources.run:
            return None
        from orchctl.chain.verdict import unpacked

        lists = self._cache.verdict(self._contents, lint=self._wants_lint)
        try:
            return unpacked(lists, self._contents) if lists is not None else None
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return None

    def _found(self) -> Verdict:
        from orchctl.chain.check import judge
        from orchctl.chain.verdict import packed

        lint = self._wants_lint
        examination = self._examined(lint=lint)
        verdict = judge(self.place, examination)
        if self._cache is not None and examination.lasting:
            lists = packed(verdict, self._contents)
            self._cache.put_verdict(self._contents, lists, lint=lint)
        return verdict

    @property
    def _wants_lint(self) -> bool:
        from orchctl.chain.titles import LINT

        return not LINT.isdisjoint(self.selection.rules)

    @property
    def files(self) -> tuple[RevisionFile, ...]:
        """The chain's files."""
        self._judged()  # which may need more of them than this
        return self._examined(lint=False).files

    def mend(self, *, apply: bool) -> tuple[Edit, ...]:
        """The edits for what has one right answer; applied, the files are read again.

        Raises:
            Refused: A file cannot be written; then none is.
        """
        from orchctl.chain import fix, rewriting
        from orchctl.chain.check import check

        edits: tuple[Edit, ...] = ()
        examination = self._examined(lint=self._wants_lint)
        # Once its code names the parent's id, a docstring may contradict it: looked at again.
        for _ in range(3):
            mended = replace(examination, files=fix.mended(examination.files, edits))
            more = fix.mend(check(self.place, mended, self.selection).findings, edits)
            if more == edits:
                break
            edits = more
        if apply and edits:
            rewriting.apply(edits)
            self._read()
        return edits

    def report(self) -> ChainReport:
        """What is found.

        Raises:
            ConfigurationError: No such database, no lockfile, or they can't be read.
            UsageError: No such branch.
        """
        from orchctl.upgrade.chain_databases import about_databases

        more: list[Finding] = []
        sources = self._sources
        if sources.databases:
            more += about_databases(sources.databases, self.place, self.files, self.settings)
        if sources.frozen:
            more += about_lockfile(self.place, self.files)
        if sources.base is not None:  # an unset variable of CI's names no branch
            more += about_merge(self.place, self.files, sources.base)
        return self._with_history(self._judged().report(self.selection, more))

    def _with_history(self, report: ChainReport) -> ChainReport:
        if not any(one.missing for one in report.findings):
            return report
        from orchctl.chain.vanished import with_history

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
            hint = "orchctl verify-chain says what is broken"
            if any(file.unknown for file in self.files):
                hint += "; files that compute their ids are run by --import, with --frozen too"
            raise Refused(
                "A broken chain is not locked",
                code="broken-chain",
                state=f"{self.place.lockfile} is as before",
                hint=hint,
            )
        return write_lock(self.place.lockfile, locked_now(graph))


def without_database_rules(settings: Settings) -> list[str]:
    """The rules that are about SQLite alone, where the project's database is another one."""
    from orchctl.chain.titles import SQLITE_ONLY
    from orchctl.database.location import is_sqlite

    return list(SQLITE_ONLY) if settings.url and not is_sqlite(settings.url) else []


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
