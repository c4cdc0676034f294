"""A commit that failed with the disk: whether it stands all the same."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError, UpgradeFailed
from orchctl.upgrade.at_head import heads_of

if TYPE_CHECKING:
    from orchctl.upgrade.plan import UpgradePlan


def commit_in_doubt(error: OrchctlError, plan: UpgradePlan) -> OrchctlError:
    """Hold a failure against the file, where a failing disk may have kept a commit after all.

    To be called when this process has no connection to the file any more: until then SQLite goes by
    what it knows, not by what stands in the WAL.

    Args:
        error: How the run ended, once all of it was written.
        plan: What ran.

    Returns:
        The error itself when the database is as before, else `commit-in-doubt`.
    """
    if error.code != "io-error":
        return error
    state = "Whether the commit stands can't be told while the disk fails"
    with suppress(OrchctlError):
        if heads_of(plan.database, plan.version_table) == plan.before:
            return error
        state = f"{plan.database} looks as after the {plan.direction}; a crash may undo it"
    return UpgradeFailed(
        f"The disk failed at the commit: {error.message}",
        code="commit-in-doubt",
        state=state,
        hint="Look at the disk (dmesg); then orchctl status shows where the database is",
    )
