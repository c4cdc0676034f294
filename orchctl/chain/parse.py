"""From the bytes of a revision file to what it says."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from orchctl.chain.facts import NAMES, Fact, missing_facts, read_fact
from orchctl.chain.problem import Problem
from orchctl.chain.revision_file import HeaderLine, RevisionFile
from orchctl.chain.source import Source, column_of, decode, lines_of
from orchctl.chain.stock import header_of, read_stock
from orchctl.chain.syntax import refusal, tree_of
from orchctl.chain.values import Computed, Value, module_values

# Alembic takes the id from the name of a file that declares none (alembic/script/base.py).
_LEGACY_NAME = re.compile(r"([a-f0-9]+)\.py$")
# With these, its name does not count: the second stands for whatever may be bound.
_TELLING = ("revision", "*")
_OPENING = re.compile(r"""[rRuU]?(?:"{3}|'{3}|"|')""")
_BODY = re.compile(r"\n(?:def |class |async |@)")
_MENTIONED = re.compile(r"\b(?:" + "|".join(NAMES) + r")\b")
_ASSIGNMENT = re.compile(r"^(?:" + "|".join(NAMES) + r")\b[^=\n]*=(?!=)[^\r\n]*", re.MULTILINE)


def parse(path: Path, data: bytes, *, bodies: bool = True) -> RevisionFile:
    """Read one revision file from its bytes.

    Args:
        path: Where it is; only named, never opened.
        data: Its content.
        bodies: Whether functions are compiled too, to find what is wrong in them.
    """
    return parse_source(path, decode(data), bodies=bodies)


def parse_source(
    path: Path, source: Source, *, bodies: bool = True, compiles: bool = False
) -> RevisionFile:
    """Read one revision file from its text; see `parse`.

    Args:
        path: Where it is.
        source: Its text.
        bodies: Whether functions are compiled too.
        compiles: Whether it is known that Python takes it.
    """
    fault = None
    if source.fault or (bodies and not compiles):
        fault = _fault(path, source)
    head = _head(source.text)
    if source.fault is None and (stock := read_stock(path, head)) is not None:
        return stock if fault is None else replace(stock, problems=(fault,))
    tree = tree_of(head)
    if tree is None and head is not source.text:
        tree = tree_of(source.text)
    if tree is None:
        fault = fault or _fault(path, source)
        if fault is None or fault.severity != "error":
            fault = _syntax_problem(RecursionError("the code is nested too deeply"))
    if tree is None or (fault and fault.severity == "error"):
        body = tree.body if tree else list(_loose_assignments(source.text))
        return _described(path, source, tree, body, fault, whole=False)
    return _described(path, source, tree, tree.body, fault, whole=True)


def _described(
    path: Path,
    source: Source,
    tree: ast.Module | None,
    body: list[ast.stmt],
    fault: Problem | None,
    *,
    whole: bool,
) -> RevisionFile:
    values = _values(body)
    legacy = _LEGACY_NAME.match(path.name) if whole and values.keys().isdisjoint(_TELLING) else None
    facts = {name: read_fact(name, values.get(name), source) for name in NAMES}
    missing = set() if legacy is None else {"revision"}
    problems = [problem for fact in facts.values() for problem in fact.problems]
    problems += missing_facts(path.name, values, legacy=bool(missing))
    unknown = {name for name, fact in facts.items() if not fact.known}
    unknown |= {name for name in ("revision", "down_revision") if name not in values} - missing
    docstring = _docstring(tree)
    return RevisionFile(
        path,
        legacy[1] if legacy else _single(facts["revision"]),
        down_revisions=facts["down_revision"].values,
        branch_labels=facts["branch_labels"].values,
        depends_on=facts["depends_on"].values,
        docstring=docstring[0].strip() if docstring else "",
        header=_header(source, docstring[1]) if docstring else {},
        tokens={name: fact.tokens for name, fact in facts.items()},
        lines={name: fact.place for name, fact in facts.items() if fact.place},
        unknown=frozenset(unknown),
        # A file that Python refuses has one problem; what else is odd may come from it.
        problems=tuple(problems) if fault is None else (fault, *(problems if whole else ())),
    )


def _single(fact: Fact) -> str | None:
    return fact.values[0] if fact.values else None


def _head(text: str) -> str:
    """What stands before the first function, when nothing after it can change the four names."""
    match = _BODY.search(text)
    if match is None:
        return text
    start = match.start()
    # Plain searches first: the expression is twenty times slower, and seldom needed.
    for word in ("revision", "branch_labels", "depends_on"):
        if text.find(word, start) >= 0 and _MENTIONED.search(text, start):
            return text
    return text[: start + 1]


def _values(body: list[ast.stmt]) -> dict[str, Value]:
    try:
        return module_values(body)
    except RecursionError:
        return {name: Computed(body[0]) for name in NAMES}


def _fault(path: Path, source: Source) -> Problem | None:
    """What Python says when it compiles the file, as the import would."""
    # The bytes, because Python lets some faulty ones pass inside comments.
    error = refusal(source.data if source.fault else source.text, str(path))
    if error is not None:
        if source.fault:
            return _encoding_problem(source, "error", error)
        return _syntax_problem(error)
    return _encoding_problem(source, "warning", None) if source.fault else None


def _syntax_problem(error: BaseException) -> Problem:
    version = ".".join(map(str, sys.version_info[:2]))
    said = error.msg if isinstance(error, SyntaxError) else str(error) or "nested too deeply"
    line = getattr(error, "lineno", None) or 1
    return Problem(
        "C07",
        "error",
        f"Python {version} cannot compile this file: {said}",
        line,
        max(1, getattr(error, "offset", None) or 1),
        alembic=f"{type(error).__name__}: {said}",
    )


def _encoding_problem(source: Source, severity: str, error: BaseException | None) -> Problem:
    place = re.search(r"in line (\d+)", source.fault or "")
    return Problem(
        "C07",
        "error" if severity == "error" else "warning",
        f"The file's encoding is broken: {source.fault}",
        int(place[1]) if place else 1,
        suggestion="Save the file as UTF-8",
        alembic=f"SyntaxError: {error}" if error else "nothing: this Python lets it pass",
    )


def _loose_assignments(text: str) -> Iterator[ast.stmt]:
    """The four assignments of a file that does not parse, each on a line of its own.

    A name that is assigned twice is left out: in a file with conflict markers either may be meant.
    """
    found: dict[str, list[ast.stmt]] = {}
    line, counted = 0, 0
    for match in _ASSIGNMENT.finditer(text):
        line += len(lines_of(text[counted : match.start()])) - 1
        counted = match.start()
        tree = tree_of(match[0])
        for statement in tree.body if tree else ():
            ast.increment_lineno(statement, line)
            found.setdefault(match[0].partition("=")[0].partition(":")[0].strip(), []).append(
                statement
            )
    for statements in found.values():
        if len(statements) == 1:
            yield statements[0]


def _docstring(tree: ast.Module | None) -> tuple[str, ast.expr] | None:
    first = tree.body[0] if tree and tree.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        value = first.value.value
        return (value, first.value) if isinstance(value, str) else None
    return None


def _header(source: Source, node: ast.expr) -> dict[str, HeaderLine]:
    """The header, of the docstring alone: comments around it may say what they like."""
    first, last = node.lineno, node.end_lineno or node.lineno
    lines = lines_of(source.text, last)[:last]
    start = column_of(source.text, first, node.col_offset) - 1
    end = column_of(source.text, last, node.end_col_offset or 0) - 1
    quotes = 3 if lines[-1][:end].endswith(('"""', "'''")) else 1
    lines[-1] = lines[-1][: max(end - quotes, 0)]
    opening = _OPENING.match(lines[first - 1], start)
    start = opening.end() if opening else start
    lines[first - 1] = " " * start + lines[first - 1][start:]
    return header_of([""] * (first - 1) + lines[first - 1 :])
