"""The revision files of a deploy: checked, planned and rehearsed before anything is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.errors import Refused

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import Listener

_SHOWN = 3


def require_sound_chain(settings: Settings) -> None:
    """Look at the chain of the revision files as `verify-chain` does.

    Raises:
        Refused: `chain-findings`: one of them is wrong.
        ConfigurationError: There is no project.
    """
    from orchctl.chain.check import check
    from orchctl.chain.examine import examine
    from orchctl.chain.project import find_chain
    from orchctl.chain.selection import select
    from orchctl.chain.titles import rule_titles

    settings.require_project()
    known = [rule.id for rule in rule_titles()]
    selection = select(known, settings.verify, folder=settings.folder)
    place = find_chain(None, settings)
    # Without the lint: it is for whoever writes a revision, not for a night when one is deployed.
    report = check(place, examine(place, lint=False), selection)
    if report.ok:
        return
    errors = [one for one in report.findings if one.severity == "error"]
    told = "; ".join(f"{one.rule} {one.message}" for one in errors[:_SHOWN])
    more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    raise Refused(
        f"The revision files are not in order: {told}{more}",
        code="chain-findings",
        state="Nothing was changed",
        hint="orchctl verify-chain shows all of it",
    )


def pending_here(settings: Settings, revision: str) -> UpgradePlan:
    """What an upgrade by the project here would run.

    Raises:
        Refused: `several-databases`; as `plan_run` says.
        UsageError, ConfigurationError: As `plan_run` says.
    """
    from orchctl.upgrade.plan import plan_run
    from orchctl.upgrade.target import verified_database

    return plan_run(settings, "upgrade", revision, verified_database(settings))


def rehearse_here(settings: Settings, revision: str, listener: Listener) -> None:
    """Run the pending revisions on a copy while the service goes on.

    Raises:
        UpgradeFailed, Refused: As the real run would; nothing was changed.
    """
    plan = pending_here(settings, revision)
    if not plan.steps:
        return
    from orchctl.upgrade.rehearsal_report import rehearsed

    listener.running("Rehearsing on a copy")
    with rehearsed(settings, [plan], listener) as (_, reports):
        count, seconds = len(reports[0].rehearsal.revisions), reports[0].rehearsal.seconds
    listener.step(f"Rehearsed on a copy: {count} revisions in {seconds:.2f}s")
