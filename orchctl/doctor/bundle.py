"""What a person who helps needs to see, in one archive: facts, never rows, never secrets."""

from __future__ import annotations

import io
import json
import os
import platform
import sqlite3
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl import __version__
from orchctl.config.settings import described
from orchctl.database.inspect import inspect
from orchctl.database.open import ask, sidecars
from orchctl.doctor.examination import Diagnosis
from orchctl.doctor.mounts import mount_of, read_mounts
from orchctl.doctor.secrets import masked, masked_variable
from orchctl.doctor.subject import Subject
from orchctl.errors import OperationFailed, OrchctlError, Refused
from orchctl.snapshots.catalog import Catalog
from orchctl.upgrade.journal import FILE_NAME
from orchctl.upgrade.plan import snapshot_directory

if TYPE_CHECKING:
    from orchctl.doctor.containers import Patient
    from orchctl.workloads.facts import ContainerFacts

_JOURNAL_LINES = 200
_LOG_LINES = 200
_HARMLESS_LABELS = ("com.docker.", "org.opencontainers.image.", "orchctl.")
_LIBRARIES = ("alembic", "sqlalchemy", "typer", "rich", "docker", "kubernetes", "aiosqlite")


def write_bundle(path: Path, parts: Mapping[str, str]) -> Path:
    """Write texts into a new archive that only its owner can read.

    Args:
        path: `….zip`, or anything else for a gzipped tar.
        parts: Texts by file name; masked here, whatever they are.

    Raises:
        Refused: `bundle-exists`: there is a file of that name.
        OperationFailed: `bundle-not-written`.
    """
    folder = path.name.partition(".")[0] or "doctor"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Refused(
            f"{path} exists already",
            code="bundle-exists",
            state="Nothing was written",
            hint="Name another file after --bundle",
        ) from error
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            texts = {f"{folder}/{name}": _shown(name, text) for name, text in parts.items()}
            stream.write(_zip(texts) if path.suffix == ".zip" else _tar(texts))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    return path


def collect(
    diagnosis: Mapping[str, Any], subjects: Sequence[Subject], patients: Sequence[Patient] = ()
) -> dict[str, str]:
    """The texts of a bundle.

    Args:
        diagnosis: The result as `--json` prints it.
        subjects: The databases.
        patients: The containers.
    """
    parts = {"findings.json": _json(diagnosis), "versions.json": _json(_versions())}
    if subjects:
        rows = described(subjects[0].settings)
        parts["config.json"] = _json(
            [{"name": name, "value": value, "origin": origin} for name, value, origin in rows]
        )
        parts["chain.json"] = _told(lambda: _json(_chain(subjects[0])))
    for number, subject in enumerate(subjects):
        place = f"{subject.real.name}-{number}" if number else subject.real.name
        parts |= {f"{place}/{name}": text for name, text in _about(subject)}
    for one in patients:
        parts[f"{one.facts.name}/container.json"] = _told(lambda: _json(_container(one.facts)))  # noqa: B023
        parts[f"{one.facts.name}/log.txt"] = _told(lambda: _log(one))  # noqa: B023
    return parts


def checks_object(diagnosis: Diagnosis) -> dict[str, Any]:
    """The JSON form of a diagnosis; docs/json.md is its contract."""
    return {
        "ok": diagnosis.ok,
        "findings": [
            {
                "id": one.id,
                "level": one.level,
                "subject": one.subject,
                "what": one.what,
                "evidence": list(one.evidence),
                "command": one.command,
                "fixable": one.mend is not None,
            }
            for one in diagnosis.findings
        ],
        "checks": [
            {
                "name": one.name,
                "subject": one.subject,
                "done": one.obstacle is None,
                "why": one.obstacle,
                "findings": len(one.findings),
            }
            for one in diagnosis.checks
        ],
    }


def _about(subject: Subject) -> Iterator[tuple[str, str]]:
    yield "files.txt", _told(lambda: _files(subject))
    if subject.odd is None:
        yield "status.json", _told(lambda: _json(_status(subject)))
        yield "schema.sql", _told(lambda: _schema(subject))
    yield "snapshots.json", _told(lambda: _json(_snapshots(subject)))
    yield "journal.jsonl", _told(lambda: _journal(subject))


def _told(read: Any) -> str:
    """A text, or why there is none: a bundle is wanted most where things can't be read."""
    try:
        return str(read())
    except OrchctlError as error:
        return f"not available: {error.message}\n"
    except (OSError, sqlite3.Error) as error:
        return f"not available: {error}\n"


