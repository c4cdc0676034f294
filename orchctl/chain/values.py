"""What the names at a module's top level hold, worked out without running the module.

A small abstract interpreter: constants, tuples and lists of them, concatenation, f-strings of
constants, names assigned from either, the last assignment winning, `if` and `try` on both paths.
Whatever needs more than that is `Computed`: said to be unknown, never guessed. So is what a few
lines blow up (`a = (a, a)`, sixty times): no file takes more than its own size asks for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from orchctl.chain.touched import bound_in_passing, changed_by, touched_by


# Named tuples, because thousands are made and each dataclass costs a millisecond at start-up.
class Constant(NamedTuple):
    """A constant, and the expression that holds it.

    Attributes:
        value: The Python value.
        node: Where it stands.
        direct: Whether the expression is this assignment's own, so that changing it changes
            nothing else.
    """

    value: object
    node: ast.expr
    direct: bool = True


class Series(NamedTuple):
    """A tuple, list or set of values.

    Attributes:
        items: The values.
        node: The expression that holds it.
        direct: Whether it is this assignment's own; `items` of another one's are taken as shared.
        nested: Whether there are series among the items; none of those is nested in turn.
    """

    items: tuple[Value, ...]
    node: ast.expr
    direct: bool = True
    nested: bool = False


class Computed(NamedTuple):
    """A value that only running the file would tell."""

    node: ast.AST


Value = Constant | Series | Computed

# What is put together from other names: no real id, label or list of them comes near.
_MOST_ITEMS, _MOST_CHARACTERS = 10_000, 100_000


def module_values(body: Sequence[ast.stmt]) -> dict[str, Value]:
    """The values of the names that a module's statements leave behind.

    Args:
        body: The statements, in order.

    Returns:
        Each name bound at module level. The key `*` is there when a star import was met, or
        something else that any name may have come from.
    """
    scope: dict[str, Value] = {}
    _run(body, scope)
    if passing := bound_in_passing(body):
        known = scope if "*" in passing else passing
        scope |= {name: Computed(body[0]) for name in (*known, *passing)}
    return scope


def _run(body: Iterable[ast.stmt], scope: dict[str, Value]) -> None:
    for statement in body:
        if handler := _HANDLERS.get(type(statement)):
            handler(statement, scope)


def _assign(statement: ast.Assign, scope: dict[str, Value]) -> None:
    value = _fold(statement.value, scope)
    if len(statement.targets) > 1:
        value = _shared(value)
    for target in statement.targets:
        _bind(target, value, scope)


def _annotated(statement: ast.AnnAssign, scope: dict[str, Value]) -> None:
    if statement.value is not None:
        _bind(statement.target, _fold(statement.value, scope), scope)


def _augmented(statement: ast.AugAssign, scope: dict[str, Value]) -> None:
    value: Value = Computed(statement)
    if isinstance(statement.op, ast.Add) and isinstance(statement.target, ast.Name):
        before = scope.get(statement.target.id, value)
        value = _added(before, _fold(statement.value, scope), statement.value)
    _bind(statement.target, value, scope)


def _bind(target: ast.expr, value: Value, scope: dict[str, Value]) -> None:
    if isinstance(target, ast.Name):
        scope[target.id] = value
    elif isinstance(target, ast.Starred):
        _bind(target.value, Computed(target), scope)
    elif isinstance(target, ast.Tuple | ast.List):
        matching = isinstance(value, Series) and len(value.items) == len(target.elts)
        items = items_of(value) if isinstance(value, Series) and matching else ()
        for index, element in enumerate(target.elts):
            _bind(element, items[index] if items else Computed(target), scope)
    elif name := changed_by(target):
        _unknow(name, target, scope)


def _called(statement: ast.Expr, scope: dict[str, Value]) -> None:
    if name := changed_by(statement):
        _unknow(name, statement, scope)


def _unknow(name: str, origin: ast.AST, scope: dict[str, Value]) -> None:
    """Take a list for unknown, by all its names."""
    held = scope.get(name)
    if isinstance(held, Series):
        for other, value in scope.items():
            if isinstance(value, Series) and value.node is held.node:
                scope[other] = Computed(origin)


def _condition(statement: ast.If, scope: dict[str, Value]) -> None:
    # A chain of elif nests as deep as it is long: a loop, not a recursion.
    bodies: list[Sequence[ast.stmt]] = []
    rest: Sequence[ast.stmt] = [statement]
    while len(rest) == 1 and isinstance(branch := rest[0], ast.If):
        truth = _truth(branch.test, scope)
        if truth is not False:
            bodies.append(branch.body)
        rest = () if truth else branch.orelse
        if truth:
            break
    else:
        bodies.append(rest)
    if len(bodies) == 1:
        _run(bodies[0], scope)
    else:
        _run_either(scope, statement, *bodies)


def _attempt(statement: ast.Try, scope: dict[str, Value]) -> None:
    body = [*statement.body, *statement.orelse]
    # A handler may start after any part of the body.
    interrupted = _unsettled(statement.body, statement)
    outcomes = [_ran(body, scope)]
    outcomes += [_ran(handler.body, scope, interrupted) for handler in statement.handlers]
    _merge(scope, statement, outcomes)
    _run(statement.finalbody, scope)


def _repeated(statement: ast.For | ast.AsyncFor | ast.While, scope: dict[str, Value]) -> None:
    # What one round leaves behind, the next one may read.
    scope.update(_unsettled([statement], statement))
    _run(statement.orelse, scope)


def _unsettled(body: Iterable[ast.stmt], origin: ast.stmt) -> dict[str, Value]:
    """Every name that the statements bind, delete or may change, as unknown."""
    return dict.fromkeys(touched_by(body), Computed(origin))


def _chosen(statement: ast.Match, scope: dict[str, Value]) -> None:
    _run_either(scope, statement, [], *(case.body for case in statement.cases))


def _entered(statement: ast.With | ast.AsyncWith, scope: dict[str, Value]) -> None:
    for item in statement.items:
        if item.optional_vars is not None:
            _bind(item.optional_vars, Computed(item.optional_vars), scope)
    _run(statement.body, scope)


def _run_either(scope: dict[str, Value], origin: ast.stmt, *bodies: Sequence[ast.stmt]) -> None:
    """Run each body as if it were the only one; what they don't agree on is unknown."""
    _merge(scope, origin, [_ran(body, scope) for body in bodies])


