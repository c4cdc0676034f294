"""What Alembic's ScriptDirectory makes of a chain, in a process that has nothing of its project.

`python -m benchmarks.corpus_alembic [--recursive] [--stand-ins] FOLDER` prints the graph as JSON,
or `error` with what went wrong. Alembic imports every revision; with `--stand-ins` each module that
isn't there is an empty one that can do everything, so that the import goes on and only the graph is
left to be looked at.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import json
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from alembic.config import Config
from alembic.script.base import ScriptDirectory
from sqlalchemy import true


class _Anything:
    """Can be called, subclassed, read, added up and gone through; means nothing."""

    def __mro_entries__(self, _bases: object) -> tuple[type, ...]:
        return ()

    def __len__(self) -> int:
        return 0

    def __init__(self, *_args: object, **_named: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *args: object, **_named: object) -> Any:
        # As a decorator it leaves the function as it is.
        return args[0] if len(args) == 1 and callable(args[0]) else _Anything()

    def __clause_element__(self) -> Any:
        return true()

    def __iter__(self) -> Any:
        return iter(())

    def __getitem__(self, _key: object) -> Any:
        return _Anything()

    def __add__(self, _other: object) -> Any:
        return _Anything()

    __radd__ = __or__ = __ror__ = __mod__ = __add__


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module that nothing else finds."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec:
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__all__"] = []


def graph(folder: str, *, recursive: bool) -> dict[str, Any]:
    """The graph as Alembic sees it; `order` is that of `alembic history`, the newest first."""
    config = Config()
    config.set_main_option("script_location", folder)
    config.set_main_option("version_locations", folder)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("recursive_version_locations", str(recursive).lower())
    script = ScriptDirectory.from_config(config)
    revisions = list(script.walk_revisions())
    return {
        "heads": script.get_heads(),
        "bases": script.get_bases(),
        "order": [one.revision for one in revisions],
        "revisions": {
            one.revision: [
                sorted(one._versioned_down_revisions),
                sorted(one._resolved_dependencies),
                sorted(label for label in one.branch_labels if isinstance(label, str)),
            ]
            for one in revisions
        },
    }


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--recursive", action="store_true")
    parser.add_argument("--stand-ins", action="store_true")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    if arguments.stand_ins:
        # Projects import them somewhere, and revisions rely on that.
        for dialect in ("mysql", "postgresql"):
            importlib.import_module(f"sqlalchemy.dialects.{dialect}")
        sys.meta_path.append(_StandIns())
    try:
        found = graph(arguments.folder, recursive=arguments.recursive)
    except Exception as error:  # noqa: BLE001 - foreign code: anything may come out of it
        said = str(error).strip().partition("\n")[0]
        found = {"error": type(error).__name__, "said": said}
        found["import"] = isinstance(error, ImportError | NameError | AttributeError)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
