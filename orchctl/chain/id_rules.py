"""Rules about ids and labels themselves: C10, C11, C19."""

from __future__ import annotations

from collections.abc import Iterator

from orchctl.chain.checked import CheckedChain
from orchctl.chain.file_rules import at
from orchctl.chain.findings import Finding
from orchctl.chain.revision_file import RevisionFile

# alembic/script/revision.py, `_revision_illegal_chars` of 1.18 to 1.20: @, + and - stand in
# relative targets (branch@head, ae10+1), the colon in ranges.
_FORBIDDEN = "@-+:"
# What a target may be instead of an id (alembic/script/revision.py, `_resolve_revision_number`).
_SYMBOLS = {"head": "the head", "heads": "all heads", "base": "the empty database"}
# Alembic's version_num is VARCHAR(32): SQLite stores more, PostgreSQL fails, MySQL may cut.
_LONGEST = 32


def labels_in_use(chain: CheckedChain) -> Iterator[Finding]:
    """C10: a branch label is given twice, or is a revision's id."""
    carriers: dict[str, str] = {}
    ids = chain.graph.revisions
    for file in ids.values():
        for index, label in enumerate(file.branch_labels):
            if label in ids:
                told = f"The branch label {label!r} is also a revision's id"
            elif label in carriers:
                told = f"The branch label {label!r} is already that of {carriers[label]!r}"
            else:
                carriers[label] = file.revision or ""
                continue
            yield Finding(
                "C10",
                "error",
                told,
                suggestion="Give the branch another label",
                # Which of the two it names changes from run to run.
                alembic=f"Branch name '{label}' in revision … already used by revision …",
                **at(file, "branch_labels", index),
            )


def unusable_ids(chain: CheckedChain) -> Iterator[Finding]:
    """C11: an id has characters that mean something else, or nearly is another one."""
    folded: dict[str, str] = {}
    cut: dict[str, str] = {}
    for file in chain.graph.revisions.values():
        id_ = file.revision or ""
        if bad := sorted(set(id_) & set(_FORBIDDEN)):
            yield Finding(
                "C11",
                "error",
                f"The id {id_!r} has {' and '.join(map(repr, bad))}, which Alembic forbids",
                suggestion="Letters, digits and underscores only; in its children too",
                alembic=f"Character(s) '{', '.join(bad)}' not allowed in revision identifier "
                f"'{id_}'",
                **at(file, "revision"),
            )
        if (twin := folded.setdefault(id_.casefold(), id_)) != id_:
            yield _alike(file, f"The ids {twin!r} and {id_!r} differ only in upper and lower case")
        elif len(id_) > _LONGEST and (twin := cut.setdefault(id_[:_LONGEST], id_)) != id_:
            told = f"The ids {twin!r} and {id_!r} are the same up to the {_LONGEST}nd character"
            yield _alike(file, told)


def _alike(file: RevisionFile, message: str) -> Finding:
    return Finding(
        "C11",
        "warning",
        message,
        suggestion="Give one of the two another id",
        alembic="nothing: to it they are two ids",
        **at(file, "revision"),
    )


def reserved_ids(chain: CheckedChain) -> Iterator[Finding]:
    """C19: an id or label that no command can name, or that a version table may not hold."""
    for file in chain.graph.revisions.values():
        id_ = file.revision or ""
        if id_ in _SYMBOLS:
            yield _reserved(file, "revision", 0, f"The id {id_!r} means {_SYMBOLS[id_]} everywhere")
        elif id_ != id_.strip() or len(id_.split()) > 1:
            told = f"The id {id_!r} has white space: hard to type, easy to lose"
            yield _reserved(file, "revision", 0, told)
        elif len(id_) > _LONGEST:
            told = f"The id {id_!r} has {len(id_)} characters; version_num holds {_LONGEST}"
            yield _reserved(file, "revision", 0, told)
        for index, label in enumerate(file.branch_labels):
            if label in _SYMBOLS:
                told = f"The branch label {label!r} means {_SYMBOLS[label]} everywhere"
                yield _reserved(file, "branch_labels", index, told)


def _reserved(file: RevisionFile, name: str, index: int, message: str) -> Finding:
    return Finding(
        "C19",
        "warning",
        message,
        suggestion="Choose another: letters, digits and underscores, at most 32",
        alembic="nothing while it loads",
        **at(file, name, index),
    )
