"""Rules about what single files say: C01, C06, C07, C08, C12."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchctl.chain.checked import CheckedChain
from orchctl.chain.findings import Finding, Replacement
from orchctl.chain.revision_file import HeaderLine, RevisionFile
from orchctl.chain.suggest import MOST_LIKELY, from_header, header_ids, likely_id
from orchctl.chain.tokens import Severity, Token


def named_by_file(chain: CheckedChain) -> Iterator[Finding]:
    """C01: a parent is named by its file's name where its id belongs."""
    for file in chain.files:
        for index, parent in enumerate(file.down_revisions):
            if parent in chain.mistaken:
                right = chain.mistaken[parent]
                yield Finding(
                    "C01",
                    "error",
                    f"down_revision names the file {parent!r}; the revision in it is {right!r}",
                    suggestion=right,
                    alembic=f"KeyError: {parent!r}",
                    replacement=_replacement(file, index, right),
                    **at(file, "down_revision", index),
                )


def missing_parents(chain: CheckedChain) -> Iterator[Finding]:
    """C06: no revision has the id that is named as a parent."""
    # Files that could not be read may hold what is missed, as long as there are enough of them.
    severity: Severity = "warning" if len(chain.missing) <= len(chain.unread) else "error"
    missing, count = set(chain.missing), 0
    for file in chain.files:
        for index, parent in enumerate(file.down_revisions):
            if parent in missing:
                instead = _parent_instead(chain, file, parent) if count < MOST_LIKELY else None
                yield _missing_parent(chain, file, index, severity, instead)
                count += 1


def _missing_parent(
    chain: CheckedChain, file: RevisionFile, index: int, severity: Severity, instead: str | None
) -> Finding:
    parent = file.down_revisions[index]
    message = f"The parent {parent!r} does not exist"
    if severity == "warning":
        names = ", ".join(other.path.name for other in chain.unread[:MOST_LIKELY])
        names += ", …" if len(chain.unread) > MOST_LIKELY else ""
        message += f", unless it is what {names} holds, which could not be read"
    return Finding(
        "C06",
        severity,
        message,
        suggestion=instead or _back(parent),
        alembic=f"KeyError: {parent!r}",
        missing=parent,
        **at(file, "down_revision", index),
    )


def _parent_instead(chain: CheckedChain, file: RevisionFile, parent: str) -> str | None:
    graph = chain.graph
    if parent in graph.labels:
        return graph.labels[parent]
    ids = graph.revisions
    later = graph.descendants([file.revision]) if file.revision else set()
    likely = from_header(file, ids) or likely_id(parent, ids, avoid=later)
    return None if likely in later else likely


def _back(parent: str) -> str:
    return (
        f"Bring the file of {parent} back "
        f"(git log --diff-filter=D --name-only -- '*{parent}*'), or name another parent"
    )


def unreadable(chain: CheckedChain) -> Iterator[Finding]:
    """C07: Python cannot read the file."""
    return _problems(chain, "C07")


def unclear(chain: CheckedChain) -> Iterator[Finding]:
    """C08: no id, a wrong type, or a value that only running the file would tell."""
    return _problems(chain, "C08")


def _problems(chain: CheckedChain, rule: str) -> Iterator[Finding]:
    for file in chain.files:
        for problem in file.problems:
            if problem.rule == rule:
                yield Finding(
                    rule,
                    problem.severity,
                    problem.message,
                    path=file.path,
                    line=problem.line,
                    column=problem.column,
                    revision=file.revision,
                    suggestion=problem.suggestion,
                    alembic=problem.alembic,
                )


def contradicted(chain: CheckedChain) -> Iterator[Finding]:
    """C12: the docstring's header says something else than the code, which is what counts."""
    for file in chain.files:
        header = file.header
        id_line, parent_line = header.get("Revision ID"), header.get("Revises")
        if id_line and file.revision and id_line.text != file.revision:
            sure = file.revision not in chain.graph.duplicates
            yield _contradiction(file, id_line, "Revision ID", file.revision, sure=sure)
        if parent_line and "down_revision" not in file.unknown:
            meant = [chain.mistaken.get(parent, parent) for parent in file.down_revisions]
            # While the code itself names the file (C01), either is a fair thing to say.
            if set(header_ids(parent_line.text)) not in (set(file.down_revisions), set(meant)):
                yield _contradiction(
                    file,
                    parent_line,
                    "Revises",
                    ", ".join(meant),
                    sure=_is_linked(chain, file, meant),
                )


def _is_linked(chain: CheckedChain, file: RevisionFile, parents: Sequence[str]) -> bool:
    """Whether the code's links hold: where they do not, the docstring may be what is right."""
    ids = chain.graph.revisions
    return file.revision not in chain.looping and all(parent in ids for parent in parents)


# Ids with commas between, in brackets or not; not a sentence that somebody wrote there.
_LIST = re.compile(r"[(\[]?[^\s,()\[\]]*(?:\s*,\s*[^\s,()\[\]]*)*[)\]]?")


def _contradiction(
    file: RevisionFile, line: HeaderLine, name: str, right: str, *, sure: bool
) -> Finding:
    said = line.text or "nothing"
    replacement = None
    if sure and _LIST.fullmatch(line.text):
        end = line.column + len(line.text)
        token = Token(line.text, line.line, line.column, line.line, end, True)
        replacement = Replacement(file.path, token, right, header=True)
    return Finding(
        "C12",
        "note",
        f"The docstring says {name}: {said}, the code says {right or 'None'}; the code counts",
        path=file.path,
        line=line.line,
        column=line.column,
        revision=file.revision,
        suggestion=f"{name}: {right}".rstrip(),
        alembic="nothing: it does not read the docstring's header",
        replacement=replacement,
    )


def at(file: RevisionFile, name: str, index: int = 0) -> dict[str, Any]:
    """Path, line, column and revision of a finding about a value in a file."""
    line, column = file.place(name, index) or (1, 1)
    return {"path": file.path, "line": line, "column": column, "revision": file.revision}


def _replacement(file: RevisionFile, index: int, text: str) -> Replacement | None:
    tokens = file.tokens.get("down_revision", ())
    if index >= len(tokens) or not tokens[index].direct:
        return None
    return Replacement(file.path, tokens[index], text)
