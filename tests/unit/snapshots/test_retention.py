from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchctl.config import KeepRules
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.claim import sweep
from orchctl.snapshots.durable import in_use
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.retention import Decision, apply, plan
from orchctl.snapshots.take import take
from tests.support.sqlite_files import make, process

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
NOTHING = KeepRules(last=0, daily=0, weekly=0, monthly=0, within=0)
DAY = timedelta(days=1)


def snapshot(moment: datetime, **changes: object) -> Snapshot:
    identifier = f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03d}"
    made = Snapshot(
        id=identifier,
        created_at=moment.isoformat(),
        reason="scheduled",
        database=Path("/srv/app.db"),
        path=Path(f"/srv/backups/app.db.{identifier}.snapshot"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def daily(count: int) -> list[Snapshot]:
    """One a day at noon, newest first."""
    return [snapshot(NOW - DAY * n) for n in range(count)]


def kept(decisions: Sequence[Decision]) -> list[Snapshot]:
    return [one.snapshot for one in decisions if one.keep]


def reasons(decisions: Sequence[Decision], which: Snapshot) -> tuple[str, ...]:
    return next(one.reasons for one in decisions if one.snapshot == which)


def test_last() -> None:
    taken = daily(5)
    decisions = plan(taken, replace(NOTHING, last=2), now=NOW)
    assert kept(decisions) == taken[:2]
    assert reasons(decisions, taken[1]) == ("last",)
    assert reasons(decisions, taken[2]) == ("no rule keeps it",)


def test_decisions_come_newest_first_whatever_the_order_given() -> None:
    taken = daily(4)
    decisions = plan(list(reversed(taken)), NOTHING, now=NOW)
    assert [one.snapshot for one in decisions] == taken


def test_daily_keeps_the_newest_of_each_day() -> None:
    taken = [snapshot(NOW - timedelta(hours=6) * n) for n in range(12)]
    decisions = plan(taken, replace(NOTHING, daily=2), now=NOW)
    assert kept(decisions) == [taken[0], taken[3]]


def test_days_without_a_snapshot_do_not_count() -> None:
    taken = [snapshot(NOW - DAY * n) for n in (0, 10, 20, 30)]
    assert kept(plan(taken, replace(NOTHING, daily=3), now=NOW)) == taken[:3]


def test_weekly_and_monthly() -> None:
    taken = daily(100)
    weekly = kept(plan(taken, replace(NOTHING, weekly=3), now=NOW))
    weeks = [one.created_at[:10] for one in weekly]
    assert weeks == ["2026-03-15", "2026-03-08", "2026-03-01"]
    monthly = kept(plan(taken, replace(NOTHING, monthly=3), now=NOW))
    assert [one.created_at[:10] for one in monthly] == ["2026-03-15", "2026-02-28", "2026-01-31"]


def test_weeks_are_those_of_iso_even_at_new_year() -> None:
    taken = [snapshot(datetime(2026, 1, day, tzinfo=UTC)) for day in (4, 1)]
    taken.append(snapshot(datetime(2025, 12, 29, tzinfo=UTC)))
    assert kept(plan(taken, replace(NOTHING, weekly=5), now=NOW)) == taken[:1]


def test_within_reaches_back_from_the_newest() -> None:
    taken = [snapshot(NOW - DAY * n) for n in (100, 101, 102, 110)]
    rules = replace(NOTHING, within=2 * 86400.0)
    decisions = plan(taken, rules, now=NOW)
    assert kept(decisions) == taken[:3]
    assert "within" in reasons(decisions, taken[2])


def test_rules_add_up_and_each_is_told() -> None:
    taken = daily(3)
    decisions = plan(taken, KeepRules(last=1, daily=2, weekly=1, monthly=1, within=0), now=NOW)
    assert reasons(decisions, taken[0]) == ("last", "daily", "weekly", "monthly", "newest complete")
    assert reasons(decisions, taken[1]) == ("daily",)


def test_no_rule_keeps_everything() -> None:
    taken = daily(30)
    assert kept(plan(taken, NOTHING, now=NOW)) == taken


ONE = replace(NOTHING, last=1)


def test_a_pinned_one_stays() -> None:
    taken = daily(3)
    taken[2] = replace(taken[2], pinned=True)
    decisions = plan(taken, ONE, now=NOW)
    assert reasons(decisions, taken[2]) == ("pinned",)


def test_s06_what_a_rollback_needs_stays() -> None:
    taken = daily(3)
    decisions = plan(taken, ONE, now=NOW, protected=frozenset({taken[2].id}))
    assert kept(decisions) == [taken[0], taken[2]]
    assert reasons(decisions, taken[2]) == ("needed",)


def test_the_newest_verified_one_stays() -> None:
    taken = daily(4)
    taken[2] = replace(taken[2], status="verified")
    taken[3] = replace(taken[3], status="verified")
    decisions = plan(taken, ONE, now=NOW)
    assert kept(decisions) == [taken[0], taken[2]]
    assert reasons(decisions, taken[2]) == ("newest verified",)


def test_damaged_ones_count_for_no_rule_and_go() -> None:
    taken = daily(4)
    taken[1] = replace(taken[1], status="damaged", note="its file is missing")
    decisions = plan(taken, replace(NOTHING, last=2), now=NOW)
    assert kept(decisions) == [taken[0], taken[2]]
    assert reasons(decisions, taken[1]) == ("damaged: its file is missing",)


def test_a_damaged_one_stays_while_nothing_newer_is_usable() -> None:
    taken = daily(3)
    taken[0] = replace(taken[0], status="damaged", note="?")
    assert kept(plan(taken, ONE, now=NOW)) == taken[:2]


def test_a_partial_one_and_one_of_a_newer_format_stay() -> None:
    taken = daily(4)
    taken[2] = replace(taken[2], status="partial", note="being taken")
    taken[3] = replace(taken[3], status="damaged", note="written by a newer orchctl", format=2)
    decisions = plan(taken, ONE, now=NOW)
    assert kept(decisions) == [taken[0], taken[2], taken[3]]


def test_a_clock_that_ran_ahead_takes_no_more_than_one_place() -> None:
    ahead = snapshot(NOW + DAY * 400)
    taken = [ahead, *daily(3)]
    decisions = plan(taken, replace(NOTHING, daily=2), now=NOW)
    assert kept(decisions) == [ahead, taken[2]]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_one_usable_snapshot_is_always_left(count: int) -> None:
    assert kept(plan(daily(count), replace(NOTHING, within=0.001), now=NOW))


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2026, 3, 15)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
RULES = st.builds(
    KeepRules,
    *[st.integers(0, 5)] * 4,
    st.floats(0, 1e7, allow_nan=False),
)


@given(st.lists(MOMENTS, max_size=25, unique_by=lambda one: snapshot(one).id), RULES)
def test_pruning_twice_is_pruning_once(moments: list[datetime], rules: KeepRules) -> None:
    first = kept(plan([snapshot(one) for one in moments], rules, now=NOW))
    assert kept(plan(first, rules, now=NOW)) == first
    assert bool(first) == bool(moments)


@given(st.lists(MOMENTS, max_size=25, unique_by=lambda one: snapshot(one).id), RULES)
def test_every_decision_has_a_reason(moments: list[datetime], rules: KeepRules) -> None:
    decisions = plan([snapshot(one) for one in moments], rules, now=NOW)
    assert len(decisions) == len(moments)
    assert all(one.reasons for one in decisions)


# -- removing, on real files ---------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    database = make(tmp_path / "app.db", rows=1)
    catalog = Catalog.beside(database)
    for _ in range(4):
        take(database, catalog.directory, reason="manual")
    return catalog


def test_apply_removes_files_and_manifests(catalog: Catalog) -> None:
    taken = catalog.list()
    removed = apply(plan(taken, ONE, now=NOW))
    assert sorted(one.id for one in removed) == [one.id for one in taken[:3]]
    assert catalog.list() == taken[3:]
    assert len(list(catalog.directory.iterdir())) == 2


def test_what_was_pinned_since_stays(catalog: Catalog) -> None:
    taken = catalog.list()
    decisions = plan(taken, ONE, now=NOW)
    catalog.pin(taken[0].id)
    assert taken[0].id not in {one.id for one in apply(decisions)}
    assert [one.id for one in catalog.list()] == [taken[0].id, taken[3].id]


def test_s06_what_is_being_restored_stays(catalog: Catalog) -> None:
    taken = catalog.list()
    program = """
    import sys
    from pathlib import Path
    from orchctl.snapshots.durable import in_use
    with in_use(Path(sys.argv[1])):
        print("ready", flush=True)
        sys.stdin.read()
    """
    with process(program, taken[0].path) as reader:
        assert reader.line() == "ready"
        assert taken[0] not in apply(plan(taken, ONE, now=NOW))
        reader.kill()
    assert apply(plan(catalog.list(), ONE, now=NOW)) == (taken[0],)


def test_damaged_ones_are_removed_in_whatever_pieces(catalog: Catalog) -> None:
    taken = catalog.list()
    taken[0].path.unlink()
    taken[1].manifest.unlink()
    taken[2].manifest.write_text("{")
    apply(plan(catalog.list(), ONE, now=NOW))
    assert catalog.list() == taken[3:]
    assert len(list(catalog.directory.iterdir())) == 2


def test_sweep_removes_what_nobody_fills(catalog: Catalog) -> None:
    left = catalog.directory / "app.db.20260101T000000-000.partial"
    left.write_bytes(b"half")
    young = catalog.directory / "app.db.20260101T000000-000.json.unfinished-abcd"
    young.write_bytes(b"{")
    assert sweep(catalog.directory) == (left,)
    assert young.exists()
    assert len(catalog.list()) == 4


def test_sweep_leaves_what_others_call_so(catalog: Catalog) -> None:
    """A directory may hold other people's files, and a browser calls a download `*.partial`."""
    names = (
        "film.mkv.partial",
        "app.db.partial",
        "report.unfinished-draft",
        "x.unfinished-12345678",
    )
    for name in names:
        path = catalog.directory / name
        path.write_bytes(b"theirs")
        os.utime(path, (0, 0))
    left = catalog.directory / "app.db.20260101T000000-000.json.unfinished-0123abcd"
    left.write_bytes(b"{")
    os.utime(left, (0, 0))
    assert sweep(catalog.directory) == (left,)
    assert all((catalog.directory / name).read_bytes() == b"theirs" for name in names)


def test_sweep_removes_a_trial_restore_that_was_killed(catalog: Catalog) -> None:
    """A copy of the data is too large, and too private, to be forgotten."""
    used, left, young = (catalog.directory / f".orchctl-trial-{name}" for name in "abc")
    for folder in (used, left, young):
        folder.mkdir()
        (folder / "restored.db").write_bytes(b"rows")
    for folder in (used, left):
        os.utime(folder, (0, 0))
    with in_use(used):
        assert sweep(catalog.directory) == (left,)
    assert not left.exists()
    assert used.exists()
    assert young.exists()
