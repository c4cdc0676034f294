"""The chain as it will be once merged into another branch (C15)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from orchctl.chain.contents import is_revision_name, read_data
from orchctl.chain.findings import Finding
from orchctl.chain.git import Repository
from orchctl.chain.graph import Graph
from orchctl.chain.parse import parse
from orchctl.chain.project import ChainPlace
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.rules import verify


@dataclass(frozen=True)
class MergedChain:
    """Two branches' revision files, put together as git would.

    Attributes:
        files: The files, those of the work tree first.
        commits: For a file, the commit to ask who brought it in: the other branch's for what only
            it has, else the present one.
        both: Paths at which git will stop, as both sides changed them; ours is in `files`.
    """

    files: tuple[RevisionFile, ...]
    commits: Mapping[Path, str]
    both: tuple[str, ...]


def merged_chain(
    repository: Repository, place: ChainPlace, files: Sequence[RevisionFile], ref: str
) -> MergedChain:
    """Put the work tree's revision files and another branch's together, file by file.

    What one side alone changed since the commit they have in common is taken from that side; what
    both changed is merged line by line, as git does.

    Args:
        repository: Where they are.
        place: The chain's folders.
        files: The work tree's files, commits or not.
        ref: The branch that is merged into.

    Raises:
        UsageError: No such commit, or none in common.
    """
    theirs_at = repository.commit(ref)
    base_at = repository.merge_base(theirs_at, "HEAD")
    folders = [found for one in place.locations if (found := repository.path_of(one)) is not None]
    mine = {found: file for file in files if (found := repository.path_of(file.path))}
    # git would wait for a pipe, and stop at what it may not read.
    readable = [path for path, file in mine.items() if isinstance(read_data(str(file.path)), bytes)]

    def tree(commit: str) -> dict[str, str]:
        return _revisions(repository.tree(commit, folders), folders, recursive=place.recursive)

    base = tree(base_at)
    ours = _Side(
        repository.object_ids(readable), repository.renamed(base_at, "HEAD", folders), "HEAD"
    )
    theirs = _Side(tree(theirs_at), repository.renamed(base_at, theirs_at, folders), theirs_at)
    kept = [file for file in files if repository.path_of(file.path) not in ours.ids]
    taken: list[str] = []
    contested: list[_Meeting] = []
    for one in _meetings(base, ours, theirs):
        if one.theirs in (one.ours, one.base):
            kept += [mine[path] for path, _ in one.ours]
        elif one.ours == one.base:
            taken += [path for path, _ in one.theirs]
        else:
            contested.append(one)
    merged, both = _settled(repository, mine, contested)
    contents = repository.contents(theirs.ids[path] for path in taken)
    other = [parse(repository.folder / path, contents[theirs.ids[path]]) for path in taken]
    commits = {file.path: ours.commit for file in (*kept, *merged)}
    commits |= {file.path: theirs.commit for file in other}
    return MergedChain((*kept, *merged, *other), commits, both)


@dataclass(frozen=True)
class _Side:
    """One of the two branches: the object id of each revision file, and where files went."""

    ids: Mapping[str, str]
    moves: Mapping[str, str]
    commit: str

    def found(self, old: str) -> tuple[tuple[str, str], ...]:
        """What became of a file: its path and object id; nothing where it is gone."""
        path = old if old in self.ids else self.moves.get(old, "")
        return ((path, self.ids[path]),) if path in self.ids else ()


class _Meeting(NamedTuple):
    """One file on both sides and before they parted: path and object id, or nothing."""

    base: tuple[tuple[str, str], ...]
    ours: tuple[tuple[str, str], ...]
    theirs: tuple[tuple[str, str], ...]


def _meetings(base: Mapping[str, str], ours: _Side, theirs: _Side) -> Iterator[_Meeting]:
    known: set[str] = set()
    for old, id_ in base.items():
        one = _Meeting(((old, id_),), ours.found(old), theirs.found(old))
        known |= {path for side in one for path, _ in side}
        yield one
    for path in dict.fromkeys((*ours.ids, *theirs.ids)):
        if path not in known:
            yield _Meeting((), ours.found(path), theirs.found(path))


def _settled(
    repository: Repository, mine: Mapping[str, RevisionFile], contested: Sequence[_Meeting]
) -> tuple[list[RevisionFile], tuple[str, ...]]:
    """What git makes of the files that both sides changed, and the paths at which it stops."""
    wanted = (id_ for one in contested for side in (one.base, one.theirs) for _, id_ in side)
    contents = repository.contents(wanted)
    settled: list[RevisionFile] = []
    stops: list[str] = []
    for base, ours, theirs in contested:
        data = read_data(str(mine[ours[0][0]].path)) if ours else b""
        merged = None
        if base and ours and theirs and isinstance(data, bytes):
            merged = repository.merge(data, contents[base[0][1]], contents[theirs[0][1]])
        if merged is not None:
            moved = theirs[0][0] != base[0][0]
            path = repository.folder / theirs[0][0] if moved else mine[ours[0][0]].path
            settled.append(parse(path, merged))
            continue
        settled += [mine[path] for path, _ in ours]
        stops.append((ours or theirs)[0][0])
    return settled, tuple(stops)


def _revisions(
    tree: Mapping[str, str], folders: Sequence[str], *, recursive: bool
) -> dict[str, str]:
    return {
        path: id_
        for path, id_ in tree.items()
        if is_revision_name(PurePosixPath(path).name)
        and (recursive or str(PurePosixPath(path).parent) in folders)
    }


def broken_once_merged(
    repository: Repository,
    place: ChainPlace,
    files: Sequence[RevisionFile],
    merged: MergedChain,
    ref: str,
) -> Iterator[Finding]:
    """C15: what is an error in the merged tree and none in this one.

    Args:
        repository: Where they are.
        place: The chain's folders.
        files: This side's files.
        merged: Both sides' files.
        ref: The name of the other side, for messages.
    """
    before = verify(files, place.locations)
    own = {_key(one) for one in before.findings}
    if any(one.rule == "C04" and one.severity == "error" for one in before.findings):
        own.add(("C04", len(before.heads), None))
    graph = Graph.of(merged.files)
    for finding in verify(merged.files, place.locations).findings:
        # Several heads are this tree's own fault as long as they don't become more.
        known = finding.rule == "C04" and ("C04", len(graph.heads), None) in own
        if finding.severity == "error" and _key(finding) not in own and not known:
            yield _told(repository, merged, graph, finding, ref)
    for path in merged.both:
        yield Finding(
            "C15",
            "warning",
            f"Changed here and in {ref}, each its own way: git will stop at it",
            path=repository.folder / path,
            line=1,
            column=1,
            suggestion=f"git merge {ref}, and settle it there",
            alembic="nothing before the merge",
        )


def _key(finding: Finding) -> tuple[str, str | int, str | None]:
    return finding.rule, finding.message, finding.revision


def _told(
    repository: Repository, merged: MergedChain, graph: Graph, finding: Finding, ref: str
) -> Finding:
    def origin(id_: str) -> str:
        file = graph.revisions[id_]
        path = repository.path_of(file.path)
        commit = repository.last_change(merged.commits[file.path], path) if path else None
        return f"{id_} in {file.path.name}, {commit or 'not committed yet'}"

    message, suggestion = finding.message, finding.suggestion
    if finding.rule == "C04":
        message = f"{len(graph.heads)} heads: {'; '.join(map(origin, graph.heads[:5]))}"
        suggestion = f"After the merge: orchctl merge {' '.join(graph.heads)} -m '…'"
    elif finding.revision in graph.revisions:
        message += f" ({origin(finding.revision)})"
    return Finding(
        "C15",
        "error",
        f"Once merged with {ref}: {finding.rule}, {message}",
        path=finding.path,
        line=finding.line,
        column=finding.column,
        revision=finding.revision,
        suggestion=suggestion,
        alembic=finding.alembic,
    )
