"""SQL text as SQLite's tokens, and one spelling in which equal texts are equal.

After `sqlite3GetToken` (https://www.sqlite.org/src/file/src/tokenize.c): comments and white space
are nothing, keywords and bare names fold their ASCII letters, a name may stand in "…", `…` or […].
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a token is."""

    WORD = "word"  # a keyword or a bare name
    NAME = "name"  # a name in quotes
    STRING = "string"
    VALUE = "value"  # a number or a blob
    SIGN = "sign"  # an operator, a bracket, a comma


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: What it is.
        text: As written; of a name or string in quotes, what the quotes hold.
        quote: The opening quote of a name.
    """

    kind: Kind
    text: str
    quote: str = ""

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, given in upper case."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_sign(self, sign: str) -> bool:
        """Whether it is this operator or bracket."""
        return self.kind is Kind.SIGN and self.text == sign


Tokens = Sequence[Token]
_CALLED = (Kind.WORD, Kind.NAME)

_TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\n\f\r\ufeff]+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<blob>[xX]'[^']*')
    |(?P<string>'(?:[^']|'')*(?:'|\Z))
    |(?P<name>"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
    |(?P<word>[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_$\x80-\U0010ffff]*)
    |(?P<number>0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)
    |(?P<sign>\|\||->>|->|<<|>>|<=|>=|<>|!=|==|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# Keywords that may not stand as a name without quotes, or would mean something else there.
_RESERVED_WORDS = """
ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CAST CHECK COLLATE COMMIT CONSTRAINT CREATE
CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE
EXCEPT EXISTS FALSE FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS ISNULL JOIN LIMIT
NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY RAISE REFERENCES RETURNING SELECT SET TABLE THEN TO
TRANSACTION TRUE UNION UNIQUE UPDATE USING VALUES WHEN WHERE
"""
# The others: they may be names as well, so a name in quotes is spelled as they are.
_OTHER_WORDS = """
ABORT AFTER ASC BEFORE BEGIN BY CASCADE COLUMN CONFLICT CROSS CURRENT DEFERRED DESC EACH END
EXCLUDE FAIL FILTER FOLLOWING FOR FULL GLOB GROUPS IF IGNORE IMMEDIATE INITIALLY INNER INSTEAD
LEFT LIKE MATCH MATERIALIZED NATURAL NO NULLS OF OFFSET OTHERS OUTER OVER PARTITION PRECEDING
RANGE RECURSIVE REGEXP REPLACE RESTRICT RIGHT ROLLBACK ROW ROWS TIES TRIGGER UNBOUNDED VIEW WINDOW
WITH WITHOUT
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
_KEYWORDS = _RESERVED.union(_OTHER_WORDS.split())
_PLAIN = re.compile(r"[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_$\x80-\U0010ffff]*")


def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of an SQL text; never fails: what isn't SQL comes out as signs."""
    return tuple(_tokens(sql))


def folded(name: str) -> str:
    """A name as SQLite compares it: only ASCII letters lose their case."""
    return name.lower() if name.isascii() else re.sub("[A-Z]+", lambda m: m[0].lower(), name)


def identifier(name: str) -> str:
    """A name folded, in double quotes where it needs them."""
    return _unquoted(folded(name))


def identifiers(names: Collection[str]) -> str:
    """Names folded and joined: `a, "b c"`."""
    return ", ".join(map(identifier, names))


def expression(found: Tokens, columns: Collection[str]) -> str:
    """An expression of a table in one spelling; parentheses around all of it fall away.

    Args:
        found: Its tokens.
        columns: The table's columns, folded. A name in double quotes that is none of them is a
            string to SQLite (https://www.sqlite.org/quirks.html, section 8).
    """
    found = unwrapped(found)
    return _joined(
        found,
        [_in_expression(token, found, i, columns) for i, token in enumerate(found)],
    )


def statement(found: Tokens, names: Collection[str]) -> str:
    """A view's or trigger's statement in one spelling; what a view calls a column keeps its case.

    Args:
        found: Its tokens.
        names: All names of the schema, folded: what in double quotes is none of them may be a
            string, and stays as it is.
    """
    texts, casts = [], [False]
    for position, token in enumerate(found):
        if token.is_sign("("):
            casts.append(position > 0 and found[position - 1].is_word("CAST"))
        elif token.is_sign(")") and len(casts) > 1:
            casts.pop()
        alias = position > 0 and found[position - 1].is_word("AS") and not casts[-1]
        if alias and token.kind in _CALLED and not _is_keyword(token.text):
            texts.append(_unquoted(token.text))
        elif token.kind is Kind.NAME and folded(token.text) not in names:
            texts.append(_written(token))
        else:
            texts.append(_in_expression(token, found, position, names))
    return _joined(found, texts)