def _ran(
    body: Sequence[ast.stmt], scope: dict[str, Value], start: Mapping[str, Value] | None = None
) -> dict[str, Value | None]:
    """What a body leaves behind in the names it touches, None for none; the scope stays as it is.

    Only these names are put aside: a copy of the scope for each body would make a long module
    quadratic.
    """
    touched = dict.fromkeys((*(start or ()), *_unsettled(body, ast.Pass())))
    before = {name: scope[name] for name in touched if name in scope}
    scope.update(start or {})
    try:
        _run(body, scope)
        return {name: scope.get(name) for name in touched}
    finally:
        for name in touched:
            scope.pop(name, None)
        scope.update(before)


def _merge(
    scope: dict[str, Value],
    origin: ast.stmt,
    outcomes: Sequence[Mapping[str, Value | None]],
) -> None:
    found: dict[str, list[Value | None]] = {}
    for outcome in outcomes:
        for name, value in outcome.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) < len(outcomes):
            values.append(scope.get(name))
        first, *others = values
        if all(value is None for value in values):
            scope.pop(name, None)
        elif first is not None and all(_same(first, other) for other in others):
            scope[name] = first
        else:
            scope[name] = Computed(origin)


def _defined(
    statement: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: dict[str, Value]
) -> None:
    scope[statement.name] = Computed(statement)


def _imported(statement: ast.Import | ast.ImportFrom, scope: dict[str, Value]) -> None:
    for alias in statement.names:
        name = alias.asname or alias.name.partition(".")[0]
        scope[name] = Computed(statement)


def _deleted(statement: ast.Delete, scope: dict[str, Value]) -> None:
    for target in statement.targets:
        if isinstance(target, ast.Name):
            scope.pop(target.id, None)
        elif name := changed_by(target):
            _unknow(name, target, scope)


_HANDLERS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: _called,
    ast.If: _condition,
    ast.Try: _attempt,
    ast.TryStar: _attempt,
    ast.For: _repeated,
    ast.AsyncFor: _repeated,
    ast.While: _repeated,
    ast.Match: _chosen,
    ast.With: _entered,
    ast.AsyncWith: _entered,
    ast.FunctionDef: _defined,
    ast.AsyncFunctionDef: _defined,
    ast.ClassDef: _defined,
    ast.Import: _imported,
    ast.ImportFrom: _imported,
    ast.Delete: _deleted,
}


def _fold(node: ast.expr, scope: dict[str, Value]) -> Value:
    handler = _FOLDS.get(type(node))
    return handler(node, scope) if handler else Computed(node)


def _constant(node: ast.Constant, _scope: dict[str, Value]) -> Value:
    return Constant(node.value, node)


def _looked_up(node: ast.Name, scope: dict[str, Value]) -> Value:
    return _shared(scope.get(node.id, Computed(node)))


def items_of(series: Series) -> tuple[Value, ...]:
    """The items, as shared where the series is."""
    return series.items if series.direct else tuple(map(_shared, series.items))


