"""Where the engines and connections of an env.py come from."""

from __future__ import annotations

import ast
from collections.abc import Callable

from orchctl.chain.bindings import Binding, Bindings

_FROM_CONFIG = (
    "sqlalchemy.engine_from_config",
    "sqlalchemy.engine.engine_from_config",
    "sqlalchemy.ext.asyncio.async_engine_from_config",
    "sqlalchemy.ext.asyncio.engine.async_engine_from_config",
)
_FROM_URL = (
    "sqlalchemy.create_engine",
    "sqlalchemy.engine.create_engine",
    "sqlalchemy.ext.asyncio.create_async_engine",
    "sqlalchemy.ext.asyncio.engine.create_async_engine",
)
_ASYNC_ENGINE = ("sqlalchemy.ext.asyncio.AsyncEngine", "sqlalchemy.ext.asyncio.engine.AsyncEngine")
# Any function of such a name makes an engine, wherever it comes from.
_MAKERS = frozenset(
    (
        "engine_from_config",
        "async_engine_from_config",
        "create_engine",
        "create_async_engine",
        "create_mock_engine",
        "create_pool_from_url",
    )
)
_ENGINE_OPTIONS = frozenset(
    (
        "prefix",
        "poolclass",
        "future",
        "echo",
        "echo_pool",
        "isolation_level",
        "execution_options",
        "pool_pre_ping",
        "pool_size",
        "pool_recycle",
        "pool_timeout",
        "max_overflow",
        "connect_args",
        "json_serializer",
        "json_deserializer",
        "hide_parameters",
        "logging_name",
    )
)
_CONNECT_ARGUMENTS = frozenset(
    (
        "check_same_thread",
        "timeout",
        "isolation_level",
        "detect_types",
        "cached_statements",
        "autocommit",
    )
)
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


