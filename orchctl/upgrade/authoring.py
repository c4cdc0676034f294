"""New revision files: as Alembic writes them, safe for SQLite, checked once they are there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.errors import ConfigurationError, OrchctlError, UsageError
from orchctl.upgrade.environment import foreign_code, one_line, open_script
from orchctl.upgrade.revisions import ids_of, revision_error

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

    from orchctl.chain.findings import Finding
    from orchctl.config import Settings

# What these ids name is decided already; no revision can be reached by them.
_RESERVED = ("base", "current", "head", "heads")


@dataclass(frozen=True)
class Request:
    """What a new revision shall be; the options of `alembic revision`.

    Attributes:
        message: Its message.
        autogenerate: Whether it gets the operations that lead from the database to the models.
        sql: Whether env.py runs in offline mode, where `revision_environment` runs it at all.
        head: What it follows: `head`, an id, `branch@head`, `base`.
        splice: Whether that may be a revision that is no head.
        branch_label: A label for the branch that begins with it.
        version_path: The folder for its file.
        rev_id: Its id; None makes one up.
        depends_on: Revisions that it needs besides its parent.
    """

    message: str | None = None
    autogenerate: bool = False
    sql: bool = False
    head: str = "head"
    splice: bool = False
    branch_label: str | None = None
    version_path: str | None = None
    rev_id: str | None = None
    depends_on: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """The arguments of Alembic's RevisionContext."""
        return asdict(self) | {"depends_on": list(self.depends_on) or None}


@dataclass(frozen=True)
class NewRevision:
    """A revision file that was written.

    Attributes:
        revision: Its id.
        down_revisions: Its parents.
        path: The file.
        findings: What the check of the chain says about this file.
    """

    revision: str
    down_revisions: tuple[str, ...]
    path: Path
    findings: tuple[Finding, ...]


def write_revision(settings: Settings, request: Request) -> tuple[NewRevision, ...]:
    """Write a new revision.

    Args:
        settings: The run's settings.
        request: What it shall be.

    Returns:
        The revision; none, or several, only where env.py's `process_revision_directives` says so.

    Raises:
        UsageError: The parent, the id, the path or the combination of options is not possible.
        NegativeAnswer: To autogenerate, the database must be at head (`not-at-head`).
        ConfigurationError, Refused: As `autogenerate.compare_models`.
    """
    from alembic import command
    from alembic.autogenerate import RevisionContext
    from alembic.util import asbool

    from orchctl.upgrade.autogenerate import compare_models, fill_template

    config, script = open_script(settings)
    # env.py may look: the usual recipe against empty revisions asks cmd_opts.autogenerate.
    vars(config.cmd_opts).update(request.arguments(), cmd=(command.revision, [], []))
    _require_new_id(script, request.rev_id)
    environment = bool(asbool(config.get_alembic_option("revision_environment")))
    _require_sense(request, environment)
    context = RevisionContext(config, script, request.arguments())
    if request.autogenerate:
        compare_models(settings, config, script, context)
    elif environment:
        fill_template(settings, config, script, context, sql=request.sql)
    with _writing(script, request.head):
        written = [each for each in context.generate_scripts() if each is not None]
    return _checked(settings, written)


def write_merge(
    settings: Settings,
    revisions: Sequence[str],
    *,
    message: str | None = None,
    branch_label: str | None = None,
    rev_id: str | None = None,
    splice: bool = False,
) -> NewRevision:
    """Write a revision that joins several others.

    Args:
        settings: The run's settings.
        revisions: What it joins: ids, or `heads`.
        message: Its message.
        branch_label: A label for the branch that begins with it.
        rev_id: Its id; None makes one up.
        splice: Whether it may join revisions that are no heads.

    Raises:
        UsageError: The revisions or the id are not possible.
        ConfigurationError, Refused: The chain cannot be loaded, or env.py fails.
    """
    from alembic import util

    from orchctl.upgrade.autogenerate import run_for_template

    config, script = open_script(settings)
    _require_new_id(script, rev_id)
    arguments: dict[str, Any] = {"config": config}  # what templates for several databases read
    if util.asbool(config.get_alembic_option("revision_environment")):
        run_for_template(settings, config, script, arguments)
    with _writing(script, ", ".join(revisions)):
        written = script.generate_revision(
            rev_id or util.rev_id(),
            message,
            refresh=True,
            head=tuple(revisions),
            branch_labels=branch_label,
            splice=splice,
            **arguments,
        )
    return _checked(settings, [written])[0]


