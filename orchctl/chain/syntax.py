"""Whether Python takes a file: asked of Python once for every statement of the same shape.

Most statements of a chain have been in it before but for the texts in quotes; of a `create_table`,
most lines. What stands between
simple quotes is nothing that Python could refuse; so a statement is taken when its shape is, and a
file is taken when all of its statements are, each by itself: what Python refuses only about two of
them together (`global`, a late `from __future__`) makes it compile the file whole. So does whatever
is not taken: what is refused, and why, Python alone says. tests/unit/chain/test_syntax.py holds
that no refusal is missed.
"""

from __future__ import annotations

import ast
import re
from typing import Literal

# Wrong code; a null byte (a ValueError up to 3.11.3); too deep for the parser's own stack (a
# MemoryError) or for the compiler's.
REFUSALS = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)

# Statements about other statements; and what makes lines and quotes other than they look.
_DOUBTFUL = ("global", "nonlocal", "async", "\\", "'''", "\t", "\r", "\f", "\0")
_FUTURE = re.compile(r"\s*from __future__ import annotations\n")
# Expressions begin with what is rare, where they can: Python looks for that ten times faster.
_LICENSE = re.compile(r"\A(?:#[^\n\r\0]*\n|\n)+")
_COMMENT_LINE = re.compile(r"\n *#[^\n]*(?=\n)")
_DOCSTRING = re.compile(r"^    \"\"\"([^\"\n]*)\"\"\"$", re.MULTILINE)
_LITERAL = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
# In place of a literal. The space keeps two of them apart.
_EMPTY = "'' "
_PREFIXED = re.compile(r"''(?<=\w'')")
OUTER = re.compile(r"\n(?=[^\s)\]}])")
INNER = re.compile(r"\n    (?=[^\s)\]}])")
ARGUMENT = re.compile(r"\n        (?=[^\s)\]}])")
CALL = re.compile(r"\w+\.[\w.]+\(")
_MOST_SHAPES = 5000
# What Python has taken: whole code; statements in a function; lines that are arguments.
_shapes: set[str] = set()
_statements: set[str] = set()
_arguments: set[str] = set()


def refusal(code: str | bytes, path: str) -> BaseException | None:
    """What Python says when it compiles a file as an import would; None when it takes it.

    Args:
        code: The file's text, or its bytes.
        path: Its name, for the message.
    """
    try:
        compile(code, path, "exec", dont_inherit=True)
    except REFUSALS as error:
        return error
    return None


def tree_of(text: str) -> ast.Module | None:
    """The syntax of a text; None when the parser refuses it."""
    try:
        return ast.parse(text)
    except REFUSALS:
        return None


def surely_compiles(text: str) -> bool:
    """Whether Python takes a text, as far as its statements tell one by one.

    Returns:
        False where only compiling the whole tells.
    """
    shape = _shape(text)
    if shape is None:
        return False
    for statement in OUTER.split(shape):
        if not statement.startswith("def "):
            if not takes(statement):
                return False
            continue
        head, *body = INNER.split(statement)
        if not body or not takes(f"{head}\n    0"):
            return False
        for inner in body:
            if not _takes_inner(inner.rstrip()):
                return False
    return True


def _takes_inner(statement: str) -> bool:
    """Whether a function may hold a statement: a call with a line for each argument, or any."""
    if statement in _statements:
        return True
    if "\n        " in statement and _takes_lines(statement):
        return True
    if not takes(f"def f():\n    {statement}"):
        return False
    _keep(_statements, statement)
    return True


def _takes_lines(statement: str) -> bool:
    """Whether it is a call with a line for each argument, and Python takes each by itself."""
    head, *arguments = ARGUMENT.split(statement)
    # In a call, unlike in a list, `yield` needs brackets of its own.
    if not arguments or not CALL.fullmatch(head) or "yield" in statement:
        return False
    last = arguments[-1].removesuffix("\n    )")
    if last == arguments[-1]:
        return False
    arguments[-1] = last
    for line in arguments:
        if line not in _arguments and not _is_argument(line):
            return False
    return takes(f"def f():\n    {head})")


def _is_argument(line: str) -> bool:
    """Whether a line is an argument without a keyword, or several, with a comma behind it."""
    if not line.endswith(",") or "#" in line:
        return False
    # Within brackets of both kinds: so it closes none that it has not opened.
    if not takes(f"[{line}]", "eval") or not takes(f"({line})", "eval"):
        return False
    _keep(_arguments, line)
    return True


def takes(code: str, mode: Literal["exec", "eval"] = "exec") -> bool:
    """Whether Python compiles a piece of code, asked of it once."""
    if code in _shapes:
        return True
    try:
        compile(code, "", mode, dont_inherit=True)
    except REFUSALS:
        return False
    _keep(_shapes, code)
    return True


def _keep(known: set[str], text: str) -> None:
    if len(known) >= _MOST_SHAPES:
        known.clear()
    known.add(text)


def _shape(text: str) -> str | None:
    """A text without its docstring and comment lines, literals empty; None where in doubt."""
    body = without_comments(text)
    if body is None:
        return None
    shape = _LITERAL.sub(_EMPTY, body)
    return None if _PREFIXED.search(shape) else shape


def without_comments(text: str) -> str | None:
    """A text without what its docstring says and comment lines, all literals in simple quotes.

    Returns:
        It, in which no literal has an escape or goes over a line's end; None where in doubt.
    """
    docstring, body = "", text
    if text.startswith("#"):
        body = _LICENSE.sub("", text, count=1)
    if body.startswith('"""'):
        end = body.find('"""', 3)
        docstring, body = body[3:end], body[end + 3 :]
        if end < 0 or "\\" in docstring or "\0" in docstring or not body.startswith("\n"):
            return None
        docstring = '""'
    for word in _DOUBTFUL:
        if word in body:
            return None
    if "#" in body:
        body = _COMMENT_LINE.sub("", body)
    if '"""' in body:
        body = _DOCSTRING.sub(r'    "\1"', body)
        if '"""' in body:
            return None
    if "__future__" in body and not (body.count("__future__") == 1 and _FUTURE.match(body)):
        return None
    return docstring + body
