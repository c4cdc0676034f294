"""Revision files whose ids only running them tells, run as Alembic runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from orchctl.chain.facts import NAMES
from orchctl.chain.problem import Problem
from orchctl.chain.revision_file import RevisionFile
from orchctl.upgrade.environment import quiet_foreign_code


def imported(files: Iterable[RevisionFile]) -> tuple[RevisionFile, ...]:
    """The same files; those that compute one of the four names with what they compute.

    Args:
        files: What reading them told. Only files with something unknown are run.

    Returns:
        The files; one that fails when it is run says so as a C08 error.
    """
    return tuple(_run(file) if _computes(file) else file for file in files)


def _computes(file: RevisionFile) -> bool:
    broken = any(problem.rule == "C07" for problem in file.problems)
    return bool(file.unknown) and not broken


def _run(file: RevisionFile) -> RevisionFile:
    from alembic.util import load_python_file

    kept = tuple(one for one in file.problems if one.rule != "C08" or one.severity == "error")
    known = set(sys.modules)
    try:
        with quiet_foreign_code():
            module = load_python_file(str(file.path.parent), file.path.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything can come out of it
        told = f"{type(error).__name__}: {error}"
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
        for name in set(sys.modules) - known:
            if getattr(sys.modules[name], "__file__", None) == str(file.path):
                del sys.modules[name]
    return _with(file, module, kept)


def _with(file: RevisionFile, module: Any, problems: tuple[Problem, ...]) -> RevisionFile:
    if not all(hasattr(module, name) for name in ("revision", "down_revision")):
        return replace(file, problems=problems)
    values = {name: _texts(getattr(module, name, None)) for name in NAMES}
    return replace(
        file,
        revision=values["revision"][0] if values["revision"] else None,
        down_revisions=values["down_revision"],
        branch_labels=values["branch_labels"],
        depends_on=values["depends_on"],
        unknown=frozenset(),
        problems=problems,
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))