def _require_new_id(script: ScriptDirectory, rev_id: str | None) -> None:
    if rev_id is None:
        return
    taken = next((each for each in script.walk_revisions() if each.revision == rev_id), None)
    if taken is not None:
        raise UsageError(
            f"Revision {rev_id} is there already: {taken.path}",
            code="revision-exists",
            hint="Choose another --rev-id, or none",
        )
    if rev_id in _RESERVED:
        raise UsageError(
            f"{rev_id!r} cannot be an id: it has a meaning of its own", code="reserved-id"
        )


def _require_sense(request: Request, environment: bool) -> None:
    """The combinations that `alembic revision` refuses."""
    if request.sql and request.autogenerate:
        raise UsageError("--sql cannot be combined with --autogenerate, which needs the database")
    if request.sql and not environment:
        raise UsageError(
            "--sql does nothing here: env.py is not run for a revision",
            hint="It is for projects with revision_environment = true",
        )


@contextlib.contextmanager
def _writing(script: ScriptDirectory, head: str) -> Iterator[None]:
    """Template and post-write hooks run here; what they print goes to stderr."""
    from alembic.util import CommandError

    template = Path(script.dir, "script.py.mako")
    if not template.is_file():
        raise ConfigurationError(
            f"{template} is missing, from which revisions are made",
            code="template-missing",
            hint="alembic init FOLDER makes one to copy",
        )
    with foreign_code(str(template)), _children_to_stderr():
        try:
            yield
        except CommandError as error:
            raise _impossible(error, head) from error
        except OSError as error:
            raise ConfigurationError(
                f"The revision cannot be written: {one_line(error)}", code="revision-not-written"
            ) from error


def _impossible(error: Exception, head: str) -> OrchctlError:
    """What Alembic's refusal to write means; only its wording tells a template's failure."""
    text = one_line(error).rstrip(".")
    cause = type(error.__cause__).__name__
    if cause == "MultipleHeads":
        return UsageError(
            "The chain has several heads, and a revision follows one of them",
            code="multiple-heads",
            hint="--head BRANCH@head names one (orchctl heads lists them); "
            "orchctl merge heads joins them",
        )
    if cause == "ResolutionError":
        return revision_error(error, head)
    if text.startswith("Template rendering failed"):
        return ConfigurationError(text, code="template-failed", hint="Mend script.py.mako")
    return UsageError(text, code="revision-not-possible")


@contextlib.contextmanager
def _children_to_stderr() -> Iterator[None]:
    """Let the formatters that post-write hooks start print to stderr: stdout is the result's."""
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _checked(settings: Settings, written: Sequence[Any]) -> tuple[NewRevision, ...]:
    """Hold the new files against the chain, as `verify-chain` does."""
    from orchctl.chain.read import read_files
    from orchctl.chain.rules import verify

    project = settings.require_project()
    locations = project.version_locations
    files = read_files(locations, recursive=project.recursive, sourceless=project.sourceless)
    findings = verify(files, locations).findings
    return tuple(
        NewRevision(
            revision=each.revision,
            down_revisions=ids_of(each.down_revision),
            path=Path(each.path),
            findings=tuple(
                one
                for one in findings
                if one.path and one.path.resolve() == Path(each.path).resolve()
            ),
        )
        for each in written
    )
