"""Where the URLs of an env.py come from."""

from __future__ import annotations

import ast
from collections.abc import Callable

from orchctl.chain.bindings import Binding, Bindings

# Replacements that leave the database the same: escaping for configparser, another driver.
_HARMLESS_REPLACEMENTS = (
    ("%", "%%"),
    ("sqlite://", "sqlite+aiosqlite://"),
    ("sqlite+aiosqlite://", "sqlite://"),
)
_VARIABLE = "DATABASE_URL"


class Doubt(Exception):
    """Why something is not proven."""

    def __init__(self, reason: str, node: ast.AST | None = None) -> None:
        line = getattr(node, "lineno", None)
        super().__init__(f"Line {line}: {reason}" if line else reason)


class Urls:
    """The URLs of one env.py.

    Args:
        names: Its names.
        is_config: Whether a node is Alembic's configuration.
    """

    def __init__(self, names: Bindings, is_config: Callable[[ast.AST], bool]) -> None:
        self._names = names
        self._is_config = is_config
        self._assumed: set[tuple[str, str]] = set()

    def check_all(self) -> None:
        """Check everything in the module that sets a URL.

        Raises:
            Doubt: Something sets another one.
        """
        variable = any(is_text(node, _VARIABLE) for node in self._names.nodes)
        for node in self._names.nodes:
            if isinstance(node, ast.Call):
                self._check_setting(node)
            elif isinstance(node, ast.Subscript | ast.Attribute):
                self._check_target(node)
            if variable:
                self._check_environment(node)

    def is_url(self, node: ast.AST) -> bool:
        """Whether a node is the configured URL, or DATABASE_URL, and nothing else."""
        if isinstance(node, ast.Name):
            return self.all_bound(
                node, "url", lambda one: one.kind == "value" and self.is_url(one.node)
            )
        if isinstance(node, ast.IfExp):
            return self.is_url(node.body) and self.is_url(node.orelse)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            # DATABASE_URL is set and not empty, so whatever stands behind it is never used.
            return self._is_variable(node.values[0]) or all(map(self.is_url, node.values))
        return self._is_option(node) or self._is_variable(node) or self._is_rewritten(node)

    def is_main_section(self, node: ast.AST) -> bool:
        """Whether a node is the name of the configuration's main section."""
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "config_ini_section"
            and self._is_config(node.value)
        )

    def _is_option(self, node: ast.AST) -> bool:
        """`config.get_main_option("sqlalchemy.url")`."""
        if not isinstance(node, ast.Call) or node.keywords or not self._is_config(owner_of(node)):
            return False
        if method_of(node) == "get_main_option":
            return len(node.args) == 1 and is_text(node.args[0], "sqlalchemy.url")
        if method_of(node) == "get_section_option" and len(node.args) == 2:
            main = self.is_main_section(node.args[0])
            return main and is_text(node.args[1], "sqlalchemy.url")
        return False

    def _is_variable(self, node: ast.AST) -> bool:
        """`os.environ["DATABASE_URL"]`, `os.environ.get("DATABASE_URL", …)`, `os.getenv(…)`."""
        if isinstance(node, ast.Subscript):
            return self._is_environ(node.value) and is_text(node.slice, _VARIABLE)
        if not isinstance(node, ast.Call) or not node.args:
            return False
        if self._names.is_import(node.func, "os.getenv"):
            return is_text(node.args[0], _VARIABLE)
        getter = method_of(node) == "get" and self._is_environ(owner_of(node))
        return getter and is_text(node.args[0], _VARIABLE)

    def _is_environ(self, node: ast.AST) -> bool:
        return self._names.is_import(node, "os.environ")

    def _is_rewritten(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call) or node.keywords:
            return False
        if isinstance(node.func, ast.Name) and node.func.id == "str" and len(node.args) == 1:
            return not self._names.of(node.func) and self.is_url(node.args[0])
        if method_of(node) != "replace" or not self.is_url(owner_of(node)):
            return False
        values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        return len(node.args) == 2 and tuple(values) in _HARMLESS_REPLACEMENTS

    def all_bound(self, node: ast.Name, what: str, fits: Callable[[Binding], bool]) -> bool:
        """Whether all that is ever bound to a name fits."""
        bound = self._names.of(node)
        if (what, node.id) in self._assumed:
            # A name that leads back to itself adds nothing to what its other bindings say.
            return True
        self._assumed.add((what, node.id))
        try:
            return bool(bound) and all(fits(binding) for binding in bound)
        finally:
            self._assumed.discard((what, node.id))

    def _check_setting(self, node: ast.Call) -> None:
        if method_of(node) != "set_main_option":
            return
        key = node.args[0] if len(node.args) == 2 and not node.keywords else None
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise Doubt("set_main_option() sets something that only running it would show", node)
        # configparser takes option names in any case; any option may stand in the URL as %(name)s.
        if key.value.lower() != "sqlalchemy.url" or not self.is_url(node.args[1]):
            raise Doubt(f"set_main_option({key.value!r}) sets another value", node)

    def _check_target(self, node: ast.Subscript | ast.Attribute) -> None:
        """Check what is assigned to, or deleted."""
        if isinstance(node.ctx, ast.Load):
            return
        if isinstance(node, ast.Attribute):
            if node.attr in ("environ", "pool", "url"):
                raise Doubt(f".{node.attr} is set", node)
            return
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str) and key.lower().startswith("sqlalchemy."):
            raise Doubt(f"{key} is set", node)

    def _check_environment(self, node: ast.AST) -> None:
        """Check that nothing sets DATABASE_URL, where it is read."""
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else method_of(node)
            overrides = any(keyword.arg in ("override", None) for keyword in node.keywords)
            if name == "putenv" or (name == "load_dotenv" and (overrides or len(node.args) > 2)):
                raise Doubt(f"{name}() may change {_VARIABLE}", node)
        if not self._is_environ(node):
            return
        parent = self._names.parent(node)
        if isinstance(parent, ast.Attribute) and parent.attr in ("copy", "get", "items", "keys"):
            return
        if isinstance(parent, ast.Subscript) and parent.value is node:
            key = parent.slice.value if isinstance(parent.slice, ast.Constant) else None
            if isinstance(parent.ctx, ast.Load) or (key and key != _VARIABLE):
                return
        elif isinstance(parent, ast.Compare):
            return
        raise Doubt(f"{_VARIABLE} may be set through os.environ", parent)


def method_of(node: ast.Call) -> str | None:
    """The method that is called, or None for a plain function."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else None


def owner_of(node: ast.Call) -> ast.AST:
    """What a method is called on; for a plain function the call itself."""
    return node.func.value if isinstance(node.func, ast.Attribute) else node


def is_text(node: ast.AST, text: str) -> bool:
    """Whether a node is this string, written out."""
    return isinstance(node, ast.Constant) and node.value == text
