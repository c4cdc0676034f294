"""Which chain is meant: by the settings, or by a path alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.config.project import AlembicProject, read_project
from orchctl.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from orchctl.chain.contents import Content
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.config import Settings


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """Where the files of a chain are.

    Attributes:
        locations: The folders with revision files, in Alembic's order.
        recursive: Whether folders inside them count.
        sourceless: Whether compiled files without a source count.
        env_py: The environment's env.py, where one is known.
    """

    locations: tuple[Path, ...]
    recursive: bool = False
    sourceless: bool = False
    env_py: Path | None = None

    @property
    def about(self) -> Path:
        """The file that findings about no single file are shown at."""
        return self.env_py or self.locations[0]

    @property
    def lockfile(self) -> Path:
        """Where `chain.lock` stands: in the script folder, above the revisions."""
        from orchctl.chain.lockfile import NAME

        if self.env_py is not None:
            return self.env_py.parent / NAME
        folder = self.locations[0]
        return (folder.parent if folder.name == "versions" else folder) / NAME

    def contents(self) -> list[Content]:
        """What is in its files, nothing understood yet.

        Raises:
            ConfigurationError: A folder that exists cannot be listed.
        """
        from orchctl.chain.contents import read_contents

        contents = read_contents(
            self.locations, recursive=self.recursive, sourceless=self.sourceless
        )
        return list(contents)

    def read(self) -> tuple[RevisionFile, ...]:
        """Read its files, whole."""
        from orchctl.chain.read import read_files

        return read_files(self.locations, recursive=self.recursive, sourceless=self.sourceless)


def find_chain(path: Path | None, settings: Settings) -> ChainPlace:
    """The chain that a path or, without one, the settings name.

    Args:
        path: A folder with revision files, a script folder (with env.py or `versions/`), a
            project's folder (with alembic.ini), or an ini or toml file.
        settings: The run's settings.

    Raises:
        UsageError: There is no such path, or it is something else.
        ConfigurationError: No project, or one that cannot be read.
    """
    if path is None:
        return _of_project(settings.require_project())
    whole = settings.folder / path
    section = settings.project.section if settings.project else "alembic"
    if whole.is_file() and whole.suffix in (".ini", ".toml", ".cfg"):
        return _of_project(read_project(whole, section=section, folder=settings.folder))
    if not whole.is_dir():
        what = "is neither a folder nor an ini file" if whole.exists() else "does not exist"
        raise UsageError(
            f"{path} {what}",
            code="no-such-path",
            hint="Name a versions folder, a script folder or an alembic.ini",
        )
    return _of_folder(whole, settings.project, section)


def _of_folder(folder: Path, configured: AlembicProject | None, section: str) -> ChainPlace:
    if configured is not None and _is_of(configured, folder):
        return _of_project(configured)
    # A script folder may have an alembic.ini too, as Flask-Migrate's does, which names no folder.
    if not (env_py := folder / "env.py").is_file():
        own = _project_in(folder, section)
        if own is not None:
            return _of_project(own)
    if (folder / "versions").is_dir():
        return ChainPlace((folder / "versions",), env_py=env_py if env_py.is_file() else None)
    return ChainPlace((folder,), env_py=_beside(folder))


def _project_in(folder: Path, section: str) -> AlembicProject | None:
    try:
        return read_project(None, section=section, folder=folder)
    except ConfigurationError as error:
        if error.code == "config-not-found":
            return None
        raise


def _is_of(project: AlembicProject, folder: Path) -> bool:
    """Whether a folder is a configured project's script folder, or its only versions folder."""
    own = [project.script_location]
    if len(project.version_locations) == 1:
        own += project.version_locations
    return any(place.resolve() == folder.resolve() for place in own)


def _of_project(project: AlembicProject) -> ChainPlace:
    return ChainPlace(
        project.version_locations,
        project.recursive,
        project.sourceless,
        project.script_location / "env.py",
    )


def _beside(versions: Path) -> Path | None:
    env_py = versions.parent / "env.py"
    return env_py if env_py.is_file() else None
