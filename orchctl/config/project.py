"""What alembic.ini and [tool.alembic] of pyproject.toml say about an Alembic project.

Read the way Alembic's own `Config` and `ScriptDirectory.from_config` read them (alembic/config.py,
alembic/script/base.py, 1.18 to 1.20), without importing Alembic: the ini section wins over the
toml table, `%(here)s` is the folder of the file, relative paths are relative to the working folder.
"""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchctl.errors import ConfigurationError

_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
# What `alembic init` writes: placeholders, not somebody's database.
_PLACEHOLDER_URLS = (
    "driver://user:pass@localhost/dbname",
    "driver://user:pass@localhost/dbname2",
)


@dataclass(frozen=True)
class AlembicProject:
    """The Alembic side of a project.

    Attributes:
        ini_file: The alembic.ini, or None when only pyproject.toml configures Alembic.
        toml_file: The pyproject.toml with a `[tool.alembic]` table, or None.
        section: Name of the main ini section (`alembic`, or what `-n` named).
        script_location: The folder with env.py.
        version_locations: The folders with revision files, in Alembic's order.
        recursive: Whether version folders are searched in depth.
        sourceless: Whether .pyc files without a source count as revisions.
        url: `sqlalchemy.url`, or None when absent, empty or the template's placeholder.
        options: Every other option of the main section, as written.
        databases: The databases that `databases` of Alembic's multidb template lists: the name of
            each one's section and its `sqlalchemy.url`, None where env.py takes it from elsewhere.
    """

    ini_file: Path | None
    toml_file: Path | None
    section: str
    script_location: Path
    version_locations: tuple[Path, ...]
    recursive: bool = False
    sourceless: bool = False
    url: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    databases: tuple[tuple[str, str | None], ...] = ()

    @property
    def file(self) -> Path:
        """The file a message should point at."""
        return self.ini_file or self.toml_file or Path("alembic.ini")


def read_project(config: Path | None, *, section: str, folder: Path) -> AlembicProject:
    """Read the Alembic project that a command works on.

    Args:
        config: What `-c` named: an ini file or a pyproject.toml; None looks for both in `folder`.
        section: Name of the main ini section.
        folder: The working folder; relative locations count from here, as with Alembic.

    Raises:
        ConfigurationError: No file, an unreadable one, or one without a script_location.
    """
    ini_file, toml_file = _find(config, folder)
    ini = _read_ini(ini_file, section) if ini_file else {}
    toml = _read_toml(toml_file) if toml_file else {}
    named = ini_file or toml_file
    if named is None:
        raise ConfigurationError(
            f"No alembic.ini in {folder}",
            code="config-not-found",
            hint="Change to the project's folder, or name the file: orchctl -c PATH/alembic.ini …",
        )
    options: dict[str, Any] = {**toml, **ini}
    location = options.get("script_location")
    if not location or not isinstance(location, str):
        raise ConfigurationError(
            f"{named} has no script_location in [{section}]",
            code="no-script-location",
            # Flask-Migrate's ini lies beside env.py, and leaves the folder to the application.
            hint="Name the folder that holds env.py: script_location = "
            + ("%(here)s" if named.with_name("env.py").is_file() else "%(here)s/migrations"),
        )
    script_location = _resolve(location, folder)
    return AlembicProject(
        ini_file=ini_file,
        toml_file=toml_file if toml else None,
        section=section,
        script_location=script_location,
        version_locations=_version_locations(ini, toml, script_location, folder),
        recursive=_boolean(options.get("recursive_version_locations")),
        sourceless=_boolean(options.get("sourceless")),
        url=_url(options.get("sqlalchemy.url")),
        options=options,
        databases=_databases(ini_file, options.get("databases")),
    )


def _databases(ini_file: Path | None, listed: Any) -> tuple[tuple[str, str | None], ...]:
    names = listed.split(",") if isinstance(listed, str) else listed
    if ini_file is None or not isinstance(names, list):
        return ()
    sections = [name.strip() for name in names if isinstance(name, str) and name.strip()]
    return tuple((name, _url(_read_ini(ini_file, name).get("sqlalchemy.url"))) for name in sections)


def _find(config: Path | None, folder: Path) -> tuple[Path | None, Path | None]:
    if config is None:
        ini, toml = folder / "alembic.ini", folder / "pyproject.toml"
        if not ini.is_file():
            ini = None  # type: ignore[assignment]
        return ini, toml if toml.is_file() and _read_toml(toml) else None
    path = folder / config
    if not path.is_file():
        raise ConfigurationError(
            f"No configuration file {config}",
            code="config-not-found",
            hint="-c takes the path of an alembic.ini or a pyproject.toml",
        )
    if path.suffix == ".toml":
        beside = path.with_name("alembic.ini")
        return (beside if beside.is_file() else None), path
    toml = path.with_name("pyproject.toml")
    return path, toml if toml.is_file() and _read_toml(toml) else None


def _read_ini(path: Path, section: str) -> dict[str, str]:
    here = path.absolute().parent.as_posix()
    parser = configparser.ConfigParser({"here": here.replace("%", "%%")})
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
        if not parser.has_section(section):
            return {}
        return {k: v for k, v in parser.items(section) if k != "here"}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {_one_line(error)}",
            code="config-unreadable",
            hint="A % in a value is written %% in an ini file"
            if isinstance(error, configparser.InterpolationError)
            else None,
        ) from error


def _read_toml(path: Path) -> dict[str, Any]:
    here = path.absolute().parent.as_posix()
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get("tool", {}).get("alembic", {})
        return {key: _interpolated(value, here) for key, value in table.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {_one_line(error)}", code="config-unreadable"
        ) from error


def _interpolated(value: Any, here: str) -> Any:
    if isinstance(value, str):
        return value % {"here": here}
    if isinstance(value, list):
        return [_interpolated(item, here) for item in value]
    return value


def _version_locations(
    ini: dict[str, str], toml: dict[str, Any], script_location: Path, folder: Path
) -> tuple[Path, ...]:
    names: list[str] = []
    if text := ini.get("version_locations"):
        separator = ini.get("path_separator") or ini.get("version_path_separator")
        if separator is None:
            names = [part for part in re.split(r", *| +|\n", text) if part]
        elif separator in _SEPARATORS:
            names = [part.strip() for part in text.split(_SEPARATORS[separator]) if part.strip()]
        else:
            raise ConfigurationError(
                f"path_separator = {separator} is not one Alembic knows",
                code="path-separator",
                hint="One of: " + ", ".join(_SEPARATORS),
            )
    elif isinstance(listed := toml.get("version_locations"), list):
        names = [str(item) for item in listed]
    if not names:
        return (script_location / "versions",)
    return tuple(_resolve(name, folder) for name in names)


def _resolve(location: str, folder: Path) -> Path:
    """Alembic's two notations: a path, or `package:path/inside` (an installed package)."""
    if ":" in location and not Path(location).is_absolute():
        package, _, inside = location.partition(":")
        # find_spec of a top-level package does not import it.
        from importlib.util import find_spec

        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            spec = None
        if spec and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations))) / inside
        if (folder / package.replace(".", "/")).is_dir():
            return folder / package.replace(".", "/") / inside
        raise ConfigurationError(
            f"Package {package} of the location {location} is not installed",
            code="script-location-missing",
            hint=f"Install {package} in this environment, or give the folder's path",
        )
    return folder / location


def _boolean(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value == "true")


def _url(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip() or value.strip() in _PLACEHOLDER_URLS:
        return None
    return value.strip()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
