"""What an env.py says about its database, read without running it.

orchctl may answer "already at head" without running env.py only where env.py provably opens the
database that the settings name. So this is a proof, not a guess: a list of what is allowed, and a
doubt about all else. What cannot be seen from here is code in other modules that env.py imports;
they are taken to leave Alembic's configuration and DATABASE_URL alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.bindings import Bindings
from orchctl.chain.engines import Engines
from orchctl.chain.regular_file import read_regular
from orchctl.chain.source import decode
from orchctl.chain.urls import Doubt, Urls

DEFAULT_VERSION_TABLE = "alembic_version"

_CONTEXT_USES = frozenset(
    (
        "begin_transaction",
        "config",
        "configure",
        "execute",
        "get_bind",
        "get_context",
        "get_head_revision",
        "get_head_revisions",
        "get_revision_argument",
        "get_starting_revision_argument",
        "get_tag_argument",
        "get_x_argument",
        "is_offline_mode",
        "is_transactional_ddl",
        "run_migrations",
        "script",
        "static_output",
    )
)
_CONFIG_USES = frozenset(
    (
        "cmd_opts",
        "config_file_name",
        "config_ini_section",
        "get_alembic_boolean_option",
        "get_alembic_option",
        "get_main_option",
        "get_section",
        "get_section_option",
        "get_template_directory",
        "print_stdout",
        "set_main_option",
        "stdout",
        "toml_file_name",
    )
)
# Ways around everything else that is looked at.
_UNTRACEABLE = frozenset(
    ("__import__", "compile", "eval", "exec", "globals", "locals", "setattr", "vars")
)
_REDIRECTING = re.compile(r"schema_translate_map|do_connect|\bcreator\b")


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, *_COMPREHENSIONS)


@dataclass(frozen=True)
class EnvironmentFacts:
    """What an env.py says about its database.

    Attributes:
        url_from_configuration: Whether it surely connects to `sqlalchemy.url` of the configuration,
            or to DATABASE_URL of the environment, and to nothing else. (A process that has both
            set to the same URL knows which database that is.)
        reason: Why, or why not; one sentence for a person.
        version_table: Alembic's table; None when its name is computed.
        version_table_schema: The schema it is in; None for the default one.
        several: Whether `context.configure()` may get a connection more than once in one run: to
            several databases, or for several version tables.
    """

    url_from_configuration: bool
    reason: str
    version_table: str | None = DEFAULT_VERSION_TABLE
    version_table_schema: str | None = None
    several: bool = False


def read_environment(path: Path) -> EnvironmentFacts:
    """Read an env.py.

    Args:
        path: The file.

    Returns:
        The facts; never an error: a file that cannot be read or parsed proves nothing.
    """
    try:
        source = decode(read_regular(path))
        if source.fault:
            return EnvironmentFacts(False, f"{path.name}: {source.fault}", None)
        tree = ast.parse(source.text)
    except OSError as error:
        return EnvironmentFacts(False, f"{path.name} cannot be read: {error.strerror}", None)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return EnvironmentFacts(False, f"{path.name} cannot be parsed: {error}", None)
    try:
        return _facts(tree, source.text)
    except RecursionError:
        return EnvironmentFacts(False, f"{path.name} is nested too deeply", None)


def _facts(tree: ast.Module, text: str) -> EnvironmentFacts:
    names = Bindings(tree)
    calls = list(_configure_calls(names))
    table, schema = _version_table(names, calls)
    several = _is_several(names, calls)
    try:
        _prove(names, calls, text)
    except Doubt as doubt:
        return EnvironmentFacts(False, str(doubt), table, schema, several)
    reason = "It connects to sqlalchemy.url (or DATABASE_URL) and nothing else sets the URL"
    return EnvironmentFacts(True, reason, table, schema, several)


def is_context(names: Bindings, node: ast.AST) -> bool:
    """Whether a node is the module `alembic.context`."""
    return names.is_import(node, "alembic.context")


def is_config(names: Bindings, node: ast.AST) -> bool:
    """Whether a node is the configuration, `context.config`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "config" and is_context(names, node.value)
    if isinstance(node, ast.Name):
        bound = names.of(node)
        return bool(bound) and all(
            binding.kind == "value"
            and isinstance(binding.node, ast.Attribute)
            and is_config(names, binding.node)
            for binding in bound
        )
    return False


def _configure_calls(names: Bindings) -> Iterator[ast.Call]:
    for node in names.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "configure" and is_context(names, node.func.value):
            yield node


def _prove(names: Bindings, calls: list[ast.Call], text: str) -> None:
    """Go through all that could lead to another database.

    Raises:
        Doubt: Something may.
    """
    if found := _REDIRECTING.search(text):
        raise Doubt(f"{found[0]} may lead to another database")
    for node in names.nodes:
        _check_traceable(node)
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            _check_uses(names, node)
    urls = Urls(names, lambda node: is_config(names, node))
    urls.check_all()
    engines = Engines(names, urls, lambda node: is_config(names, node))
    engines.check_all()
    connected = False
    for call in calls:
        connected |= _check_configure(names, urls, engines, call)
    if not connected:
        raise Doubt("No context.configure(connection=…) was found")


