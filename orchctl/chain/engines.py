"""Where the engines and connections of an env.py come from."""

from __future__ import annotations

import ast
from collections.abc import Callable

from orchctl.chain.bindings import Binding, Bindings
from orchctl.chain.urls import Doubt, Urls, is_text, method_of, owner_of

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


class Engines:
    """The engines and connections of one env.py.

    Args:
        names: Its names.
        urls: Its URLs.
        is_config: Whether a node is Alembic's configuration.
    """

    def __init__(self, names: Bindings, urls: Urls, is_config: Callable[[ast.AST], bool]) -> None:
        self._names = names
        self._urls = urls
        self._is_config = is_config

    def check_all(self) -> None:
        """Check everything in the module that makes an engine.

        Raises:
            Doubt: One of them may lead to another database.
        """
        for node in self._names.nodes:
            made = isinstance(node, ast.Call) and self._makes_engine(node)
            if made and not self.is_engine(node):
                raise Doubt("An engine is made from something else than the configuration", node)

    def is_engine(self, node: ast.AST) -> bool:
        """Whether a node is an engine made from the configured URL."""
        if isinstance(node, ast.Name):
            return self._urls.all_bound(
                node, "engine", lambda one: one.kind == "value" and self.is_engine(one.node)
            )
        if not isinstance(node, ast.Call):
            return False
        if self._names.is_import(node.func, *_FROM_CONFIG):
            return self._options_known(node) and self._is_section(node.args[0])
        if self._names.is_import(node.func, *_FROM_URL):
            return self._options_known(node) and self._urls.is_url(node.args[0])
        if self._names.is_import(node.func, *_ASYNC_ENGINE):
            return len(node.args) == 1 and not node.keywords and self.is_engine(node.args[0])
        return method_of(node) == "execution_options" and self.is_engine(owner_of(node))

    def is_connection(self, node: ast.AST) -> bool:
        """Whether a node is a connection of such an engine."""
        if isinstance(node, ast.Await):
            return self.is_connection(node.value)
        if isinstance(node, ast.Name):
            return self._urls.all_bound(node, "connection", self._gives_connection)
        if not isinstance(node, ast.Call):
            return False
        if method_of(node) == "execution_options":
            return self.is_connection(owner_of(node))
        return method_of(node) in ("connect", "begin") and self.is_engine(owner_of(node))

    def _gives_connection(self, binding: Binding) -> bool:
        if binding.kind in ("value", "with"):
            return self.is_connection(binding.node)
        if binding.kind == "parameter" and isinstance(
            binding.node, ast.FunctionDef | ast.AsyncFunctionDef
        ):
            return self._always_given(binding.node.name, binding.position)
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
        if method_of(call) == "run_sync" and call.args[0] is load and index == 0:
            return self.is_connection(owner_of(call))
        return False

    def _makes_engine(self, node: ast.Call) -> bool:
        imported = self._names.is_import(node.func, *_FROM_CONFIG, *_FROM_URL, *_ASYNC_ENGINE)
        name = node.func.id if isinstance(node.func, ast.Name) else method_of(node)
        return imported or name in _MAKERS

    def _options_known(self, node: ast.Call) -> bool:
        if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
            return False
        for keyword in node.keywords:
            if keyword.arg not in _ENGINE_OPTIONS:
                return False
            if keyword.arg == "prefix" and not is_text(keyword.value, "sqlalchemy."):
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
            return unchanged and self._urls.all_bound(
                node, "section", lambda one: one.kind == "value" and self._is_section(one.node)
            )
        if not isinstance(node, ast.Call) or method_of(node) != "get_section":
            return False
        plain = (
            1 <= len(node.args) <= 2 and not node.keywords and all(map(_is_empty, node.args[1:]))
        )
        return (
            plain and self._is_config(owner_of(node)) and self._urls.is_main_section(node.args[0])
        )

    def _only_read(self, load: ast.Name) -> bool:
        parent = self._names.parent(load)
        if isinstance(parent, ast.Call):
            return load in parent.args and self._names.is_import(parent.func, *_FROM_CONFIG)
        return isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load)


def _is_empty(node: ast.AST) -> bool:
    return isinstance(node, ast.Dict) and not node.keys


def _is_harmless(node: ast.AST) -> bool:
    """A dictionary of connect_args that cannot change what is connected to."""
    return isinstance(node, ast.Dict) and all(
        isinstance(key, ast.Constant) and key.value in _CONNECT_ARGUMENTS for key in node.keys
    )
