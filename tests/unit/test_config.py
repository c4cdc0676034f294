"""Settings: where each comes from, what is refused, what is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.config import load, masked_url
from orchctl.config.values import parse_duration
from orchctl.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/m\nsqlalchemy.url = sqlite:///ini.db\n"
        "[other]\nscript_location = o\n"
    )
    return tmp_path


def test_flag_wins_over_environment_over_file_over_ini(folder: Path) -> None:
    assert load({}, {}, folder).url == "sqlite:///ini.db"
    (folder / "orchctl.toml").write_text('url = "sqlite:///file.db"\n')
    assert load({}, {}, folder).url == "sqlite:///file.db"
    environment = {"DATABASE_URL": "sqlite:///variable.db"}
    assert load({}, environment, folder).url == "sqlite:///variable.db"
    environment["ORCHCTL_URL"] = "sqlite:///own.db"
    assert load({}, environment, folder).url == "sqlite:///own.db"
    found = load({"url": "sqlite:///flag.db"}, environment, folder)
    assert found.url == "sqlite:///flag.db"
    assert str(found.origins["url"]) == "flag --url"


def test_every_kind_of_value(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.orchctl]\nlock-timeout = "1m30s"\nbackup = false\nkeep-last = 3\n'
        'keep-within = "14d"\nsnapshot-directory = "snapshots"\nallow-loss = ["a.b", "c"]\n'
    )
    found = load({}, {}, folder)
    assert found.lock_timeout == 90
    assert found.backup is False
    assert found.keep.last == 3
    assert found.keep.within == 14 * 86400
    assert found.snapshot_directory == folder / "snapshots"
    assert found.allow_loss == ("a.b", "c")


@pytest.mark.parametrize(
    "line",
    [
        'lock-timeout = "soon"',
        "lock-timeout = -1",
        'backup = "maybe"',
        "keep-last = 1.5",
        "url = 5",
        'proof = "deep"',
        "lock_timeout = 5",
        "nonsense = 1",
        "= broken",
    ],
)
def test_wrong_settings_are_refused_with_the_file(folder: Path, line: str) -> None:
    (folder / "orchctl.toml").write_text(line + "\n")
    with pytest.raises(ConfigurationError, match=r"orchctl\.toml"):
        load({}, {}, folder)


def test_a_misspelt_variable_is_told_and_kubernetes_ones_are_not(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="ORCHCTL_SNAPSHOT_DIR") as caught:
        load({}, {"ORCHCTL_SNAPSHOT_DIR": "x"}, folder)
    assert caught.value.hint == "Did you mean ORCHCTL_SNAPSHOT_DIRECTORY?"
    load({}, {"ORCHCTL_SERVICE_HOST": "10.0.0.1", "ORCHCTL_PORT": "tcp://10.0.0.1:80"}, folder)


def test_the_project_is_read_as_alembic_reads_it(folder: Path) -> None:
    found = load({}, {}, folder)
    assert found.project is not None
    assert found.project.script_location == folder / "m"
    assert found.project.version_locations == (folder / "m" / "versions",)
    other = load({"section": "other"}, {}, folder).project
    assert other is not None
    assert other.script_location == folder / "o"


@pytest.mark.parametrize(
    ("separator", "text"),
    [
        ("os", "%(here)s/a:%(here)s/b"),
        ("space", "%(here)s/a %(here)s/b"),
        ("newline", "\n    %(here)s/a\n    %(here)s/b"),
        (";", "%(here)s/a;%(here)s/b"),
        (None, "%(here)s/a, %(here)s/b"),
    ],
)
def test_version_locations_with_every_separator(
    tmp_path: Path, separator: str | None, text: str
) -> None:
    line = f"path_separator = {separator}\n" if separator else ""
    (tmp_path / "alembic.ini").write_text(
        f"[alembic]\nscript_location = %(here)s/m\n{line}version_locations = {text}\n"
    )
    project = load({}, {}, tmp_path).project
    assert project is not None
    assert project.version_locations == (tmp_path / "a", tmp_path / "b")


def test_pyproject_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/m"\nversion_locations = ["%(here)s/v"]\n'
        "recursive_version_locations = true\n"
    )
    project = load({}, {}, tmp_path).project
    assert project is not None
    assert project.ini_file is None
    assert project.version_locations == (tmp_path / "v",)
    assert project.recursive


def test_the_templates_placeholder_is_no_url(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = m\nsqlalchemy.url = driver://user:pass@localhost/dbname\n"
    )
    assert load({}, {}, tmp_path).url is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30s", 30), ("4m", 240), ("1h30m", 5400), ("500ms", 0.5), ("2d", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5x", "-1s", "1m 2h"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("sqlite:///app.db?key=s3cret", "sqlite:///app.db?key=***"),
        ("sqlite:///app.db", "sqlite:///app.db"),
    ],
)
def test_secrets_are_masked(url: str, masked: str) -> None:
    assert masked_url(url) == masked