def verbatim(found: Tokens) -> str:
    """Tokens as they were written, but for white space and comments."""
    return _joined(found, [_written(token) for token in found])


def unwrapped(found: Tokens) -> Tokens:
    """Without parentheses that enclose all of it."""
    while len(found) > 1 and found[0].is_sign("(") and closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def closing(found: Tokens, opening: int) -> int:
    """Where the parenthesis that opens at `opening` closes; the end when it doesn't."""
    depth = 0
    for position in range(opening, len(found)):
        if found[position].is_sign("("):
            depth += 1
        elif found[position].is_sign(")"):
            depth -= 1
            if depth == 0:
                return position
    return len(found)


def split(found: Tokens) -> list[Tokens]:
    """The parts between the commas that stand outside parentheses."""
    parts: list[Tokens] = []
    depth = start = 0
    for position, token in enumerate(found):
        if token.is_sign("("):
            depth += 1
        elif token.is_sign(")"):
            depth -= 1
        elif depth == 0 and token.is_sign(","):
            parts.append(found[start:position])
            start = position + 1
    return [*parts, found[start:]]


def _tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        text = match[0]
        match match.lastgroup:
            case "skip":
                continue
            case "word":
                yield Token(Kind.WORD, text)
            case "string":
                yield Token(Kind.STRING, text[1:].removesuffix("'").replace("''", "'"))
            case "name":
                end = "]" if text[0] == "[" else text[0]
                content = text[1:].removesuffix(end)
                yield Token(Kind.NAME, content.replace(end * 2, end), text[0])
            case "blob":
                yield Token(Kind.VALUE, "x" + text[1:].upper())
            case "number":
                yield Token(Kind.VALUE, text.lower().replace("_", ""))
            case _:
                yield Token(Kind.SIGN, text)


def _in_expression(token: Token, found: Tokens, position: int, columns: Collection[str]) -> str:
    match token.kind:
        case Kind.WORD:
            return token.text.upper() if _is_keyword(token.text) else folded(token.text)
        case Kind.NAME if token.quote == '"' and not _names(token, found, position, columns):
            return _string(token.text)
        case Kind.NAME:
            return _unquoted(folded(token.text))
        case _:
            return _written(token)


def _names(token: Token, found: Tokens, position: int, columns: Collection[str]) -> bool:
    """Whether a token in double quotes is a name: of a column, a function, a part of `a.b`."""
    if folded(token.text) in columns:
        return True
    before = found[position - 1 : position] if position else ()
    after = found[position + 1 : position + 2]
    if any(one.is_word("COLLATE") or one.is_sign(".") for one in before):
        return True
    return any(one.is_sign("(") or one.is_sign(".") for one in after)


def _written(token: Token) -> str:
    match token.kind:
        case Kind.STRING:
            return _string(token.text)
        case Kind.NAME:
            end = "]" if token.quote == "[" else token.quote
            return token.quote + token.text.replace(end, end * 2) + end
        case _:
            return token.text


def _unquoted(name: str) -> str:
    if name.upper() in _RESERVED or not _PLAIN.fullmatch(name):
        return '"' + name.replace('"', '""') + '"'
    return name.upper() if _is_keyword(name) else name


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_keyword(word: str) -> bool:
    return word.upper() in _KEYWORDS


def _joined(found: Tokens, texts: Sequence[str]) -> str:
    """Blanks between tokens, but where the eye wants none; which is which can be told back."""
    pieces: list[str] = []
    for position, text in enumerate(texts):
        if position and _apart(found[position - 1], texts[position - 1], found[position]):
            pieces.append(" ")
        pieces.append(text)
    return "".join(pieces)


def _apart(left: Token, spelled: str, right: Token) -> bool:
    if left.kind is Kind.SIGN and left.text in ("(", "."):
        return False
    if right.kind is not Kind.SIGN:
        return True
    if right.text == "(":
        return left.kind not in _CALLED or spelled in _KEYWORDS
    return right.text not in (")", ",", ".", ";")
