"""The chain, and what the database says against it: stamp, schema, runs that were killed."""

from __future__ import annotations

from collections.abc import Iterator

from orchctl.database.inspect import inspect
from orchctl.doctor.findings import Finding, Mend, found
from orchctl.doctor.subject import Subject
from orchctl.errors import Refused, typed
from orchctl.upgrade.journal import Journal
from orchctl.upgrade.killed_run import find_killed_run
from orchctl.upgrade.plan import snapshot_directory
from orchctl.upgrade.scratch_folder import REHEARSAL, is_left_over

_SHOWN = 5
# A chain longer than this is run on a scratch file with `--full` only.
_LONGEST_BUILT = 300


def check_chain(subject: Subject) -> Iterator[Finding]:
    """Whether the revision files fit together (the rules C01 to C19, without running them).

    Raises:
        ConfigurationError: No Alembic project.
    """
    from orchctl.chain.project import find_chain
    from orchctl.chain.rules import verify

    place = find_chain(None, subject.settings)
    report = verify(place.read(), place.locations)
    errors = [one for one in report.findings if one.severity == "error"]
    if errors:
        yield found(
            "chain-broken",
            f"The revision files have {_counted(len(errors), 'fault')}",
            evidence=tuple(f"{one.rule} {one.message}" for one in errors[:_SHOWN]),
            command="orchctl verify-chain --fix mends what has one right answer, "
            "orchctl verify-chain shows all",
        )


def check_stamp(subject: Subject) -> Iterator[Finding]:
    """Whether the database's revision is one of this chain's, and the last.

    Raises:
        OrchctlError: No project, or the database can't be opened.
    """
    from orchctl.chain.project import find_chain
    from orchctl.upgrade.chain_databases import about_file

    if not subject.real.is_file():
        return
    place = find_chain(None, subject.settings)
    for one in about_file(subject.file, place, place.read(), subject.settings):
        behind = one.severity == "note"
        yield found(
            "pending" if behind else "wrong-stamp",
            one.message,
            evidence=(f"Alembic: {one.alembic}",) if one.alembic else (),
            command=one.suggestion,
            level=None if behind else one.severity,
        )


def check_schema(subject: Subject) -> Iterator[Finding]:
    """Whether the schema is what the database's revision makes, from empty, on a scratch file.

    Raises:
        OrchctlError: No project; the database can't be opened; the chain doesn't run from empty.
    """
    from orchctl.upgrade.at_head import static_chain
    from orchctl.upgrade.stamp_plan import plan_stamp, weighty

    if not subject.real.is_file():
        return
    heads = inspect(subject.file, version_table=subject.version_table).heads
    if not heads:
        return
    graph = static_chain(subject.settings)
    if graph is not None:
        if unknown := [id_ for id_ in heads if id_ not in graph.revisions]:
            raise Refused(f"the chain doesn't have {', '.join(unknown)}")
        if len(graph.revisions) > _LONGEST_BUILT and not subject.full:
            raise Refused(f"the chain has {len(graph.revisions)} revisions: --full runs it")
    plan = plan_stamp(subject.settings, heads, subject.file, purge=True)
    if plan.obstacle is not None:
        raise plan.obstacle
    differences = weighty(plan.differences)
    if not differences:
        return
    fitting = [" ".join(place) for place in plan.fitting if place]
    where = f"; it is what {' or '.join(fitting)} makes" if fitting else ""
    yield found(
        "schema-differs",
        f"{subject.real.name} is at {', '.join(heads)}, but its schema is not{where}",
        evidence=(
            *map(str, differences[:_SHOWN]),
            *([f"and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []),
        ),
        command=f"orchctl stamp {fitting[0]}"
        if len(fitting) == 1
        else f"orchctl stamp --dry-run {' '.join(heads)} shows all; orchctl rollback goes back",
        level="error" if fitting or any(one.before for one in differences) else "warning",
    )


def check_runs(subject: Subject) -> Iterator[Finding]:
    """Whether the last run of orchctl was killed, and what killed ones left beside the database.

    Raises:
        OrchctlError: The database can't be opened.
        OSError: The directory can't be read.
    """
    folder = subject.real.parent
    for path in sorted(folder.glob(f"{REHEARSAL}*")):
        if is_left_over(path):
            yield found(
                "stale-rehearsal",
                f"{path.name} is left of a rehearsal that was killed",
                evidence=(f"{path}: nobody holds its lock",),
                command=f"rm -r {typed(path)}",
                mend=Mend("rehearsals", folder),
            )
    if not subject.real.is_file():
        return
    journal = Journal(snapshot_directory(subject.settings, subject.file), subject.file)
    heads = inspect(subject.file, version_table=subject.version_table).heads
    if killed := find_killed_run(journal, subject.file, heads):
        yield found(
            "killed-run",
            f"{killed.told[:1].upper()}{killed.told[1:]}",
            evidence=(str(journal.path),),
            command="orchctl upgrade",
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
