"""Every name of a module with everything that is ever bound to it.

The order of execution is left out on purpose: what is true of all bindings of a name is true
wherever the name is read, and that is all that a proof may use. Scopes are told apart only where a
parameter hides a name of the module.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Kind = Literal["value", "with", "parameter", "function", "import", "other"]
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Binding(NamedTuple):
    """One way in which a name gets a value.

    Attributes:
        kind: `value` (assigned), `with` (entered), `parameter`, `function`, `import` or `other`.
        node: The assigned or entered expression, or the function.
        name: What is imported, dotted: `alembic.context`, `os`.
        position: A parameter's place among the parameters.
    """

    kind: Kind
    node: ast.AST
    name: str = ""
    position: int = 0


# A name, and the function whose parameter it is (None for all others).
_Key = tuple[str, ast.AST | None]


class Bindings:
    """The names of one module.

    Attributes:
        nodes: Every node of the module.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.nodes = list(ast.walk(tree))
        self._parents: dict[ast.AST, ast.AST] = {}
        self._parameters: dict[ast.AST, frozenset[str]] = {}
        self._bound: dict[_Key, list[Binding]] = defaultdict(list)
        self._loads: dict[_Key, list[ast.Name]] = defaultdict(list)
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                self._parameters[node] = frozenset(name for name, _ in _parameters_of(node))
        self._hidden = frozenset().union(*self._parameters.values())
        self._gather()

    def _gather(self) -> None:
        understood: set[ast.AST] = set()
        for node in self.nodes:
            for name, binding in _bindings_of(node, understood):
                self._bound[self._key(name, node)].append(binding)
            for name, binding in _parameters_of(node):
                self._bound[(name, node)].append(binding)
        for node in self.nodes:
            if isinstance(node, ast.Name):
                key = self._key(node.id, node)
                if isinstance(node.ctx, ast.Load):
                    self._loads[key].append(node)
                elif node not in understood:
                    self._bound[key].append(Binding("other", node))

    def _key(self, name: str, node: ast.AST) -> _Key:
        if name in self._hidden:
            child = node
            while (above := self._parents.get(child)) is not None:
                # Defaults and decorators are evaluated outside the function.
                inside = child in _body(above)
                if inside and name in self._parameters.get(above, ()):
                    return name, above
                child = above
        return name, None

    def of(self, node: ast.Name) -> list[Binding]:
        """What is bound to a name; empty for builtins and names from nowhere."""
        return self._bound.get(self._key(node.id, node), [])

    def loads(self, node: ast.Name) -> list[ast.Name]:
        """Where the same name is read."""
        return self._loads.get(self._key(node.id, node), [])

    def of_module(self, name: str) -> list[Binding]:
        """What is bound to a name that no parameter hides."""
        return self._bound.get((name, None), [])

    def loads_of_module(self, name: str) -> list[ast.Name]:
        """Where a name is read that no parameter hides."""
        return self._loads.get((name, None), [])

    def parent(self, node: ast.AST) -> ast.AST:
        """The node that a node stands in."""
        return self._parents[node]

    def is_import(self, node: ast.AST, *dotted: str) -> bool:
        """Whether a node is surely one of these modules or imported objects, by dotted name."""
        if isinstance(node, ast.Name):
            bound = self.of(node)
            return bool(bound) and all(
                binding.kind == "import" and binding.name in dotted for binding in bound
            )
        if isinstance(node, ast.Attribute):
            ends = [name.rpartition(".")[0] for name in dotted if name.endswith(f".{node.attr}")]
            return bool(ends) and self.is_import(node.value, *ends)
        return False


def _body(node: ast.AST) -> list[ast.stmt] | list[ast.expr]:
    if isinstance(node, ast.Lambda):
        return [node.body]
    return node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []


def _bindings_of(node: ast.AST, understood: set[ast.AST]) -> Iterator[tuple[str, Binding]]:
    """The bindings that a node makes; targets that are understood are added to the set."""
    if handler := _HANDLERS.get(type(node)):
        yield from handler(node, understood)


def _assigned(
    node: ast.Assign | ast.AnnAssign | ast.NamedExpr, understood: set[ast.AST]
) -> Iterator[tuple[str, Binding]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Name):
            understood.add(target)
            if node.value is not None:
                yield target.id, Binding("value", node.value)


def _entered(node: ast.withitem, understood: set[ast.AST]) -> Iterator[tuple[str, Binding]]:
    if isinstance(node.optional_vars, ast.Name):
        understood.add(node.optional_vars)
        yield node.optional_vars.id, Binding("with", node.context_expr)


def _defined(
    node: ast.FunctionDef | ast.AsyncFunctionDef, _understood: set[ast.AST]
) -> Iterator[tuple[str, Binding]]:
    yield node.name, Binding("other" if node.decorator_list else "function", node)


def _named(
    node: ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar,
    _understood: set[ast.AST],
) -> Iterator[tuple[str, Binding]]:
    if node.name:
        yield node.name, Binding("other", node)


def _imported(
    node: ast.Import | ast.ImportFrom, _understood: set[ast.AST]
) -> Iterator[tuple[str, Binding]]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            # `import a.b` binds `a`; `import a.b as c` binds a.b.
            name = alias.asname or alias.name.partition(".")[0]
            dotted = alias.name if alias.asname else name
        else:
            name = alias.asname or alias.name
            dotted = f"{'.' * node.level}{node.module or ''}.{alias.name}"
        yield name, Binding("import", node, dotted)


_HANDLERS: dict[type[ast.AST], Callable[..., Iterator[tuple[str, Binding]]]] = {
    ast.Assign: _assigned,
    ast.AnnAssign: _assigned,
    ast.NamedExpr: _assigned,
    ast.withitem: _entered,
    ast.FunctionDef: _defined,
    ast.AsyncFunctionDef: _defined,
    ast.ClassDef: _named,
    ast.ExceptHandler: _named,
    ast.MatchAs: _named,
    ast.MatchStar: _named,
    ast.Import: _imported,
    ast.ImportFrom: _imported,
}


def _parameters_of(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    for index, argument in enumerate([*node.args.posonlyargs, *node.args.args]):
        yield argument.arg, Binding("parameter", node, position=index)
    others = [*node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    for other in others:
        if other is not None:
            yield other.arg, Binding("other", node)
