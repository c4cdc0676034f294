"""Revision files whose ids only running them tells, run as Alembic runs them."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from orchctl.chain.facts import NAMES, read_fact
from orchctl.chain.problem import Problem
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import Source
from orchctl.chain.values import Constant, Series, Value
from orchctl.config import Settings
from orchctl.upgrade.environment import alembic_config, one_line, quiet_foreign_code
from orchctl.upgrade.exits import Exits, HardExit


def imported(files: Iterable[RevisionFile], settings: Settings) -> tuple[RevisionFile, ...]:
    """The same files; those that compute one of the four names with what they compute.

    Args:
        files: What reading them told. Only files with something unknown are run.
        settings: The run's settings, whose project says where its modules are.

    Returns:
        The files; one that fails when it is run says so as a C08 error.
    """
    with _project_modules(settings):
        return tuple(_run(file) if _computes(file) else file for file in files)


@contextmanager
def _project_modules(settings: Settings) -> Iterator[None]:
    """Let revisions import what they may under Alembic: `prepend_sys_path`."""
    before = list(sys.path)
    if settings.project is not None:
        sys.path[:0] = alembic_config(settings).get_prepend_sys_paths_list() or ()
    try:
        yield
    finally:
        sys.path[:] = before


def _computes(file: RevisionFile) -> bool:
    broken = any(problem.rule == "C07" for problem in file.problems)
    return bool(file.unknown) and not broken


def _run(file: RevisionFile) -> RevisionFile:
    from alembic.util import load_python_file

    kept = tuple(one for one in file.problems if one.rule != "C08" or one.severity == "error")
    known, process = set(sys.modules), os.getpid()
    try:
        with quiet_foreign_code(), Exits():
            module = load_python_file(str(file.path.parent), file.path.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything can come out of it
        kind = "os._exit" if isinstance(error, HardExit) else type(error).__name__
        told = f"{kind}: {one_line(error)}"
        problem = Problem(
            "C08",
            "error",
            f"The file fails when it is run: {told}",
            *(file.lines.get("revision") or (1, 1)),
            suggestion="Write the ids out, or install what it needs",
            alembic=told,
        )
        return replace(file, problems=(*kept, problem))
    finally:
        if os.getpid() != process:  # a fork that the file made: what follows is not for it
            os._exit(0)
        for name in set(sys.modules) - known:
            if getattr(sys.modules[name], "__file__", None) == str(file.path):
                del sys.modules[name]
    return _with(file, module, kept)


def _with(file: RevisionFile, module: Any, problems: tuple[Problem, ...]) -> RevisionFile:
    if not all(hasattr(module, name) for name in ("revision", "down_revision")):
        return replace(file, problems=problems)
    found = {name: _computed(file, name, getattr(module, name, None)) for name in NAMES}
    facts = {name: read_fact(name, value, _NOWHERE) for name, value in found.items()}
    ids = facts["revision"].values
    return replace(
        file,
        revision=ids[0] if ids else None,
        down_revisions=facts["down_revision"].values,
        branch_labels=facts["branch_labels"].values,
        depends_on=facts["depends_on"].values,
        unknown=frozenset(name for name, fact in facts.items() if not fact.known),
        problems=(*problems, *(one for fact in facts.values() for one in fact.problems)),
    )


_NOWHERE = Source(b"", "", "utf-8")


def _computed(file: RevisionFile, name: str, held: Any) -> Value:
    """What the module holds, as if it were written out in the place of the computation."""
    line, column = file.lines.get(name) or (1, 1)
    node = ast.Constant(None, lineno=line, col_offset=column - 1)
    if isinstance(held, Iterable) and not isinstance(held, str | bytes):
        return Series(tuple(Constant(_plain(one), node, False) for one in held), node, False)
    return Constant(_plain(held), node, False)


def _plain(held: Any) -> Any:
    """A text as such: that of an enumeration's member is shown by the member's name."""
    return str.__str__(held) if isinstance(held, str) else held
