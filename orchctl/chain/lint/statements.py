"""What each kind of statement does: the half of the reader that follows the flow."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from orchctl.chain.lint.acts import CHANGES, Act
from orchctl.chain.lint.module import imported, thing_of
from orchctl.chain.lint.reader import Ending, Reader, Statement
from orchctl.chain.lint.things import RESULT, UNKNOWN, Batch, Built, Dotted, Local, Thing, truth

# What catches whatever goes wrong in a database.
_BROAD = frozenset(
    "BaseException DBAPIError DatabaseError Exception OperationalError SQLAlchemyError".split()
)
# A loop over a longer constant is followed once, with an unknown item.
_LONGEST = 60


def _expression(reader: Reader, node: ast.Expr) -> None:
    reader.evaluate(node.value)


def _assign(reader: Reader, node: ast.Assign) -> None:
    thing = reader.evaluate(node.value)
    for target in node.targets:
        bind(reader, target, thing)


def _annotated(reader: Reader, node: ast.AnnAssign) -> None:
    if node.value is not None:
        bind(reader, node.target, reader.evaluate(node.value))


def _augmented(reader: Reader, node: ast.AugAssign) -> None:
    added = reader.evaluate(node.value)
    result: Thing = UNKNOWN
    if isinstance(node.target, ast.Name) and isinstance(node.op, ast.Add):
        before = reader.look_up(node.target.id)
        if type(before) is type(added) and type(before) in (str, tuple):
            result = before + added
    bind(reader, node.target, result)


def bind(reader: Reader, target: ast.expr, thing: Thing) -> None:
    """Give a thing to what stands left of an `=`."""
    if isinstance(target, ast.Name):
        reader.set(target.id, thing)
    elif isinstance(target, ast.Starred):
        bind(reader, target.value, UNKNOWN)
    elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        if type(reader.look_up(target.value.id)) in (tuple, dict):
            reader.set(target.value.id, UNKNOWN)
    elif isinstance(target, ast.Tuple | ast.List):
        fits = type(thing) is tuple and len(thing) == len(target.elts)
        for index, element in enumerate(target.elts):
            bind(reader, element, thing[index] if fits else UNKNOWN)


def _condition(reader: Reader, node: ast.If) -> Ending:
    test = reader.evaluate(node.test)
    verdict = truth(test)
    if verdict is not None:
        return reader.run(node.body if verdict else node.orelse)
    first = len(reader.acts)
    ending = _either(reader, [node.body, node.orelse])
    if test is RESULT:  # `if rows: rows.fetchall()` knows that there may be no answer
        reader.answered(first)
    return ending


def _either(reader: Reader, bodies: Iterable[list[ast.stmt]]) -> Ending:
    """Go through each body as if it alone were run; what they don't agree on is unknown."""
    going: list[dict[str, Thing]] = []
    endings: set[Ending] = set()
    with reader.perhaps():
        for body in bodies:
            with reader.apart() as changed:
                ending = reader.run(body)
            endings.add(ending)
            if ending != "left":
                going.append(changed)
    for name in dict.fromkeys(name for changed in going for name in changed):
        before = reader.names.get(name, UNKNOWN)
        first, *others = (changed.get(name, before) for changed in going)
        reader.set(name, first if all(_same(other, first) for other in others) else UNKNOWN)
    return endings.pop() if len(endings) == 1 else "perhaps"


def _same(one: Thing, other: Thing) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


def _match(reader: Reader, node: ast.Match) -> Ending:
    subject = reader.evaluate(node.subject)
    bodies: list[list[ast.stmt]] = []
    for case in node.cases:
        fits = _fits(case.pattern, subject) if case.guard is None else None
        if fits is False:
            continue
        if fits and not bodies:
            return reader.run(case.body)
        bodies.append(case.body)
        if fits:
            return _either(reader, bodies)
    return _either(reader, [*bodies, []])


def _fits(pattern: ast.pattern, subject: Thing) -> bool | None:
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return True
    if isinstance(pattern, ast.MatchOr):
        found = [_fits(one, subject) for one in pattern.patterns]
        return True if True in found else None if None in found else False
    known = type(subject) is str and isinstance(pattern, ast.MatchValue)
    if known and isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant):
        return bool(pattern.value.value == subject)
    return None


def _loop(reader: Reader, node: ast.For | ast.AsyncFor) -> Ending:
    items = reader.evaluate(node.iter)
    if items is RESULT or (isinstance(items, Built) and items.name == "Query"):
        reader.note("read", node.iter)
    if isinstance(items, dict):
        items = tuple(items)
    if type(items) is tuple and len(items) <= _LONGEST:
        endings = list(_rounds(reader, node, items))
    else:
        with reader.perhaps():
            bind(reader, node.target, UNKNOWN)
            endings = [reader.run(node.body)]
    reader.run(node.orelse)
    return "on" if set(endings) <= {"on"} else "perhaps"


def _rounds(
    reader: Reader, node: ast.For | ast.AsyncFor, items: tuple[Thing, ...]
) -> Iterator[Ending]:
    was = reader.certain
    for item in items:
        bind(reader, node.target, item)
        ending = reader.run(node.body)
        yield ending
        if ending != "on":  # a `continue`, a `break` or a `return`: which is not asked
            reader.certain = False
    reader.certain = was


