"""Which rules count: flags over file, prefixes, levels, excluded paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.chain.findings import Finding
from orchctl.chain.selection import select
from orchctl.config import load
from orchctl.config.verify import VerifySettings
from orchctl.errors import ConfigurationError, UsageError

KNOWN = ("C01", "C02", "L01", "L02")
FOLDER = Path("/project")


def rules(settings: VerifySettings, **words: list[str]) -> set[str]:
    return set(select(KNOWN, settings, folder=FOLDER, **words).rules)


def test_all_unless_said_otherwise() -> None:
    assert rules(VerifySettings()) == set(KNOWN)
    assert rules(VerifySettings(select=("L",), ignore=("L02",))) == {"L01"}
    assert rules(VerifySettings(levels={"C02": "off"})) == {"C01", "L01", "L02"}


def test_a_flag_replaces_what_the_file_selects_and_adds_to_what_it_ignores() -> None:
    settings = VerifySettings(select=("C",), ignore=("L02",))
    assert rules(settings, selected=["l"]) == {"L01"}
    assert rules(settings, ignored=["C01"]) == {"C02"}


def test_an_unknown_rule_is_one_line_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        rules(VerifySettings(), selected=["L0X"])
    for settings in (VerifySettings(levels={"LX": "off"}), VerifySettings(ignore=("LX",))):
        with pytest.raises(ConfigurationError, match="LX is no rule, and the setting verify"):
            rules(settings)
    assert caught.value.hint == "Did you mean L02?" or "L01" in str(caught.value.hint)


def test_levels_and_excluded_paths() -> None:
    settings = VerifySettings(levels={"L02": "note"}, exclude=("old/",), folder=FOLDER)
    selection = select(KNOWN, settings, folder=FOLDER)
    found = [
        Finding("L02", "error", "…", path=FOLDER / "versions/a.py", line=1),
        Finding("L02", "error", "…", path=FOLDER / "old/b.py", line=1),
        Finding("C01", "error", "…"),
    ]
    assert [(one.rule, one.severity) for one in selection.apply(found)] == [
        ("L02", "note"),
        ("C01", "error"),
    ]


def test_levels_of_several_rules_at_once() -> None:
    settings = VerifySettings(levels={"L02": "error", "L": "off", "C": "note"})
    selection = select(KNOWN, settings, folder=FOLDER)
    assert selection.rules == {"C01", "C02", "L02"}
    assert selection.levels == {"C01": "note", "C02": "note", "L02": "error"}


def test_the_table_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.orchctl.verify]\nignore = ["l07"]\nlevels = {L02 = "error"}\nexclude = ["old/*"]\n'
    )
    settings = load({}, {}, tmp_path).verify
    assert settings.ignore == ("L07",)
    assert settings.levels == {"L02": "error"}
    assert (settings.exclude, settings.folder) == (("old/*",), tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ignored = []", "Unknown setting verify.ignored"),
        ('ignore = "L02"', "takes a list"),
        ("levels = 1", "takes a table"),
        ('levels = {L02 = "fatal"}', "is none of"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.orchctl.verify]\n{line}\n")
    with pytest.raises(ConfigurationError, match=told):
        load({}, {}, tmp_path)
