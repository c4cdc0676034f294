"""Short commands: what a shell prompt, a health check or a container's start waits for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.commands import ALEMBIC, ORCHCTL, timed
from benchmarks.figures import Added, Figure, Options, Ratio, Report, race

_ROOT = Path(__file__).parent.parent
_CASES = (
    ("orchctl --help", ("--help",), "alembic --help", ("--help",)),
    ("orchctl upgrade, at head", ("upgrade",), "alembic upgrade head", ("upgrade", "head")),
    ("orchctl current", ("current",), "alembic current", ("current",)),
)
_BOUND = 0.35
_ADDED = 0.3  # seconds that `run` may add to the start of a container


def run(options: Options) -> Report:
    """Time each command against Alembic's, on the repository's own migrations."""
    environment = {"DATABASE_URL": f"sqlite:///{options.folder / 'service.db'}"}
    timed([ALEMBIC, "upgrade", "head"], _ROOT, environment)
    figures: list[Figure] = []
    for case, words, against, their_words in _CASES:
        sides = {
            case: partial(timed, [ORCHCTL, *words], _ROOT, environment),
            against: partial(timed, [ALEMBIC, *their_words], _ROOT, environment),
        }
        seconds = race(sides, options.rounds)
        figures.append(Ratio(case, seconds[case], against, seconds[against], _BOUND))
    entrypoint, alone = "orchctl run -- true, at head", "true"
    sides = {
        entrypoint: partial(timed, [ORCHCTL, "run", "--", "true"], _ROOT, environment),
        alone: partial(timed, ["true"], _ROOT, environment),
    }
    seconds = race(sides, options.rounds)
    figures.append(Added(entrypoint, seconds[entrypoint], alone, seconds[alone], _ADDED))
    return Report(
        "startup",
        "Start-up",
        "The console scripts of one environment, from start to exit, on `migrations/` of this "
        "repository and a database at head. One run of each first, so that every `.pyc` is there.",
        tuple(figures),
    )