def _while(reader: Reader, node: ast.While) -> Ending:
    reader.evaluate(node.test)
    with reader.perhaps():
        ending = reader.run(node.body)
    return "on" if ending == "on" else "perhaps"


def _with(reader: Reader, node: ast.With | ast.AsyncWith) -> Ending:
    batches: list[Batch] = []
    first = len(reader.acts)
    suppressed = False
    for item in node.items:
        thing = reader.evaluate(item.context_expr)
        if isinstance(thing, Batch):
            batches.append(thing)
        suppressed = suppressed or _suppresses(reader, item.context_expr)
        if item.optional_vars is not None:
            bind(reader, item.optional_vars, thing)
    if suppressed:
        with reader.perhaps():
            ending = reader.run(node.body)
        _note_swallowed(reader, node, "suppress()", reader.acts[first:])
    else:
        ending = reader.run(node.body)
    for batch in batches:
        reader.note("batch", batch.node, table=batch.table, batch=batch)
    return ending


def _suppresses(reader: Reader, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = reader.evaluate(node.func)
    if called != Dotted("contextlib.suppress"):
        return False
    return any(_last_name(one) in _BROAD for one in node.args)


def _try(reader: Reader, node: ast.Try) -> Ending:
    first = len(reader.acts)
    if not node.handlers:
        ending = reader.run([*node.body, *node.orelse])
    else:
        with reader.perhaps():
            ending = _either(reader, [[*node.body, *node.orelse]])
            last = len(reader.acts)
            bodies = [handler.body for handler in node.handlers]
            if _either(reader, [*bodies, []]) != "on" or ending != "on":
                ending = "perhaps"
        # Only a failure leads there, and with --sql nothing fails.
        reader.answered(last)
        done, instead = reader.acts[first:last], reader.acts[last:]
        for handler in node.handlers:
            if _swallows(handler) and not any(_is_in(act, handler) for act in instead):
                _note_swallowed(reader, handler, _shown(handler), done)
    return reader.run(node.finalbody) if ending == "on" else ending


def _note_swallowed(reader: Reader, node: ast.AST, shown: str, done: Iterable[Act]) -> None:
    changes = tuple(act for act in done if act.effect in CHANGES)
    if changes:
        reader.swallowed.append((node, shown, changes))


def _swallows(handler: ast.ExceptHandler) -> bool:
    return any(_is_broad(one) for one in _caught(handler)) and not _raises(handler.body)


def _is_in(act: Act, handler: ast.ExceptHandler) -> bool:
    """Whether a handler makes a change of its own: another way of doing what failed."""
    line = act.node.lineno
    return act.effect in CHANGES and handler.lineno <= line <= (handler.end_lineno or line)


def _caught(handler: ast.ExceptHandler) -> list[ast.expr | None]:
    if isinstance(handler.type, ast.Tuple):
        return list(handler.type.elts)
    return [handler.type]


def _is_broad(caught: ast.expr | None) -> bool:
    return caught is None or _last_name(caught) in _BROAD


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _shown(handler: ast.ExceptHandler) -> str:
    return f"except {ast.unparse(handler.type)}" if handler.type else "except:"


def _raises(body: list[ast.stmt]) -> bool:
    """Whether a handler may let the failure through: a `raise`, or an exit of the process."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Raise):
                return True
            if isinstance(node, ast.Call) and _last_name(node.func) in ("exit", "_exit", "abort"):
                return True
    return False


def _function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    around = {} if reader.names is reader.module else reader.names
    reader.set(node.name, Local(node, around))


def _class(reader: Reader, node: ast.ClassDef) -> None:
    reader.set(node.name, UNKNOWN)
    for one in node.body:
        # A model of the file's own stands for its table.
        if isinstance(one, ast.Assign) and _last_name(one.targets[0]) == "__tablename__":
            reader.set(node.name, Built("Table", (reader.evaluate(one.value),), {}))


def _import(reader: Reader, node: ast.Import | ast.ImportFrom) -> None:
    for one in imported(node):
        reader.imports.append(one)
        reader.set(one.bound, thing_of(one))


def _return(reader: Reader, node: ast.Return) -> Ending:
    reader.give_back(reader.evaluate(node.value) if node.value is not None else None)
    return "left"


def _leave(reader: Reader, node: ast.stmt) -> Ending:
    return "left"


def _raise(reader: Reader, node: ast.Raise) -> Ending:
    reader.note("raise", node)
    return "left"


def _assert(reader: Reader, node: ast.Assert) -> None:
    reader.evaluate(node.test)


def _delete(reader: Reader, node: ast.Delete) -> None:
    for target in node.targets:
        bind(reader, target, UNKNOWN)


STATEMENTS: dict[type[ast.stmt], Statement] = {
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.If: _condition,
    ast.Match: _match,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.While: _while,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.Break: _leave,
    ast.Continue: _leave,
    ast.Assert: _assert,
    ast.Delete: _delete,
}