def _series(node: ast.Tuple | ast.List | ast.Set, scope: dict[str, Value]) -> Value:
    items: list[Value] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            inner = _fold(element.value, scope)
            if not isinstance(inner, Series) or len(items) + len(inner.items) > _MOST_ITEMS:
                return Computed(node)
            items.extend(items_of(inner))
        else:
            items.append(_fold(element, scope))
    inside = [item for item in items if isinstance(item, Series)]
    if any(item.nested for item in inside):
        return Computed(node)
    return Series(tuple(items), node, nested=bool(inside))


def _joined(node: ast.JoinedStr, scope: dict[str, Value]) -> Value:
    pieces: list[str] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            value = _fold(part.value, scope)
            plain = part.format_spec is None and part.conversion == -1
            if not plain or not isinstance(value, Constant):
                return Computed(node)
            try:
                pieces.append(str(value.value))
            except ValueError:  # an integer of thousands of digits
                return Computed(node)
        elif isinstance(part, ast.Constant):
            pieces.append(str(part.value))
    if len(pieces) > 1 and sum(map(len, pieces)) > _MOST_CHARACTERS:
        return Computed(node)
    return Constant("".join(pieces), node, direct=False)


def _sum(node: ast.BinOp, scope: dict[str, Value]) -> Value:
    # 'a' + 'b' + … nests to the left as deep as it is long: a loop, not a recursion.
    if not isinstance(node.op, ast.Add):
        return Computed(node)
    terms: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
        terms.append(left.right)
        left = left.left
    total = _fold(left, scope)
    for term in reversed(terms):
        total = _added(total, _fold(term, scope), node)
        if isinstance(total, Computed):
            return total
    return total


def _added(left: Value, right: Value, node: ast.expr) -> Value:
    if isinstance(left, Series) and isinstance(right, Series):
        if len(left.items) + len(right.items) <= _MOST_ITEMS:
            nested = left.nested or right.nested
            return Series(items_of(left) + items_of(right), node, nested=nested)
    elif isinstance(left, Constant) and isinstance(right, Constant):
        first, second = left.value, right.value
        if not isinstance(first, str) or not isinstance(second, str):
            return Computed(node)
        if len(first) + len(second) <= _MOST_CHARACTERS:
            return Constant(first + second, node, direct=False)
    return Computed(node)


def _either(node: ast.IfExp, scope: dict[str, Value]) -> Value:
    truth = _truth(node.test, scope)
    if truth is not None:
        return _fold(node.body if truth else node.orelse, scope)
    first, second = _fold(node.body, scope), _fold(node.orelse, scope)
    return first if _same(first, second) else Computed(node)


def _converted(node: ast.Call, scope: dict[str, Value]) -> Value:
    """`tuple([...])` and its like, and `str('...')`: nothing else is worth a guess."""
    if not isinstance(node.func, ast.Name) or len(node.args) != 1 or node.keywords:
        return Computed(node)
    if node.func.id in scope:
        return Computed(node)
    value = _fold(node.args[0], scope)
    if node.func.id in ("tuple", "list", "set", "frozenset") and isinstance(value, Series):
        return value
    if node.func.id == "str" and isinstance(value, Constant) and isinstance(value.value, str):
        return value
    return Computed(node)


_FOLDS: dict[type[ast.expr], Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: _looked_up,
    ast.Tuple: _series,
    ast.List: _series,
    ast.Set: _series,
    ast.JoinedStr: _joined,
    ast.BinOp: _sum,
    ast.IfExp: _either,
    ast.Call: _converted,
}


def _truth(test: ast.expr, scope: dict[str, Value]) -> bool | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _truth(test.operand, scope)
        return None if inner is None else not inner
    value = _fold(test, scope)
    if isinstance(value, Constant):
        return bool(value.value)
    if isinstance(test, ast.Compare) and _asks_for_main(test):
        return False
    # At run time typing.TYPE_CHECKING is False.
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return False if name == "TYPE_CHECKING" else None


def _asks_for_main(test: ast.Compare) -> bool:
    """Whether it is `__name__ == "__main__"`."""
    name, others = test.left, test.comparators
    return (
        isinstance(name, ast.Name)
        and name.id == "__name__"
        and len(others) == 1
        and isinstance(test.ops[0], ast.Eq)
        and isinstance(others[0], ast.Constant)
        and others[0].value == "__main__"
    )


def _same(first: Value, second: Value | None) -> bool:
    if isinstance(first, Constant) and isinstance(second, Constant):
        return type(first.value) is type(second.value) and first.value == second.value
    if isinstance(first, Series) and isinstance(second, Series):
        if first.items is second.items or len(first.items) != len(second.items):
            return first.items is second.items
        return all(map(_same, first.items, second.items))
    # The same import or function on both paths is one and the same thing.
    return isinstance(first, Computed) and first is second


def _shared(value: Value) -> Value:
    if isinstance(value, Constant | Series) and value.direct:
        return value._replace(direct=False)
    return value
