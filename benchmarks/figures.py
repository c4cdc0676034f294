"""What a benchmark gives back: pairs of figures, each with the bound that it must keep."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        quick: Small and few, to see that it works; the figures mean little.
        folder: An empty folder on the disk that is measured, deleted afterwards.
    """

    quick: bool
    folder: Path

    @property
    def rounds(self) -> int:
        """How often each side runs; the median counts."""
        return 3 if self.quick else 10


@dataclass(frozen=True)
class Series:
    """The seconds that one side took, a round each."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.2f} to {max(self.seconds):.2f}"


@dataclass(frozen=True)
class Ratio:
    """Our time against another's, from the same run.

    Attributes:
        case: What was measured.
        ours: Our seconds.
        against: What it is held against.
        theirs: Its seconds.
        bound: The most that ours may be, as a multiple of theirs; None where nothing is promised.
    """

    case: str
    ours: Series
    against: str
    theirs: Series
    bound: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours.median / self.theirs.median

    @property
    def holds(self) -> bool:
        return self.bound is None or self.ratio <= self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        return (
            self.case,
            f"{self.ours.median:.3f} s ({self.ours.spread})",
            f"{self.against}: {self.theirs.median:.3f} s ({self.theirs.spread})",
            f"{self.ratio:.2f}",
            "" if self.bound is None else f"≤ {self.bound:g}",
        )


@dataclass(frozen=True)
class Count:
    """Something counted on both sides, with the most that ours may be."""

    case: str
    ours: int
    against: str
    theirs: int
    bound: int | None = None

    @property
    def holds(self) -> bool:
        return self.bound is None or self.ours <= self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        bound = "" if self.bound is None else f"≤ {self.bound}"
        theirs = f"{self.against}: {self.theirs}"
        return (self.case, f"{self.ours}", theirs, f"{self.ours / self.theirs:.3f}", bound)


@dataclass(frozen=True)
class Added:
    """The time that we add to something that runs with and without us.

    Attributes:
        case: What was measured.
        ours: The seconds with us.
        against: What it is without us.
        theirs: Its seconds.
        bound: The seconds that we may add at most.
    """

    case: str
    ours: Series
    against: str
    theirs: Series
    bound: float

    @property
    def holds(self) -> bool:
        return self.ours.median - self.theirs.median <= self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        return (
            self.case,
            f"{self.ours.median:.3f} s ({self.ours.spread})",
            f"{self.against}: {self.theirs.median:.3f} s ({self.theirs.spread})",
            f"+{self.ours.median - self.theirs.median:.3f} s",
            f"≤ +{self.bound:g} s",
        )


@dataclass(frozen=True)
class Peak:
    """The most memory that a command and its children took, with the most that it may take."""

    case: str
    megabytes: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.megabytes <= self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        return (self.case, f"{self.megabytes:.0f} MB", "", "", f"≤ {self.bound:g} MB")


@dataclass(frozen=True)
class Memory:
    """The most memory that either side took, in MB; ours must be below theirs."""

    case: str
    ours: float
    against: str
    theirs: float

    @property
    def holds(self) -> bool:
        return self.ours < self.theirs

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        theirs = f"{self.against}: {self.theirs:.0f} MB"
        return (self.case, f"{self.ours:.0f} MB", theirs, f"{self.ours / self.theirs:.2f}", "< 1")


@dataclass(frozen=True)
class Latency:
    """Latency with something in between against without, in milliseconds.

    Attributes:
        case: What was measured.
        p50: With it, what half of the answers took at most.
        p99: With it, what 99 of 100 took at most.
        direct_p50: Without it.
        direct_p99: Without it.
        bounds: The most that may be added, for both; None where nothing is promised.
    """

    case: str
    p50: float
    p99: float
    direct_p50: float
    direct_p99: float
    bounds: tuple[float, float] | None = None

    @property
    def added(self) -> tuple[float, float]:
        """What was added, for both."""
        return self.p50 - self.direct_p50, self.p99 - self.direct_p99

    @property
    def holds(self) -> bool:
        if self.bounds is None:
            return True
        return all(added <= bound for added, bound in zip(self.added, self.bounds, strict=True))

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        added = "{:+.1f} / {:+.1f} ms".format(*self.added)
        bound = "" if self.bounds is None else "≤ +{:g} / +{:g} ms".format(*self.bounds)
        ours = f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms"
        direct = f"direct: {self.direct_p50:.1f} ms, {self.direct_p99:.1f} ms"
        return (self.case, ours, direct, added, bound)


@dataclass(frozen=True)
class Kept:
    """Something of which nothing may be lost, counted on both sides."""

    case: str
    ours: int
    against: str
    theirs: int

    @property
    def holds(self) -> bool:
        return self.ours == self.theirs

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        theirs = f"{self.against}: {self.theirs}"
        return (self.case, f"{self.ours}", theirs, f"{self.ours / self.theirs:.3f}", "= 1")


@dataclass(frozen=True)
class Flat:
    """Memory early in a run and the most of it, in MB, with the most that it may grow by."""

    case: str
    early: float
    most: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.most <= self.early * self.bound

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's cells, as `HEADERS` names them."""
        early = f"after a tenth: {self.early:.0f} MB"
        ratio = f"{self.most / self.early:.2f}"
        return (self.case, f"{self.most:.0f} MB", early, ratio, f"≤ {self.bound:g}")


HEADERS = ("case", "orchctl", "against", "ratio", "bound")
Figure = Ratio | Count | Added | Peak | Memory | Latency | Kept | Flat


@dataclass(frozen=True)
class Report:
    """What one benchmark found.

    Attributes:
        name: What `python -m benchmarks NAME` calls it.
        title: A heading.
        about: What is measured, and how; a paragraph.
        figures: The rows of its table.
        notes: What else was seen, a line each.
        headers: What its table's columns are called.
    """

    name: str
    title: str
    about: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    headers: tuple[str, ...] = HEADERS


def race(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Series]:
    """Run every side once a round, after one unmeasured round each, so that all see the same disk.

    Args:
        sides: By name, what runs once and returns the seconds that count.
        rounds: How many are measured.
    """
    for run in sides.values():
        run()
    names = list(sides)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        # Who comes first changes, so that nobody always runs on what another left in the cache.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(sides[name]())
    return {name: Series(tuple(values)) for name, values in seconds.items()}