class Engines:
    """The engines, connections and URLs of one env.py.

    Args:
        names: Its names.
        is_config: Whether a node is Alembic's configuration.
    """

    def __init__(self, names: Bindings, is_config: Callable[[ast.AST], bool]) -> None:
        self._names = names
        self._is_config = is_config
        self._assumed: set[tuple[str, str]] = set()

    def check_all(self) -> None:
        """Check everything in the module that makes an engine or sets a URL.

        Raises:
            Doubt: One of them may lead to another database.
        """
        for node in self._names.nodes:
            if isinstance(node, ast.Call):
                if self._makes_engine(node) and not self.is_engine(node):
                    raise Doubt(
                        "An engine is made from something else than the configuration", node
                    )
                self._check_setting(node)
                self._check_environment(node)
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                self._check_key(node)

    def is_engine(self, node: ast.AST) -> bool:
        """Whether a node is an engine made from the configured URL."""
        if isinstance(node, ast.Name):
            return self._all(
                node, "engine", lambda one: one.kind == "value" and self.is_engine(one.node)
            )
        if not isinstance(node, ast.Call):
            return False
        if self._names.is_import(node.func, *_FROM_CONFIG):
            return self._options_known(node) and self._is_section(node.args[0])
        if self._names.is_import(node.func, *_FROM_URL):
            return self._options_known(node) and self.is_url(node.args[0])
        if self._names.is_import(node.func, *_ASYNC_ENGINE):
            return len(node.args) == 1 and not node.keywords and self.is_engine(node.args[0])
        return _method(node) == "execution_options" and self.is_engine(_owner(node))

    def is_connection(self, node: ast.AST) -> bool:
        """Whether a node is a connection of such an engine."""
        if isinstance(node, ast.Await):
            return self.is_connection(node.value)
        if isinstance(node, ast.Name):
            return self._all(node, "connection", self._gives_connection)
        if not isinstance(node, ast.Call):
            return False
        if _method(node) == "execution_options":
            return self.is_connection(_owner(node))
        return _method(node) in ("connect", "begin") and self.is_engine(_owner(node))

    def is_url(self, node: ast.AST) -> bool:
        """Whether a node is the configured URL, or DATABASE_URL, and nothing else."""
        if isinstance(node, ast.Name):
            return self._all(node, "url", lambda one: one.kind == "value" and self.is_url(one.node))
        if isinstance(node, ast.IfExp):
            return self.is_url(node.body) and self.is_url(node.orelse)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            # DATABASE_URL is set and not empty, so whatever stands behind it is never used.
            return self._is_variable(node.values[0]) or all(map(self.is_url, node.values))
        return self._is_option(node) or self._is_variable(node) or self._is_rewritten(node)

    def _gives_connection(self, binding: Binding) -> bool:
        if binding.kind in ("value", "with"):
            return self.is_connection(binding.node)
        if binding.kind == "parameter" and isinstance(
            binding.node, ast.FunctionDef | ast.AsyncFunctionDef
        ):
            return self._always_given(binding.node.name, binding.index)
        return False

    def _always_given(self, function: str, index: int) -> bool:
        """Whether a function gets a proven connection in this place wherever it is used."""
        bound = self._names.of_module(function)
        loads = self._names.loads_of_module(function)
        if len(bound) != 1 or bound[0].kind != "function" or not loads:
            return False
        return all(self._gives(load, self._names.parent(load), index) for load in loads)

    def _gives(self, load: ast.Name, call: ast.AST, index: int) -> bool:
        if not isinstance(call, ast.Call):
            return False
        if call.func is load:
            return len(call.args) > index and self.is_connection(call.args[index])
        if _method(call) == "run_sync" and call.args[0] is load and index == 0:
            return self.is_connection(_owner(call))
        return False

    def _all(self, node: ast.Name, what: str, fits: Callable[[Binding], bool]) -> bool:
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

    def _makes_engine(self, node: ast.Call) -> bool:
        imported = self._names.is_import(node.func, *_FROM_CONFIG, *_FROM_URL, *_ASYNC_ENGINE)
        name = node.func.id if isinstance(node.func, ast.Name) else _method(node)
        return imported or name in _MAKERS

    def _options_known(self, node: ast.Call) -> bool:
        if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
            return False
        for keyword in node.keywords:
            if keyword.arg not in _ENGINE_OPTIONS:
                return False
            if keyword.arg == "prefix" and not _is_text(keyword.value, "sqlalchemy."):
                return False
            if keyword.arg == "connect_args" and not _is_harmless(keyword.value):
                return False
        return True

    def _is_section(self, node: ast.AST) -> bool:
        """Whether a node is the configuration's main section, unchanged."""
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._is_section(node.values[0]) and all(map(_is_empty, node.values[1:]))
        if isinstance(node, ast.Name):
            unchanged = all(self._only_read(load) for load in self._names.loads(node))
            return unchanged and self._all(
                node, "section", lambda one: one.kind == "value" and self._is_section(one.node)
            )
        if not isinstance(node, ast.Call) or _method(node) != "get_section":
            return False
        plain = (
            1 <= len(node.args) <= 2 and not node.keywords and all(map(_is_empty, node.args[1:]))
        )
        return plain and self._is_config(_owner(node)) and self._is_main_section(node.args[0])

    def _only_read(self, load: ast.Name) -> bool:
        parent = self._names.parent(load)
        if isinstance(parent, ast.Call):
            return load in parent.args and self._names.is_import(parent.func, *_FROM_CONFIG)
        return isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load)

    def _is_main_section(self, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "config_ini_section"
            and self._is_config(node.value)
        )

    def _is_option(self, node: ast.AST) -> bool:
        """`config.get_main_option("sqlalchemy.url")`."""
        if not isinstance(node, ast.Call) or node.keywords or not self._is_config(_owner(node)):
            return False
        if _method(node) == "get_main_option":
            return len(node.args) == 1 and _is_text(node.args[0], "sqlalchemy.url")
        if _method(node) == "get_section_option" and len(node.args) == 2:
            main = self._is_main_section(node.args[0])
            return main and _is_text(node.args[1], "sqlalchemy.url")
        return False

    def _is_variable(self, node: ast.AST) -> bool:
        """`os.environ["DATABASE_URL"]`, `os.environ.get("DATABASE_URL", …)`, `os.getenv(…)`."""
        if isinstance(node, ast.Subscript):
            return self._is_environ(node.value) and _is_text(node.slice, _VARIABLE)
        if not isinstance(node, ast.Call) or not node.args:
            return False
        if self._names.is_import(node.func, "os.getenv"):
            return _is_text(node.args[0], _VARIABLE)
        getter = _method(node) == "get" and self._is_environ(_owner(node))
        return getter and _is_text(node.args[0], _VARIABLE)

    def _is_environ(self, node: ast.AST) -> bool:
        return self._names.is_import(node, "os.environ")

    def _is_rewritten(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call) or node.keywords:
            return False
        if isinstance(node.func, ast.Name) and node.func.id == "str" and len(node.args) == 1:
            return not self._names.of(node.func) and self.is_url(node.args[0])
        if _method(node) != "replace" or not self.is_url(_owner(node)):
            return False
        values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        return len(node.args) == 2 and tuple(values) in _HARMLESS_REPLACEMENTS

    def _check_setting(self, node: ast.Call) -> None:
        if _method(node) != "set_main_option":
            return
        key = node.args[0] if len(node.args) == 2 and not node.keywords else None
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise Doubt("set_main_option() sets something that only running it would show", node)
        # configparser takes option names in any case.
        if not key.value.lower().startswith("sqlalchemy."):
            return
        if key.value.lower() != "sqlalchemy.url" or not self.is_url(node.args[1]):
            raise Doubt(f"set_main_option({key.value!r}) sets another value", node)

    def _check_environment(self, node: ast.Call) -> None:
        owner = _owner(node)
        if self._is_environ(owner) and _method(node) not in ("get", "copy", "items", "keys"):
            raise Doubt(f"os.environ.{_method(node)}() may change {_VARIABLE}", node)
        name = node.func.id if isinstance(node.func, ast.Name) else _method(node)
        overrides = any(keyword.arg in ("override", None) for keyword in node.keywords)
        if name == "putenv" or (name == "load_dotenv" and (overrides or len(node.args) > 2)):
            raise Doubt(f"{name}() may change {_VARIABLE}", node)

    def _check_key(self, node: ast.Subscript) -> None:
        key = node.slice
        if self._is_environ(node.value):
            known = isinstance(key, ast.Constant) and key.value != _VARIABLE
            if not known:
                raise Doubt(f"{_VARIABLE} may be set", node)
            return
        name = key.value if isinstance(key, ast.Constant) else None
        if isinstance(name, str) and name.lower().startswith("sqlalchemy."):
            raise Doubt(f"{name} is set", node)


def _method(node: ast.Call) -> str | None:
    return node.func.attr if isinstance(node.func, ast.Attribute) else None


def _owner(node: ast.Call) -> ast.AST:
    return node.func.value if isinstance(node.func, ast.Attribute) else node


def _is_text(node: ast.AST, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _is_empty(node: ast.AST) -> bool:
    return isinstance(node, ast.Dict) and not node.keys


def _is_harmless(node: ast.AST) -> bool:
    """A dictionary of connect_args that cannot change what is connected to."""
    return isinstance(node, ast.Dict) and all(
        isinstance(key, ast.Constant) and key.value in _CONNECT_ARGUMENTS for key in node.keys
    )
