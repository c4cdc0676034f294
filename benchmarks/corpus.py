"""`python -m benchmarks.corpus [--write] [PROJECT…]`: the chains of real projects, read and judged.

Nothing of theirs is installed. Each project's wheel is downloaded from PyPI by pip, and the folders
with its revisions are unpacked into the environment this runs in; orchctl reads them in this
process, and Alembic's ScriptDirectory in another one. docs/corpus.md is what came out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus_projects import CORPUS, Corpus
from orchctl.chain.check import check
from orchctl.chain.examine import examine
from orchctl.chain.findings import ChainReport, Finding
from orchctl.chain.graph import Graph
from orchctl.chain.project import ChainPlace
from orchctl.chain.selection import Selection
from orchctl.chain.titles import rule_titles

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(sys.prefix) / "corpus"


@dataclass(frozen=True)
class Read:
    """What came of one chain.

    Attributes:
        project: Whose it is.
        chain: Its folder, within the wheel.
        report: orchctl's.
        said: What Alembic made of it, in one phrase.
        agrees: Whether that is the same; None where Alembic has no graph to compare.
    """

    project: Corpus
    chain: str
    report: ChainReport
    said: str
    agrees: bool | None

    def counted(self) -> Counter[str]:
        return Counter(one.rule for one in self.report.findings)


def main() -> int:
    """Read them all, or those named; 1 where orchctl and Alembic differ."""
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    reads = []
    for project in CORPUS:
        if not names or project.name in names:
            for read in read_all(project):
                reads.append(read)
                print(_line(read), *map(shown, read.report.findings), sep="\n  ", flush=True)
    if "--write" in sys.argv[1:]:
        from benchmarks import corpus_page

        corpus_page.write(reads)
    return 1 if any(read.agrees is False for read in reads) else 0


def read_all(project: Corpus) -> Iterator[Read]:
    """Fetch a project and read its chains."""
    folder = fetched(project)
    for chain in project.chains:
        yield read_one(project, chain, folder / chain)


def fetched(project: Corpus) -> Path:
    """The project's folder in the cache, unpacked there from its wheel when it isn't.

    Raises:
        subprocess.CalledProcessError: pip failed; what it said is on stderr.
    """
    folder = CACHE / project.requirement
    if not (folder / ".complete").is_file():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as wheels:
            # Only wheels: to look into a source distribution, pip runs what is in it.
            words = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", wheels]
            words += [project.requirement]
            subprocess.run([sys.executable, "-m", "pip", *words], check=True)
            (wheel,) = Path(wheels).iterdir()
            _unpack(wheel, project.chains, folder)
        (folder / ".complete").touch()
    return folder


def _unpack(wheel: Path, chains: Sequence[str], folder: Path) -> None:
    """Unpack what is in a wheel's folders of revisions."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(tuple(f"{chain}/" for chain in chains)):
                archive.extract(name, folder)


def read_one(
    project: Corpus,
    chain: str,
    folder: Path,
    python: Path = Path(sys.executable),
) -> Read:
    """Read a chain, and have Alembic read it, with this Python."""
    place = ChainPlace((folder,), recursive=project.recursive)
    examination = examine(place, lint=True)
    selection = Selection(frozenset(rule.id for rule in rule_titles()))
    report = check(place, examination, selection)
    theirs, missing = alembic_graph(folder, python, recursive=project.recursive), None
    if theirs.get("import"):
        missing = theirs["said"]
        theirs = alembic_graph(folder, python, recursive=project.recursive, stand_ins=True)
    if "error" in theirs:
        failed = f"{theirs['error']}: {theirs['said'].partition('.  ')[0]}"
        said = f"{missing}; then {failed}" if missing else failed
        return Read(project, chain, report, said, None)
    differences = _differences(Graph.of(examination.files), theirs)
    for difference in differences:
        print("  differs:", difference)
    said = "differs" if differences else "the same"
    return Read(project, chain, report, f"{missing}; {said}" if missing else said, not differences)


def alembic_graph(
    folder: Path, python: Path, *, recursive: bool, stand_ins: bool = False
) -> dict[str, Any]:
    """See `benchmarks.corpus_alembic`."""
    words = [str(python), "-m", "benchmarks.corpus_alembic", str(folder)]
    words += ["--recursive"] * recursive + ["--stand-ins"] * stand_ins
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _differences(ours: Graph, theirs: dict[str, Any]) -> list[str]:
    """In what the graphs differ."""
    revisions = {
        id_: [
            sorted(file.down_revisions),
            sorted(ours.dependencies(id_)),
            sorted(ours.branch_names[id_]),
        ]
        for id_, file in ours.revisions.items()
    }
    pairs: dict[str, tuple[object, object]] = {
        "heads": (list(ours.heads), theirs["heads"]),
        "bases": (list(ours.bases), theirs["bases"]),
        "revisions": (revisions, theirs["revisions"]),
    }
    if ours.sound:  # otherwise only Alembic's own order counts
        pairs["order"] = (list(ours.walk() or ()), theirs["order"])
    if any("branch_labels" in file.unknown for file in ours.revisions.values()):
        # Neither side knows them: Alembic only has stand-ins for what they are computed from.
        pairs["revisions"] = (_without_labels(revisions), _without_labels(theirs["revisions"]))
    return [f"{name}: {a} / {b}" for name, (a, b) in pairs.items() if a != b]


def _without_labels(revisions: dict[str, Any]) -> dict[str, Any]:
    return {id_: links[:2] for id_, links in revisions.items()}


def _line(read: Read) -> str:
    counts = ", ".join(f"{count} {rule}" for rule, count in sorted(read.counted().items()))
    return (
        f"{read.project.name} {read.project.version} {read.chain}: {len(read.report.revisions)} "
        f"revisions, {len(read.report.heads)} heads; {counts or 'no findings'}; {read.said}"
    )


def shown(finding: Finding) -> str:
    """A finding in one line."""
    place = f"{finding.path.name}:{finding.line}" if finding.path else "the chain"
    return f"{finding.rule} {finding.severity} {place} {finding.message}"


if __name__ == "__main__":
    sys.exit(main())