def _check_traceable(node: ast.AST) -> None:
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        raise Doubt("A star import may bind any name", node)
    if isinstance(node, ast.Name) and node.id in _UNTRACEABLE:
        raise Doubt(f"{node.id}() may do anything", node)


def _check_uses(names: Bindings, node: ast.expr) -> None:
    """The context and the configuration are only used in ways that are known to be harmless."""
    context, config = is_context(names, node), is_config(names, node)
    if not context and not config:
        return
    parent = names.parent(node)
    if config and isinstance(node, ast.Attribute) and _names_it(parent):
        return
    if not isinstance(parent, ast.Attribute) or not isinstance(parent.ctx, ast.Load):
        raise Doubt("The context or its configuration is handed on", node)
    if parent.attr not in (_CONTEXT_USES if context else _CONFIG_USES):
        raise Doubt(f".{parent.attr} may change the configuration", parent)
    if parent.attr in ("configure", "set_main_option"):
        above = names.parent(parent)
        if not isinstance(above, ast.Call) or above.func is not parent:
            raise Doubt(f".{parent.attr} is handed on", parent)


def _names_it(node: ast.AST) -> bool:
    """Whether a statement only gives the configuration a name: `config = context.config`."""
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name)
    targets = node.targets if isinstance(node, ast.Assign) else [node]
    return all(isinstance(target, ast.Name) for target in targets)


def _check_configure(names: Bindings, urls: Urls, engines: Engines, call: ast.Call) -> bool:
    """Check one `context.configure(…)`; whether it is given a connection."""
    arguments = _arguments(names, call)
    if arguments is None:
        raise Doubt("context.configure() takes arguments that only running it would show", call)
    url = arguments.get("url")
    if url is not None and not urls.is_url(url):
        raise Doubt("context.configure(url=…) takes another URL", url)
    connection = arguments.get("connection")
    if connection is None:
        return False
    if not engines.is_connection(connection):
        raise Doubt("context.configure(connection=…) may take another connection", connection)
    return True


def _arguments(names: Bindings, call: ast.Call) -> dict[str, ast.expr] | None:
    """The arguments of a `configure` call by name, `**OPTIONS` opened; None when one is hidden."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    arguments = dict(zip(("connection", "url"), call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is not None:
            arguments[keyword.arg] = keyword.value
            continue
        opened = _opened(names, keyword.value)
        if opened is None:
            return None
        arguments |= opened
    return arguments


def _opened(names: Bindings, node: ast.expr) -> dict[str, ast.expr] | None:
    """A dictionary that is written out: here, or under a name that nothing else touches."""
    if isinstance(node, ast.Name):
        bound = names.of(node)
        if len(bound) != 1 or bound[0].kind != "value" or not isinstance(bound[0].node, ast.Dict):
            return None
        if not all(_is_opened(names.parent(load)) for load in names.loads(node)):
            return None
        node = bound[0].node
    if not isinstance(node, ast.Dict):
        return None
    opened: dict[str, ast.expr] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        opened[key.value] = value
    return opened


def _is_opened(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg is None


def _is_several(names: Bindings, calls: list[ast.Call]) -> bool:
    online = [
        call for call in calls if "connection" in (_arguments(names, call) or ("connection",))
    ]
    return len(online) > 1 or any(_in_a_loop(names, call) for call in online)


def _in_a_loop(names: Bindings, node: ast.AST) -> bool:
    """Whether a node, or a call of the function that it stands in, is inside a loop."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        place: ast.AST | None = waiting.pop()
        while place is not None and not isinstance(place, ast.Module):
            if isinstance(place, _LOOPS):
                return True
            if isinstance(place, ast.FunctionDef | ast.AsyncFunctionDef) and place.name not in seen:
                seen.add(place.name)
                waiting += [
                    each
                    for each in names.nodes
                    if isinstance(each, ast.Name | ast.Attribute)
                    and isinstance(each.ctx, ast.Load)
                    and place.name == (each.id if isinstance(each, ast.Name) else each.attr)
                ]
            place = names.parent(place)
    return False


def _version_table(names: Bindings, calls: list[ast.Call]) -> tuple[str | None, str | None]:
    """The version table's name and schema, where every online `configure` agrees on them."""
    given = [_arguments(names, call) for call in calls]
    if any(arguments is None for arguments in given):
        return None, None
    plain = [arguments for arguments in given if arguments is not None]
    online = [arguments for arguments in plain if "connection" in arguments] or plain
    tables = {_text(names, one.get("version_table"), DEFAULT_VERSION_TABLE) for one in online}
    schemas = {_text(names, one.get("version_table_schema"), "") for one in online}
    if not online:
        return DEFAULT_VERSION_TABLE, None
    if len(tables) > 1 or len(schemas) > 1 or None in tables | schemas:
        return None, None
    return tables.pop(), schemas.pop() or None


def _text(names: Bindings, node: ast.expr | None, default: str) -> str | None:
    if isinstance(node, ast.Name):
        bound = names.of(node)
        if len(bound) != 1 or bound[0].kind != "value":
            return None
        node = bound[0].node if isinstance(bound[0].node, ast.Constant) else None
        return node.value if node is not None and isinstance(node.value, str) else None
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return default
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
