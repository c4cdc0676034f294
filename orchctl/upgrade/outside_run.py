"""The part of a run outside its transaction: noted before, told, and undone when the run fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchctl.errors import OperationFailed, OrchctlError
from orchctl.upgrade.mark import Mark, close_mark, open_mark
from orchctl.upgrade.unsafe import Unsafe

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import Listener


class OutsideRun:
    """The part of one run that is outside its transaction.

    Args:
        settings: The run's settings.
        plan: What runs.
        listener: Who hears of the progress.

    Attributes:
        unsafe: For the transaction.
        snapshot: What is put back when the run fails; to be set before anything is written.
    """

    def __init__(self, settings: Settings, plan: UpgradePlan, listener: Listener) -> None:
        self._settings = settings
        self._plan = plan
        self._listener = listener
        self._mark: Mark | None = None
        self.unsafe = Unsafe(plan.outside, self._leaving)
        self.snapshot: Snapshot | None = None

    def went_through(self) -> None:
        """The run is committed: nothing is to be put back any more."""
        for name in self.unsafe.superfluous():
            self._listener.warning(f"{name} did nothing that needs --unsafe; leave it out")
        mark, self._mark = self._mark, None
        if mark is None:
            return
        try:
            close_mark(self._plan.snapshot_directory, mark)
        except OSError as error:
            self._listener.warning(
                f"the mark of {mark.revision} in the journal can't be closed ({error}): "
                f"unless this run gets into it, the next one puts snapshot {mark.snapshot} back"
            )

    @contextlib.contextmanager
    def restoring(self) -> Iterator[None]:
        """Whatever ends a run that left its transaction, its snapshot is put back.

        Raises:
            UpgradeRestored, RestoreFailed: In place of what ended it.
        """
        try:
            yield
        except BaseException as error:
            if (told := self._restored(error)) is not None:
                raise told from error
            raise

    def _restored(self, error: BaseException) -> OrchctlError | None:
        """Put the snapshot back, when the run left its transaction; orchctl's lock must be held.

        Args:
            error: What the run failed with.

        Returns:
            The error to raise instead; None when nothing was to be put back.
        """
        mark, self._mark = self._mark, None
        if mark is None:
            return None
        from orchctl.upgrade.unsafe_restore import restored

        plan = self._plan
        return restored(
            error,
            mark,
            self._settings,
            plan.snapshot_directory,
            plan.version_table,
            self._listener,
        )

    def _leaving(self, revision: str) -> None:
        """A revision is going to run outside; nothing of the run is committed yet."""
        if self._mark is None:
            self._mark = self._open(revision)
        self._listener.warning(
            f"{revision} runs outside the transaction (--unsafe): others can write meanwhile, and "
            f"if anything fails from here on, snapshot {self._mark.snapshot} is put back"
        )

    def _open(self, revision: str) -> Mark:
        plan, snapshot = self._plan, self.snapshot
        assert snapshot is not None  # noqa: S101 - plan_run refuses a plan without
        try:
            return open_mark(
                plan.snapshot_directory,
                plan.database,
                revision=revision,
                before=plan.before,
                snapshot=snapshot.id,
            )
        except OSError as error:
            raise OperationFailed(
                f"{revision} can't run outside the transaction: the journal in "
                f"{plan.snapshot_directory} can't be written: {error}",
                code="journal-not-writable",
                state="The database is as before",
            ) from error
