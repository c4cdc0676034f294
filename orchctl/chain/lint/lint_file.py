"""Looking at one revision file's code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from orchctl.chain.lint.constraints import given_names, pending_names
from orchctl.chain.lint.expressions import EXPRESSIONS
from orchctl.chain.lint.file_lint import FileLint, Rebuild
from orchctl.chain.lint.reader import Reader
from orchctl.chain.lint.rebuilds import steps_of
from orchctl.chain.lint.rules import LINT_RULES
from orchctl.chain.lint.statements import STATEMENTS
from orchctl.chain.lint.subject import Script, Subject
from orchctl.chain.lint.things import Local
from orchctl.chain.moulds import Unfamiliar


def lint_file(
    path: Path, text: str, revision: str | None, moulded: ast.Module | None = None
) -> FileLint:
    """Hold one file against the lint rules.

    Args:
        path: The file; only named.
        text: Its text, which Python can compile.
        revision: Its id.
        moulded: Its syntax without the places, where that was to be had (`chain/moulds.py`).

    Returns:
        What it shows; nothing for code nested so deeply that Python cannot follow it either.
    """
    # What a handler does is told by where it stands.
    if moulded is not None and "except" not in text:
        lint = _placeless(path, text, revision, moulded)
        if lint is not None:
            return lint
    try:
        tree = ast.parse(text)
        return _shown(_read(path, text, revision, tree, tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return FileLint(revision=revision)


def _placeless(path: Path, text: str, revision: str | None, moulded: ast.Module) -> FileLint | None:
    """What a file shows, unless there is a place in it: few files have anything to show."""
    try:
        lint = _shown(_read(path, text, revision, moulded, None))
    except (Unfamiliar, SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    placed = lint.findings or lint.unnamed or any(type(one) is Rebuild for one in lint.steps)
    return None if placed else lint


def _shown(subject: Subject) -> FileLint:
    kinds = {act.kind for script in subject.scripts for act in script.acts}
    found = {
        (one.rule, one.line, one.column, one.message): one
        for rule in LINT_RULES
        if rule.kinds is None or not rule.kinds.isdisjoint(kinds)
        for one in rule.check(subject)
    }
    return FileLint(
        tuple(found.values()),
        subject.revision,
        steps_of(subject),
        given_names(subject),
        tuple(pending_names(subject)),
    )


def _read(
    path: Path,
    text: str,
    revision: str | None,
    tree: ast.Module,
    parsed: ast.Module | None,
) -> Subject:
    reader = Reader(STATEMENTS, EXPRESSIONS)
    reader.run(tree.body)
    upgrade, downgrade = (_script(reader, name) for name in ("upgrade", "downgrade"))
    return Subject(
        path,
        text,
        revision,
        parsed,
        reader.module,
        reader.imports,
        reader.offline,
        upgrade,
        downgrade,
    )


# @skip_if_sqlite, @postgresql_only: however the project calls it.
_ELSEWHERE = re.compile(
    r"(?:skip|no|not|except|unless)\w*_sqlite|(?:postgres\w*|mysql|mariadb)_only|only_\w*(?:postgres|mysql)",
    re.IGNORECASE,
)


def _is_left_out(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a decorator says that the function does not run on SQLite."""
    return any(_ELSEWHERE.search(ast.unparse(one)) for one in node.decorator_list)


def _script(reader: Reader, name: str) -> Script:
    reader.acts, reader.swallowed = [], []
    function = reader.module.get(name)
    if not isinstance(function, Local):
        # Imported, or made by a call: what it does is not in this text.
        return Script(name, None, (), ())
    if not _is_left_out(function.node):
        reader.enter(function, (), {})
    return Script(name, function.node, tuple(reader.acts), tuple(reader.swallowed))
