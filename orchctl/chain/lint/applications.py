"""L08: models of the application, which change after the revision was written."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.module import Imported
from orchctl.chain.lint.subject import Subject

# Third parties that hold no models.
_LIBRARIES = frozenset(
    "advanced_alchemy alembic alembic_utils asyncpg babel cryptography dateutil flask_migrate"
    " flask_sqlalchemy geoalchemy2 numpy orjson pandas pgvector psycopg psycopg2 pydantic pytz"
    " sqlalchemy sqlalchemy_utils sqlmodel tqdm yaml".split()
)
# What lies beside the revisions is written for them, and stays as it is.
_OF_MIGRATIONS = frozenset(("alembic", "alembic_migrations", "migrations", "versions"))
# How models are used: in queries, or for what they know of their tables.
_QUERIES = frozenset(
    "Enum aliased bulk_insert_mappings bulk_update_mappings delete exists get insert join merge"
    " outerjoin query select select_from update".split()
)
_OWN = frozenset(("__mapper__", "__table__", "metadata", "query", "session"))


def imported_models(subject: Subject) -> Iterator[Finding]:
    """L08: something imported from the application that is used as a model."""
    candidates = {one.bound: one for one in subject.imports if _is_application(one)}
    if not candidates:
        return
    used = _used_as_models(subject.tree, set(candidates))
    named = _used_for_names(subject.tree) & set(candidates)
    statements: dict[ast.stmt, list[str]] = {}
    for bound, one in candidates.items():
        if bound in used or bound in named:
            statements.setdefault(one.node, []).append(bound)
    for node, names in statements.items():
        module = next(one.module for one in subject.imports if one.node is node)
        what = ", ".join(names) if names == [module] else f"{', '.join(names)} of {module}"
        yield subject.finding(
            "L08",
            "warning" if used.intersection(names) else "note",
            node,
            f"{what}: the application's of today, while this revision runs against the schema of "
            "its own time",
            "Write what is needed into the revision: sa.table('users', sa.column('id'), …)",
            "nothing today: it fails or does something else once the application has changed",
        )


def _is_application(one: Imported) -> bool:
    if one.module.startswith("."):
        return True
    root, *inner = one.module.split(".")
    if not _OF_MIGRATIONS.isdisjoint((*inner, one.name)):
        return False
    return root not in sys.stdlib_module_names and root not in _LIBRARIES and bool(root)


def _used_as_models(tree: ast.Module, names: set[str]) -> set[str]:
    found: set[str] = set()
    closed: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if node.attr in ("close", "remove"):  # db.session.close() asks for nothing
                closed.add(node.value)
            elif node.attr in _OWN and node not in closed:
                found.add(_root(node))
        elif isinstance(node, ast.Call) and _last(node.func) in _QUERIES:
            args = node.args
            if _last(node.func) == "get":  # session.get(User, 1), and that of a dict
                args = args[:1]
            else:
                # db.session.query(…) is a query whatever it is about.
                found.add(_root(node.func))
            found.update(_root(one) for one in args if _names_a_class(one))
    return found & names


def _used_for_names(tree: ast.Module) -> set[str]:
    """What is only asked for the name of its table."""
    return {
        _root(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "__tablename__"
    }


def _names_a_class(node: ast.expr) -> bool:
    """Whether `User`, `models.User` or `User.id`: what begins in lower case, or is a CONSTANT, as
    in `Status.DONE`, is no model.
    """
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "")
    if names[0].isupper():
        return False
    return any(name[:1].isupper() and not name.isupper() for name in names)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
