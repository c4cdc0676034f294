"""One frozen object with every setting, and for each where its value came from."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchctl.config.deploy import DeploySettings, read_deploy
from orchctl.config.project import AlembicProject, read_project
from orchctl.config.values import CONVERTERS
from orchctl.config.verify import VerifySettings, read_verify
from orchctl.config.workload import VARIABLES, WorkloadSettings, read_workload
from orchctl.errors import ConfigurationError


@dataclass(frozen=True)
class Origin:
    """Where a value came from: `default`, `flag --url`, `environment ORCHCTL_URL`, a file."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class KeepRules:
    """Which snapshots `prune` keeps: restic's rules. 0 (or "") switches a rule off.

    Attributes:
        last: The newest this many.
        daily: One for each of this many days that have one; weekly, monthly likewise.
        within: Everything younger than this, seconds.
    """

    last: int = 10
    daily: int = 7
    weekly: int = 4
    monthly: int = 6
    within: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Every setting of one run.

    Attributes:
        folder: The working folder, absolute; relative paths in settings count from the
            folder of the file that holds them, those in flags and variables from here.
        project: The Alembic project, or None when none was found (then `project_error` says why).
        url: The database URL, or None when only env.py knows it.
        snapshot_directory: Where snapshots go; None means `backups/` beside the database.
        lock_timeout: Seconds to wait for whoever holds the database.
        backup: Whether `upgrade` and `downgrade` take a snapshot first.
        rehearse: Whether `upgrade` and `downgrade` run on a copy first; needs the snapshot.
        proof: How closely the rows are compared before a commit: `full`, `keys`, `counts`, `off`;
            `auto` is `full` up to `proof_full_size`, `keys` above.
        proof_full_size: Bytes of database up to which `auto` means `full`.
        allow_loss: Tables and table.columns whose loss is declared.
        skip_migration: Whether `run` leaves the upgrade out and starts its command at once.
        keep: The rules of `backup prune`.
        x_arguments: What `-x KEY=VALUE` handed to env.py.
        verify: What `verify-chain` looks for.
        workload: What uses the database, and how to tell that it is well.
        deploy: What surrounds a deploy.
        origins: Name of a setting to where its value came from.
    """

    folder: Path
    project: AlembicProject | None
    project_error: ConfigurationError | None
    url: str | None
    snapshot_directory: Path | None
    lock_timeout: float
    backup: bool
    rehearse: bool
    proof: str
    proof_full_size: int
    allow_loss: tuple[str, ...]
    skip_migration: bool
    keep: KeepRules
    x_arguments: tuple[str, ...]
    verify: VerifySettings
    workload: WorkloadSettings
    deploy: DeploySettings
    origins: Mapping[str, Origin]

    def require_project(self) -> AlembicProject:
        """The Alembic project, or the error that says why there is none."""
        if self.project is None:
            raise self.project_error or ConfigurationError("No Alembic project")
        return self.project


@dataclass(frozen=True)
class _Key:
    """One setting that a file or a variable may hold: how it is written, and its type."""

    name: str
    kind: str  # text | path | duration | boolean | count | list | proof
    default: Any


KEYS = (
    _Key("url", "text", None),
    _Key("snapshot-directory", "path", None),
    _Key("lock-timeout", "duration", 30.0),
    _Key("backup", "boolean", True),
    _Key("rehearse", "boolean", True),
    _Key("proof", "proof", "auto"),
    _Key("proof-full-size", "count", 2 << 30),
    _Key("allow-loss", "list", ()),
    _Key("skip-migration", "boolean", False),
    _Key("keep-last", "count", KeepRules.last),
    _Key("keep-daily", "count", KeepRules.daily),
    _Key("keep-weekly", "count", KeepRules.weekly),
    _Key("keep-monthly", "count", KeepRules.monthly),
    _Key("keep-within", "duration", KeepRules.within),
)


# Names that others gave to the same thing, beside ORCHCTL_….
_FURTHER_VARIABLES = {"url": "DATABASE_URL", "skip-migration": "SKIP_MIGRATION"}

# Read elsewhere: the configuration file and the test suite's own.
OTHER_VARIABLES = ("CONFIG", *VARIABLES)


def load(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    folder: Path,
) -> Settings:
    """Gather the settings of one run.

    Args:
        flags: Values given on the command line by setting name; None means not given. Besides the
            settings: `config` (path), `section`, `x` (sequence of KEY=VALUE).
        environment: The process's environment variables.
        folder: The working folder.

    Raises:
        ConfigurationError: An unknown key, a value of the wrong type, an unreadable file.
    """
    folder = folder.absolute()
    _reject_misspelt_variables(environment)
    config = flags.get("config") or environment.get("ORCHCTL_CONFIG")
    config = config or environment.get("ALEMBIC_CONFIG")
    section = flags.get("section") or "alembic"
    project, project_error = None, None
    try:
        project = read_project(Path(config) if config else None, section=section, folder=folder)
    except ConfigurationError as error:
        if config and error.code == "config-not-found":
            raise
        project_error = error
    file_values, file = _read_file(folder, project)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for key in KEYS:
        values[key.name], origins[key.name] = _value(key, flags, environment, file_values, file)
    if values["url"] is not None:
        _require_url(values["url"], origins["url"])
    if values["url"] is None and project and project.url:
        values["url"], origins["url"] = project.url, Origin(f"{project.file} sqlalchemy.url")
    for name in ("url", "snapshot-directory"):
        origins[name] = Origin("not set") if values[name] is None else origins[name]
    return Settings(
        folder=folder,
        project=project,
        project_error=project_error,
        url=values["url"],
        snapshot_directory=_directory(values["snapshot-directory"], origins, folder, file),
        lock_timeout=values["lock-timeout"],
        backup=values["backup"],
        rehearse=values["rehearse"],
        proof=values["proof"],
        proof_full_size=values["proof-full-size"],
        allow_loss=values["allow-loss"],
        skip_migration=values["skip-migration"],
        keep=KeepRules(**{f.name: values[f"keep-{f.name}"] for f in fields(KeepRules)}),
        x_arguments=tuple(flags.get("x") or ()),
        verify=read_verify(file_values["verify"], file)
        if file and "verify" in file_values
        else VerifySettings(),
        workload=read_workload(file_values.get("workload"), file, environment),
        deploy=read_deploy(file_values["deploy"], file)
        if file and "deploy" in file_values
        else DeploySettings(),
        origins=origins,
    )


def described(settings: Settings) -> list[tuple[str, str, str]]:
    """Every setting as (name, value as text, origin), those of the Alembic project first."""
    rows = []
    if project := settings.project:
        source = str(project.file)
        rows = [
            ("config", source, "project"),
            ("script-location", str(project.script_location), source),
            ("version-locations", " ".join(map(str, project.version_locations)), source),
        ]
    for key in KEYS:
        name = key.name.replace("-", "_")
        value = (
            getattr(settings.keep, name.removeprefix("keep_"))
            if name.startswith("keep_")
            else getattr(settings, name)
        )
        if key.kind == "duration":
            value = f"{value:g}s"
        if isinstance(value, tuple):
            value = " ".join(value)
        text = "" if value is None else str(value)
        rows.append((key.name, text, str(settings.origins[key.name])))
    return rows + settings.workload.described()


def masked_url(url: str) -> str:
    """A URL, or a text with URLs in it, without passwords and secret-looking query values.

    Each is replaced by ***.
    """
    url, found = re.subn(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", url)
    if not found:  # a password with a blank in it
        url = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url, count=1)
    value = r"([?&][^=&\s]*(?:pass|key|secret|token)[^=&\s]*)=[^&\s]*"
    return re.sub(value, r"\1=***", url, flags=re.IGNORECASE)


def _value(
    key: _Key,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file_values: Mapping[str, Any],
    file: Path | None,
) -> tuple[Any, Origin]:
    if flags.get(key.name) is not None:
        origin = Origin(f"flag --{key.name}")
        return _typed(key, flags[key.name], origin), origin
    variables = [f"ORCHCTL_{key.name.upper().replace('-', '_')}"]
    if key.name in _FURTHER_VARIABLES:
        variables.append(_FURTHER_VARIABLES[key.name])
    for variable in variables:
        if environment.get(variable):
            origin = Origin(f"environment {variable}")
            return _typed(key, environment[variable], origin), origin
    if key.name in file_values:
        origin = Origin(f"{file} {key.name}")
        return _typed(key, file_values[key.name], origin), origin
    return key.default, Origin("default")


def _typed(key: _Key, value: Any, origin: Origin) -> Any:
    try:
        return CONVERTERS[key.kind](value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{key.name} ({origin}): {error}",
            code="bad-setting",
            hint=f"{key.name} takes a {key.kind}; orchctl config show lists every setting",
        ) from error


def _require_url(url: str, origin: Origin) -> None:
    """Refuse what is typed as a path; what a file says may be for env.py to make a URL of."""
    if "://" in url or str(origin) not in ("flag --url", "environment ORCHCTL_URL"):
        return
    forms = "sqlite:///relative/path.db or sqlite:////absolute/path.db"
    raise ConfigurationError(
        f"{url} ({origin}) is not a database URL",
        code="bad-url",
        hint=f"SQLite URLs look like {forms}" if ":" in url else f"Write sqlite:///{url}",
    )


def _read_file(folder: Path, project: AlembicProject | None) -> tuple[dict[str, Any], Path | None]:
    """The first of orchctl.toml and pyproject.toml, here or beside alembic.ini, that speaks."""
    folders = [folder]
    if project and project.file.absolute().parent != folder:
        folders.append(project.file.absolute().parent)
    for place in folders:
        for name in ("orchctl.toml", "pyproject.toml"):
            path = place / name
            if not path.is_file():
                continue
            table = _table(path)
            if table is not None:
                return table, path
    return {}, None


def _table(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as stream:
            content = tomllib.load(stream)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", code="config-unreadable"
        ) from error
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("orchctl")
        if content is None:
            return None
    known = [*(key.name for key in KEYS), "verify", "workload", "deploy"]
    for name in content:
        if name not in known:
            raise ConfigurationError(
                f"Unknown setting {name} in {path}",
                code="unknown-setting",
                hint=_nearest(name, known) or "Known: " + ", ".join(known),
            )
    return dict(content)


def _reject_misspelt_variables(environment: Mapping[str, str]) -> None:
    # Kubernetes injects ORCHCTL_SERVICE_HOST and the like, so only what looks like a slip counts.
    known = [key.name.upper().replace("-", "_") for key in KEYS]
    for variable in environment:
        name = variable.removeprefix("ORCHCTL_")
        if name == variable or name in known or name in OTHER_VARIABLES:
            continue
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.75):
            raise ConfigurationError(
                f"Unknown environment variable {variable}",
                code="unknown-setting",
                hint=f"Did you mean ORCHCTL_{close[0]}?",
            )


def _nearest(name: str, known: list[str]) -> str | None:
    close = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else None


def _directory(
    value: Path | None, origins: Mapping[str, Origin], folder: Path, file: Path | None
) -> Path | None:
    if value is None:
        return None
    from_file = file is not None and str(origins["snapshot-directory"]).startswith(str(file))
    base = file.absolute().parent if from_file and file else folder
    return base / value
