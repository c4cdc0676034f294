"""Which chain a path, or the settings, name."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.chain.project import ChainPlace, find_chain
from orchctl.config import Settings, load
from orchctl.errors import ConfigurationError, UsageError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("migrations/versions", "other/versions", "plain", "more"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "migrations/env.py").write_text("")
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations\nrecursive_version_locations = true\n"
    )
    (tmp_path / "other.ini").write_text("[alembic]\nscript_location = %(here)s/other\n")
    return tmp_path


def settings(folder: Path) -> Settings:
    return load({}, {}, folder)


def find(folder: Path, path: str | None) -> ChainPlace:
    return find_chain(Path(path) if path else None, settings(folder))


@pytest.mark.parametrize("path", [None, "alembic.ini", "migrations", "migrations/versions", "."])
def test_the_configured_chain(project: Path, path: str | None) -> None:
    place = find(project, path)
    assert [one.resolve() for one in place.locations] == [project / "migrations/versions"]
    assert place.recursive
    assert place.env_py is not None
    assert place.env_py.resolve() == project / "migrations/env.py"


@pytest.mark.parametrize("path", ["other.ini", "other"])
def test_another_one(project: Path, path: str) -> None:
    place = find(project, path)
    assert place.locations == (project / "other/versions",)
    assert not place.recursive


def test_a_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    assert find(tmp_path, "v") == ChainPlace((tmp_path / "v",))
    (tmp_path / "env.py").write_text("")
    assert find(tmp_path, "v").env_py == tmp_path / "env.py"
    assert find(tmp_path, str(tmp_path / "v")).locations == (tmp_path / "v",)


@pytest.mark.parametrize("name", ["alembic.ini", "pyproject.toml"])
def test_a_projects_folder_is_no_folder_of_revisions(tmp_path: Path, name: str) -> None:
    """Whatever else it holds: a folder named versions, Python files."""
    (tmp_path / "service/versions").mkdir(parents=True)
    (tmp_path / "service/setup.py").write_text("")
    quoted = '"%(here)s/db"' if name == "pyproject.toml" else "%(here)s/db"
    table = "tool.alembic" if name == "pyproject.toml" else "alembic"
    (tmp_path / "service" / name).write_text(f"[{table}]\nscript_location = {quoted}\n")
    assert find(tmp_path, "service").locations == (tmp_path / "service/db/versions",)


def test_several_version_locations(project: Path) -> None:
    (project / "alembic.ini").write_text(
        "[alembic]\nscript_location = migrations\npath_separator = newline\n"
        "version_locations =\n    plain\n    more\n"
    )
    assert find(project, None).locations == (project / "plain", project / "more")
    # One of several folders is only itself.
    assert find(project, "plain").locations == (project / "plain",)


@pytest.mark.parametrize(
    ("path", "words"), [("gone", "does not exist"), ("x.txt", "neither a folder")]
)
def test_what_is_no_chain(project: Path, path: str, words: str) -> None:
    (project / "x.txt").write_text("")
    with pytest.raises(UsageError, match=words):
        find(project, path)


def test_no_project_and_no_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No alembic\.ini"):
        find(tmp_path, None)
