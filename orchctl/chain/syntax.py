"""Whether Python takes a file: found without compiling it, where its text leaves no doubt.

Compiling has four parts, and each of them can refuse a file: the parser, the reader of
`from __future__`, the symbol table, and what makes the code. Where the lint rules are asked for,
the parser has run already. What the other three can refuse shows in the text, as a word (`return`,
`global`, …), as parameters, or as a keyword that one call is given twice; a file in which nothing
of that kind stands need not be compiled. tests/unit/chain/test_syntax.py holds that no refusal is
missed.
"""

from __future__ import annotations

import ast
import re

# Wrong code; a null byte (a ValueError up to 3.11.3); too deep for the parser's own stack (a
# MemoryError) or for the compiler's.
REFUSALS = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)

# The parts of CPython give up at depths that differ by one or two; nothing is as deep in so few
# characters that one part takes it and another one does not.
_LONGEST = 8000

# Without one of these in the text, a parsed file can only fail for what is looked at below. Parts
# of words count, and what stands in strings: that costs time, nothing else.
_DOUBTFUL = (
    "return",
    "break",
    "continue",
    "yield",
    "await",
    "async",
    "except",
    "try",
    "match",
    "__debug__",
    "*",
    "\\",
    "'''",
    '"""',
    "\r",
    "\f",
    "global",
    "nonlocal",
    ":=",
    "lambda",
    "class",
    "type ",
    "type\t",
    "def\t",
)
_FUTURE = re.compile(r"(?:\s|#[^\n]*\n)*from __future__ import annotations\n")
_LITERAL = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*")
_PREFIXED = re.compile(r"\w'")
_WITHOUT_KEYWORDS = re.compile(r"\([^()=]*\)")
_SIGN = re.compile(r"([()=])")
_WITH = re.compile(r"\n[ \t]*with [\w.]+\([^()\n]*\)(?: as \w+)?:(?=\n)")
_FUNCTION = re.compile(r"\n[ \t]*def \w+\(\)(?: ?-> ?None)?:(?=[ \n])")
# Python nests twenty blocks at most; a level takes one character of indentation at least.
_BLOCKS = 15
_DEEP = re.compile(r"\n[ \t]{15}")


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
    """Whether Python takes a text that its parser takes, as far as that shows at once.

    Args:
        text: A text that `ast.parse` has taken.

    Returns:
        False where only compiling tells.
    """
    body = _after_docstring(text)
    return _is_plain(text, body) and _has_plain_functions(body) and not _may_repeat(body)


def _after_docstring(text: str) -> str:
    if not text.startswith('"""'):
        return text
    # Where a backslash makes this the wrong end, the right one is left over, which is doubtful.
    return text[text.find('"""', 3) + 3 :]


def _is_plain(text: str, body: str) -> bool:
    if len(text) > _LONGEST or not text.isascii():
        return False
    for word in _DOUBTFUL:
        if word in body:
            return False
    if "__future__" in body and not (body.count("__future__") == 1 and _FUTURE.match(body)):
        return False
    return _nests_little(body)


def _nests_little(body: str) -> bool:
    managers = body.count("with")
    if managers and managers != len(_WITH.findall(body)):
        return False  # `with a, b, c:` nests as deep as three of them
    few = managers + body.count("for") + body.count("while") <= _BLOCKS
    return few or not _DEEP.search(body)


def _may_repeat(body: str) -> bool:
    """Whether a call may be given the same keyword twice."""
    code = _LITERAL.sub("'", body)
    if '"' in code or _PREFIXED.search(code):
        return True  # an f-string has code inside
    pieces = iter(_SIGN.split(_WITHOUT_KEYWORDS.sub("", code)))
    before = next(pieces)
    call: set[str] = set()
    calls = [call]
    for sign in pieces:
        if sign == "(":
            call = set()
            calls.append(call)
        elif sign == ")":
            calls.pop()
            if not calls:
                return True
            call = calls[-1]
        elif len(calls) > 1:
            name = before.rpartition(",")[2].strip(" \t\n'")  # comments may stand before it
            if name in call:
                return True
            call.add(name)
        before = next(pieces)
    return False


def _has_plain_functions(body: str) -> bool:
    """Whether no function has parameters: two of them could have the same name."""
    return body.count("def ") == len(_FUNCTION.findall(body))
