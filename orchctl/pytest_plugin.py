"""`pytest --orchctl`: the migration chain as tests, one for each group of verify-chain's rules.

pytest imports this module at every start, so it imports nothing: whoever does not give the option
does not pay for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from orchctl.chain.findings import ChainReport, Finding
    from orchctl.cli.chain_findings import ChainCheck

# Each test with its rules, or the beginnings of their ids.
GROUPS = {
    "chain: files": ("C01", "C06", "C07", "C08", "C12"),
    "chain: graph": ("C02", "C03", "C04", "C05", "C09", "C14", "C17", "C18"),
    "chain: ids": ("C10", "C11", "C19"),
    "lint": ("L",),
    "ignore comments": ("I",),
    "lockfile": ("C13",),
    "merged tree": ("C15",),
    "databases": ("C16",),
}
MARK = "orchctl"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("orchctl", "the Alembic migration chain (orchctl verify-chain)")
    group.addoption(
        "--orchctl",
        action="store_true",
        help="check the migration chain too; -m orchctl runs nothing else",
    )
    group.addoption(
        "--orchctl-path",
        metavar="PATH",
        help="versions folder, script folder or ini file; else the project's in rootdir",
    )
    group.addoption(
        "--orchctl-base",
        metavar="REF",
        help="check the tree as it will be once merged into REF too",
    )
    group.addoption(
        "--orchctl-db",
        metavar="URL",
        action="append",
        default=[],
        help="hold this database's stamp against the chain too; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, for `-m`.

    Raises:
        UsageError: An option that does nothing without `--orchctl`.
    """
    if config.getoption("orchctl"):
        config.addinivalue_line("markers", f"{MARK}: a check of the migration chain")
        return
    for name in ("path", "base", "db"):
        if config.getoption(f"orchctl_{name}") not in (None, []):
            raise pytest.UsageError(f"--orchctl-{name} goes with --orchctl")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Put the chain beside what pytest found itself, so that it is collected as any file."""
    report = yield
    if isinstance(collector, pytest.Session) and collector.config.getoption("orchctl"):
        chain = Chain.from_parent(collector, name="orchctl", nodeid="orchctl")
        if not any(isinstance(one, Chain) for one in report.result):
            report.result = [*report.result, chain]
    return report


class Chain(pytest.Collector):
    """The chain of the project in rootdir, or of `--orchctl-path`."""

    _check: ChainCheck
    _report: ChainReport | None = None

    def collect(self) -> Iterator[ChainTest]:
        """One test for each group that has a selected rule.

        Raises:
            CollectError: There is no project, or its settings are wrong.
        """
        from orchctl.errors import OrchctlError

        try:
            self._check = _check_of(self.config)
        except OrchctlError as error:
            raise self.CollectError(_told(error)) from None
        for name, beginnings in GROUPS.items():
            rules = {one for one in self._check.selection.rules if one.startswith(beginnings)}
            if rules and self._has(name):
                yield ChainTest.from_parent(self, name=name, chain=self, rules=frozenset(rules))

    def _has(self, group: str) -> bool:
        """Whether there is what a group's rules are about."""
        if group == "lockfile":
            return self._check.place.lockfile.exists()
        needed = {"merged tree": "orchctl_base", "databases": "orchctl_db"}.get(group)
        return needed is None or self.config.getoption(needed) not in (None, [])

    def report(self) -> ChainReport:
        """What is found; looked for once, by the test that runs first.

        Raises:
            OrchctlError: The lockfile, the branch or a database cannot be read.
        """
        if self._report is None:
            self._report = self._check.report()
        return self._report


class ChainTest(pytest.Item):
    """A group of rules; it fails when one of them finds an error."""

    def __init__(self, *, chain: Chain, rules: frozenset[str], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.chain = chain
        self.rules = rules
        self.add_marker(MARK)

    def runtest(self) -> None:
        """Look for what the rules forbid.

        Raises:
            ChainBroken: An error was found; warnings and notes are shown with `-rA`.
        """
        found = [one for one in self.chain.report().findings if one.rule in self.rules]
        text = _lines(found, self.config.rootpath)
        if any(one.severity == "error" for one in found):
            raise ChainBroken(text)
        if text:
            self.add_report_section("call", "orchctl", text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings as verify-chain shows them; what is no finding as pytest shows it."""
        from orchctl.errors import OrchctlError

        if isinstance(excinfo.value, ChainBroken):
            return str(excinfo.value)
        if isinstance(excinfo.value, OrchctlError):
            return _told(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """What stands above a failure."""
        return self.config.rootpath, None, f"orchctl {self.name}"


class ChainBroken(Exception):
    """Errors were found; its text is how they are shown."""


def _check_of(config: pytest.Config) -> ChainCheck:
    import os

    from orchctl.chain.project import find_chain
    from orchctl.chain.selection import select
    from orchctl.chain.titles import rule_titles
    from orchctl.cli.chain_findings import ChainCheck, Sources, without_database_rules
    from orchctl.config import load

    settings = load({}, os.environ, config.rootpath)
    typed = config.getoption("orchctl_path")
    place = find_chain(config.invocation_params.dir / typed if typed else None, settings)
    known = [rule.id for rule in rule_titles()]
    ignored = without_database_rules(settings)
    selection = select(known, settings.verify, ignored=ignored, folder=settings.folder)
    sources = Sources(
        tuple(config.getoption("orchctl_db")),
        frozen=place.lockfile.exists(),
        base=config.getoption("orchctl_base"),
    )
    return ChainCheck(place, selection, sources, settings)


def _lines(findings: list[Finding], folder: Path) -> str:
    from orchctl.cli.chain_text import finding_lines

    return "\n".join(line for one in findings for line in finding_lines(one, folder))


def _told(error: Any) -> str:
    return f"{error.message}\n{error.hint}" if error.hint else str(error.message)
