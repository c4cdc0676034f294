"""One revision file, looked at: what each rule needs of it, also as plain lists.

The lists are what worker processes send and what the cache keeps: strings, numbers, None and lists
of them, nothing about where the file is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from orchctl.chain.findings import Finding
from orchctl.chain.ignores import Ignore, ignores_of
from orchctl.chain.lint.file_lint import FileLint, Link, Rebuild, Renaming, Unlink
from orchctl.chain.moulds import moulded
from orchctl.chain.parse import parse_source
from orchctl.chain.problem import Problem
from orchctl.chain.revision_file import HeaderLine, RevisionFile
from orchctl.chain.source import decode
from orchctl.chain.syntax import surely_compiles
from orchctl.chain.tokens import Token

_STEPS = (Link, Unlink, Renaming, Rebuild)


class Examined(NamedTuple):
    """What one file shows.

    Attributes:
        file: What it says of its place in the chain.
        lint: What its code shows; None when nobody looked, or when Python refuses it.
        ignores: Its ignore comments.
    """

    file: RevisionFile
    lint: FileLint | None = None
    ignores: tuple[Ignore, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether Python cannot read it, or only by chance."""
        return any(problem.rule == "C07" for problem in self.file.problems)


def examine_file(path: Path, data: bytes, *, lint: bool) -> Examined:
    """Look at one file.

    Args:
        path: Where it is; only named.
        data: What is in it.
        lint: Whether its functions' code is looked at too.
    """
    source = decode(data)
    sound = source.fault is None
    # Lint asks for the places where there is an `except`, and such a tree has none.
    tree = moulded(source.text) if lint and sound and b"except" not in data else None
    compiles = tree is not None or (sound and surely_compiles(source.text))
    one = Examined(parse_source(path, source, compiles=compiles))
    shown = None
    if lint and data and not one.refused:
        from orchctl.chain.lint.lint_file import lint_file

        shown = lint_file(path, source.text, one.file.revision, tree)
    return Examined(one.file, shown, ignores_of(source.text) if b"orchctl" in data else ())


def packed(one: Examined) -> list[Any]:
    """The plain lists."""
    file = one.file
    return [
        file.revision,
        file.down_revisions,
        file.branch_labels,
        file.depends_on,
        file.docstring,
        file.header,
        file.tokens,
        file.lines,
        sorted(file.unknown),
        file.problems,
        None if one.lint is None else _packed_lint(one.lint),
        one.ignores,
    ]


def _packed_lint(lint: FileLint) -> list[Any]:
    return [
        [_packed_finding(finding) for finding in lint.findings],
        [[_STEPS.index(type(step)), *step] for step in lint.steps],
        sorted(lint.given),
        [[name, _packed_finding(finding)] for name, finding in lint.unnamed],
    ]


def _packed_finding(finding: Finding) -> list[Any]:
    return [
        finding.rule,
        finding.severity,
        finding.message,
        finding.line,
        finding.column,
        finding.suggestion,
        finding.alembic,
        finding.missing,
    ]


def unpacked(path: Path, lists: list[Any]) -> Examined:
    """What the lists say, of the file at this path.

    Raises:
        TypeError: They are others than `packed` makes. So are the next three.
        ValueError: …
        KeyError: …
        IndexError: …
    """
    revision, parents, labels, depends, text, header, tokens, lines, unknown, problems = lists[:10]
    lint, ignores = lists[10:]
    return Examined(
        RevisionFile(
            path,
            revision,
            tuple(parents),
            tuple(labels),
            tuple(depends),
            text,
            {name: HeaderLine._make(line) for name, line in header.items()},
            {name: tuple(map(Token._make, places)) for name, places in tokens.items()},
            {name: (line, column) for name, (line, column) in lines.items()},
            frozenset(unknown),
            tuple(map(Problem._make, problems)),
        ),
        None if lint is None else _unpacked_lint(path, revision, lint),
        tuple(
            Ignore(line, column, tuple(covers), tuple(rules), reason)
            for line, column, covers, rules, reason in ignores
        ),
    )


def _unpacked_lint(path: Path, revision: str | None, lists: list[Any]) -> FileLint:
    findings, steps, given, unnamed = lists
    return FileLint(
        tuple(_unpacked_finding(path, revision, one) for one in findings),
        revision,
        tuple(_STEPS[kind](*fields) for kind, *fields in steps),
        frozenset(given),
        tuple((name, _unpacked_finding(path, revision, one)) for name, one in unnamed),
    )


def _unpacked_finding(path: Path, revision: str | None, lists: list[Any]) -> Finding:
    rule, severity, message, line, column, suggestion, alembic, missing = lists
    return Finding(
        rule,
        severity,
        message,
        path=path,
        line=line,
        column=column,
        revision=revision,
        suggestion=suggestion,
        alembic=alembic,
        missing=missing,
    )