def _versions() -> dict[str, Any]:
    return {
        "orchctl": __version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "uid": os.geteuid(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _status(subject: Subject) -> dict[str, Any]:
    facts = inspect(subject.file, version_table=subject.version_table)
    return {
        "database": str(subject.file),
        "real": str(subject.real),
        "exists": facts.exists,
        "size": facts.size,
        "journal_mode": facts.journal_mode,
        "page_size": facts.page_size,
        "page_count": facts.page_count,
        "user_version": facts.user_version,
        "application_id": facts.application_id,
        "encoding": facts.encoding,
        "version_table": subject.version_table,
        "revisions": list(facts.heads),
        "tables": list(facts.tables),
    }


def _files(subject: Subject) -> str:
    lines = []
    for path in (subject.real.parent, subject.real, *sidecars(subject.real).values()):
        if path.exists():
            facts = path.stat()
            owner = f"{facts.st_uid}:{facts.st_gid}"
            lines.append(f"{facts.st_mode:06o} {owner} {facts.st_size} {_at(facts)} {path}")
    mounts = read_mounts(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    lines.append(str(mount_of(subject.real, mounts)))
    return "\n".join(lines) + "\n"


def _at(facts: os.stat_result) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(facts.st_mtime))


def _schema(subject: Subject) -> str:
    sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"
    rows = ask(subject.file, lambda connection, _: connection.execute(sql).fetchall())
    return "".join(f"{row[0]};\n" for row in rows)


def _snapshots(subject: Subject) -> list[dict[str, Any]]:
    catalog = Catalog(snapshot_directory(subject.settings, subject.file), subject.file)
    names = ("id", "created_at", "reason", "size", "heads", "status", "pinned", "note", "versions")
    return [{name: getattr(one, name) for name in names} for one in catalog.list()]


def _journal(subject: Subject) -> str:
    path = snapshot_directory(subject.settings, subject.file) / FILE_NAME
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(_about_run(line) for line in lines[-_JOURNAL_LINES:]) + "\n"


def _about_run(line: str) -> str:
    """A line of the journal but for the error's text, in which SQLite may quote a value."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "(unreadable)"
    if isinstance(entry, dict):
        if isinstance(entry.get("error"), dict):
            entry["error"] = {"code": entry["error"].get("code")}
        entry.pop("chain", None)
    return json.dumps(entry)


def _chain(subject: Subject) -> dict[str, Any]:
    from orchctl.chain.findings import report_data
    from orchctl.chain.project import find_chain
    from orchctl.chain.rules import verify

    place = find_chain(None, subject.settings)
    report = verify(place.read(), place.locations)
    return dict(report_data(report, subject.settings.folder))


def _container(facts: ContainerFacts) -> dict[str, Any]:
    told = asdict(facts)
    told["environment"] = [masked_variable(*one) for one in sorted(facts.environment.items())]
    # A proxy's labels may hold its users and their hashes.
    told["labels"] = {
        name: value if name.startswith(_HARMLESS_LABELS) or not value else "***"
        for name, value in sorted(facts.labels.items())
    }
    return told


def _log(patient: Patient) -> str:
    return "\n".join(patient.engine.tail(patient.facts.id, _LOG_LINES)) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _shown(name: str, text: str) -> str:
    """A text without secrets; JSON stays JSON, and quotes in its texts are no ends of secrets."""
    try:
        if name.endswith(".json"):
            return _json(_masked(json.loads(text)))
        if name.endswith(".jsonl"):
            lines = [json.dumps(_masked(json.loads(line))) for line in text.splitlines()]
            return "".join(f"{line}\n" for line in lines)
    except ValueError:  # why it is not available
        pass
    return masked(text)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if isinstance(value, dict):
        return {name: _member(name, one) for name, one in value.items()}
    return value


def _member(name: str, value: Any) -> Any:
    secret = isinstance(value, str) and value and masked(f"{name}=x") != f"{name}=x"
    return "***" if secret else _masked(value)


def _tar(texts: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in _encoded(texts.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def _zip(texts: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _encoded(texts.items()):
            archive.writestr(name, data)
    return made.getvalue()


def _encoded(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    for name, text in texts:
        yield name, text.encode(errors="replace")


def _not_written(path: Path, error: OSError) -> OperationFailed:
    return OperationFailed(
        f"{path} can't be written: {error.strerror}",
        code="bundle-not-written",
        state="No bundle was written",
        hint="Name a file in another directory after --bundle",
    )
