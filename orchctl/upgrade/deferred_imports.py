"""What Alembic imports and an upgrade of SQLite doesn't need, loaded only when somebody asks.

`import alembic` loads the implementations of all databases, SQLAlchemy's PostgreSQL dialect and
asyncio with them, and through Mako's error pages Pygments: a sixth of its start-up. The modules are
there all the same, as importlib.util.LazyLoader makes them: the first access to an attribute loads
them. A database's implementation, which Alembic looks up by name, is loaded as soon as SQLAlchemy's
dialect for it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

_DATABASES = ("mssql", "mysql", "oracle", "postgresql")
_DEFERRED = {"mako.exceptions", *(f"alembic.ddl.{name}" for name in _DATABASES)}
# The dialect, and what is to be loaded after it.
_FOLLOWED = {f"sqlalchemy.dialects.{name}": f"alembic.ddl.{name}" for name in _DATABASES}


def defer_imports() -> None:
    """Have the modules that are not loaded yet loaded on first use."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def load_deferred() -> bool:
    """Load what was deferred so far; whether there was anything.

    Loading registers operations on `alembic.op` (`create_exclude_constraint`), which a revision
    may import by name.
    """
    waiting = [name for name in sorted(_DEFERRED) if _is_waiting(name)]
    for name in waiting:
        _load(name)
    return bool(waiting)


def _is_waiting(name: str) -> bool:
    # type() asks the object, not the module, which would load it.
    return type(sys.modules.get(name)) not in (ModuleType, type(None))


def _load(name: str) -> None:
    module = sys.modules.get(name)
    if module is not None:
        getattr(module, "__doc__", None)


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _DEFERRED and name not in _FOLLOWED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        if name in _DEFERRED:
            spec.loader = LazyLoader(spec.loader)
        else:
            spec.loader = _Followed(spec.loader, _FOLLOWED[name])
        return spec


class _Followed(Loader):
    """Loads a module as its own loader does, and another one after it."""

    def __init__(self, loader: Loader, follower: str) -> None:
        self._loader = loader
        self._follower = follower

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        specification: Any = module.__spec__
        module.__loader__ = specification.loader = self._loader
        self._loader.exec_module(module)
        _load(self._follower)
