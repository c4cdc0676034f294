"""`python -m benchmarks [NAME…] [--quick] [--write]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    docker,
    gateway,
    kubernetes,
    large,
    page,
    snapshot,
    startup,
    upgrade,
    verify_chain,
)
from benchmarks.figures import Options, Report

BENCHMARKS = {
    "startup": startup.run,
    "upgrade": upgrade.run,
    "snapshot": snapshot.run,
    "large": large.run,
    "verify": verify_chain.run,
    "docker": docker.run,
    "kubernetes": kubernetes.run,
    "gateway": gateway.run,
}


def main() -> int:
    """Run them, show them; 1 when a bound is missed."""
    arguments = _parser().parse_args()
    # Stopped from outside, it leaves no gigabyte behind: the folder below goes on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = arguments.names or list(BENCHMARKS)
    if arguments.write and arguments.quick:
        sys.exit("--write takes a full run: no --quick")
    reports = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="orchctl-bench-", dir=arguments.folder) as folder:
            options = Options(quick=arguments.quick, folder=Path(folder))
            reports.append(BENCHMARKS[name](options))
        _show(reports[-1])
    if arguments.write:
        page.write(reports, options.rounds, list(BENCHMARKS))
    missed = [figure for report in reports for figure in report.figures if not figure.holds]
    for figure in missed:
        print(f"bound missed: {' | '.join(figure.cells)}", file=sys.stderr)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="few rounds, small files")
    parser.add_argument(
        "--write", action="store_true", help="renew their parts of docs/benchmarks.md"
    )
    parser.add_argument("--folder", type=Path, help="where to work (the disk that is measured)")
    return parser


def _show(report: Report) -> None:
    print(f"\n{report.title}\n")
    rows = [report.headers, *(figure.cells for figure in report.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(report.headers))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for note in report.notes:
        print(note)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
