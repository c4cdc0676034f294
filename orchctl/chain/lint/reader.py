"""Following what a revision would do on SQLite, without running it.

A small abstract interpreter: constants, names and branches are followed as far as the text tells,
functions of the file's own are entered, a test of the dialect goes the way it goes on SQLite. What
is not certain to run is marked so.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.module import Imported
from orchctl.chain.lint.things import UNKNOWN, Local, Thing

# How a block ends: it goes on, it may have left, it surely left.
Ending = Literal["on", "perhaps", "left"]
Statement = Callable[["Reader", Any], Ending | None]
Expression = Callable[["Reader", Any], Thing]

# Loops over constants and functions of the file's own are entered again and again, up to here.
_MOST_STATEMENTS = 20_000
_DEEPEST = 12

_UNSET = object()


class Reader:
    """Goes through a file's statements and notes what they do.

    Args:
        statements: What to do for each kind of statement.
        expressions: The same for expressions.

    Attributes:
        module: The names of the module.
        names: The names where the reader is.
        acts: What was done so far.
        certain: Whether what comes next surely runs.
        imports: What was imported.
        swallowed: Each `try` whose failures are swallowed, with what was done in it.
        offline: Whether the file asks if it is in offline mode.
    """

    def __init__(
        self,
        statements: dict[type[ast.stmt], Statement],
        expressions: dict[type[ast.expr], Expression],
    ) -> None:
        self._statements = statements
        self._expressions = expressions
        self._left = _MOST_STATEMENTS
        self._depth = 0
        self._inside: set[ast.AST] = set()
        self._returned: list[Thing] = []
        # What each name held before it was set; None while nobody will want it back.
        self._before: dict[str, Thing] | None = None
        self.module: dict[str, Thing] = {}
        self.names: dict[str, Thing] = self.module
        self.acts: list[Act] = []
        self.certain = True
        self.imports: list[Imported] = []
        self.swallowed: list[tuple[ast.AST, str, tuple[Act, ...]]] = []
        self.offline = False

    def evaluate(self, node: ast.expr) -> Thing:
        """What an expression stands for; what it does is noted."""
        handler = self._expressions.get(type(node))
        return UNKNOWN if handler is None else handler(self, node)

    def look_up(self, name: str) -> Thing:
        """What a name stands for here; UNKNOWN is also what a builtin gives."""
        found = self.names.get(name, self)
        return self.module.get(name, UNKNOWN) if found is self else found

    def set(self, name: str, thing: Thing) -> None:
        """Let a name stand for something from here on."""
        if self._before is not None:
            self._before.setdefault(name, self.names.get(name, _UNSET))
        self.names[name] = thing

    @contextmanager
    def apart(self) -> Iterator[dict[str, Thing]]:
        """What is set inside is taken back afterwards; the names and things that were set.

        Only these are put aside: a copy of all names for each branch would make a long file
        quadratic.
        """
        outer, self._before = self._before, {}
        changed: dict[str, Thing] = {}
        try:
            yield changed
        finally:
            for name, thing in self._before.items():
                changed[name] = self.names[name]
                if thing is _UNSET:
                    del self.names[name]
                else:
                    self.names[name] = thing
            self._before = outer

    def spend(self, statements: int) -> None:
        """Count work that is worth so many statements."""
        self._left -= statements

    def run(self, body: Iterable[ast.stmt]) -> Ending:
        """Go through statements."""
        was = self.certain
        ending: Ending = "on"
        for statement in body:
            self._left -= 1
            if self._left < 0:
                # What is left unread may do anything.
                self.note("unclear", statement)
                break
            handler = self._statements.get(type(statement))
            outcome = handler(self, statement) if handler is not None else None
            if outcome == "left":
                self.certain = was
                return outcome if ending == "on" else "perhaps"
            if outcome == "perhaps":
                ending = outcome
                self.certain = False
        self.certain = was
        return ending

    def enter(self, function: Local, args: Sequence[Thing], keywords: dict[str, Thing]) -> Thing:
        """Go through a function of the file's own, and give what it returns."""
        # One that calls itself does nothing new, and two such calls in it would take for ever.
        if self._depth >= _DEEPEST or self._left < 0 or function.node in self._inside:
            return UNKNOWN
        names, returned, before = self.names, self._returned, self._before
        self.names = {**function.around, **_bound(function.node, args, keywords)}
        self._returned, self._before = [], None
        self._depth += 1
        self._inside.add(function.node)
        was = self.certain
        # What a decorator makes of it is not in this text.
        self.certain = was and not function.node.decorator_list
        try:
            self.run(function.node.body)
            return self._returned[0] if len(self._returned) == 1 else UNKNOWN
        finally:
            self._depth -= 1
            self._inside.discard(function.node)
            self.certain = was
            self.names, self._returned, self._before = names, returned, before

    def give_back(self, thing: Thing) -> None:
        """Note what a `return` gives."""
        self._returned.append(thing)

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """What is done inside is not certain."""
        was, self.certain = self.certain, False
        try:
            yield
        finally:
            self.certain = was

    def answered(self, first: int) -> None:
        """Take the reads since then for ones that need no answer."""
        for index in range(first, len(self.acts)):
            if self.acts[index].kind == "read":
                self.acts[index] = self.acts[index]._replace(kind="answered")

    def note(self, kind: str, node: ast.expr | ast.stmt, **more: Any) -> None:
        """Note an act."""
        self.acts.append(Act(kind, node, self.certain, **more))


def _bound(
    node: ast.FunctionDef | ast.AsyncFunctionDef, args: Sequence[Thing], keywords: dict[str, Thing]
) -> dict[str, Thing]:
    names: dict[str, Thing] = {}
    positional = [*node.args.posonlyargs, *node.args.args]
    for one in (*positional, *node.args.kwonlyargs):
        names[one.arg] = keywords.get(one.arg, UNKNOWN)
    defaults = zip(reversed(positional), reversed(node.args.defaults), strict=False)
    pairs = [*defaults, *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=False)]
    for one, default in pairs:
        if one.arg not in keywords and isinstance(default, ast.Constant):
            names[one.arg] = default.value
    names |= {one.arg: thing for one, thing in zip(positional, args, strict=False)}
    for rest in (node.args.vararg, node.args.kwarg):
        if rest is not None:
            names[rest.arg] = UNKNOWN
    return names
