"""The one renderer: text or JSON on stdout, progress and errors on stderr.

Rich is imported only when a table or a bar is drawn, so that short answers stay fast.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from orchctl.errors import OrchctlError

Progress = Callable[[int, int], None]
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Output:
    """Where a command's results, progress and errors go.

    Args:
        as_json: Results and errors as one JSON object each instead of text.
        quiet: No progress and no notes; results and errors still come.
        colour: False switches colour off, whatever the terminal can do.
        debug: Tracebacks with errors.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        colour: bool = True,
        debug: bool = False,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.debug = debug
        self._colour = colour and not os.environ.get("NO_COLOR")

    # -- results ---------------------------------------------------------------------------

    def result(self, data: Mapping[str, Any], text: Callable[[], None]) -> None:
        """Show a command's result: `data` as JSON, or what `text` draws."""
        if self.as_json:
            self.json(data)
        else:
            text()

    def json(self, data: Mapping[str, Any]) -> None:
        """One JSON object on stdout."""
        json.dump(data, sys.stdout, indent=2, default=str, ensure_ascii=not _can_encode(sys.stdout))
        sys.stdout.write("\n")

    def line(self, text: str = "", style: str | None = None) -> None:
        """One line of the result."""
        sys.stdout.write(self._painted(text, style, sys.stdout) + "\n")

    def raw(self, text: str) -> None:
        """Text that is the result as it stands (SQL, a diff)."""
        sys.stdout.write(text)

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Labelled values, one a line, aligned."""
        width = max((len(label) for label, _ in pairs), default=0)
        for label, value in pairs:
            self.line(f"{self._painted(label.ljust(width), 'dim', sys.stdout)}  {value}".rstrip())

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; on a pipe its columns are never cut."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in headers:
            table.add_column(header, overflow="fold", no_wrap=not sys.stdout.isatty())
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console(sys.stdout).print(table)

    # -- progress and notes ------------------------------------------------------------------

    def note(self, text: str, style: str | None = None) -> None:
        """A line of progress or advice on stderr; nothing when quiet."""
        if self._talks():
            sys.stderr.write(self._painted(text, style, sys.stderr) + "\n")

    def step(self, text: str) -> None:
        """A step that is done."""
        if self._talks():
            mark = self._painted("✓", "green", sys.stderr) if _can_encode(sys.stderr) else "ok"
            sys.stderr.write(f"{mark} {text}\n")

    def warning(self, text: str, *, always: bool = False) -> None:
        """Something to know that doesn't stop the command; with `always` also when quiet."""
        if self._talks() or (always and not self.as_json):
            sys.stderr.write(self._painted("warning: ", "yellow", sys.stderr) + text + "\n")

    def _talks(self) -> bool:
        # With --json, stderr holds nothing but an error's JSON.
        return not self.quiet and not self.as_json

    @contextlib.contextmanager
    def progress(self, description: str, unit: str = "bytes") -> Iterator[Progress]:
        """A bar on a terminal, nothing elsewhere; the callable takes (done, total)."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        yield from self._bar(description, unit)

    def _bar(self, description: str, unit: str) -> Iterator[Progress]:
        from rich import progress as bars

        columns = [bars.TextColumn("{task.description}"), bars.BarColumn()]
        amount = bars.DownloadColumn() if unit == "bytes" else bars.MofNCompleteColumn()
        with bars.Progress(
            *columns,
            amount,
            bars.TimeElapsedColumn(),
            console=self._console(sys.stderr),
            transient=True,
        ) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextlib.contextmanager
    def live(self, description: str) -> Iterator[Callable[[str], None]]:
        """A line with elapsed time that is drawn over on a terminal; the callable renames it."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield lambda text: None
            return
        from rich.live import Live
        from rich.spinner import Spinner

        began = time.monotonic()
        current = [description]

        class _Line:
            spinner = Spinner("dots")

            def __rich__(self) -> Spinner:
                self.spinner.update(text=f"{current[0]} ({time.monotonic() - began:.0f}s)")
                return self.spinner

        with Live(_Line(), console=self._console(sys.stderr), transient=True):
            yield lambda text: current.__setitem__(0, text)

    # -- questions ---------------------------------------------------------------------------

    def can_ask(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json

    def ask(self, question: str) -> bool:
        """A yes-or-no question on stderr; anything but y or yes is a no."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    # -- errors ------------------------------------------------------------------------------

    def error(self, error: OrchctlError) -> None:
        """What happened, what state things are in, what to type next; on stderr."""
        if self.as_json:
            json.dump({"error": error_object(error)}, sys.stderr, ensure_ascii=False, default=str)
            sys.stderr.write("\n")
            return
        sys.stderr.write(self._painted("error: ", "red", sys.stderr) + error.message + "\n")
        if error.state:
            sys.stderr.write(self._painted("state: ", "bold", sys.stderr) + error.state + "\n")
        if error.hint:
            sys.stderr.write(self._painted(" hint: ", "cyan", sys.stderr) + error.hint + "\n")

    def _painted(self, text: str, style: str | None, stream: TextIO) -> str:
        if style is None or not self._colour or not stream.isatty():
            return text
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        width = None if stream.isatty() else 100_000
        return Console(
            file=stream, width=width, no_color=not self._colour, highlight=False, soft_wrap=False
        )


class StepLog(Output):
    """What `run` tells on stderr: a line for each step, an error too; stdout is the command's own.

    Args:
        lines_as_json: Each line a JSON object (docs/json.md).
        quiet: Errors only.
        colour: False switches colour off.
        debug: Tracebacks with errors.
    """

    _TELL_AGAIN = 10.0  # seconds after which a wait is told of once more

    def __init__(
        self, *, lines_as_json: bool, quiet: bool = False, colour: bool = True, debug: bool = False
    ) -> None:
        super().__init__(quiet=quiet, colour=colour, debug=debug)
        self._lines_as_json = lines_as_json
        self._waited, self._told_at = "", 0.0

    def event(self, name: str, text: str, data: Mapping[str, Any] | None = None) -> None:
        """A line with a name of its own and, in JSON, with what belongs to it."""
        self._tell("info", name, text, data)

    def step(self, text: str) -> None:
        """A step that is done."""
        self._tell("info", "step", text)

    def note(self, text: str, style: str | None = None) -> None:
        """Something that begins, or takes a while; waits are told of every ten seconds."""
        subject = text.rpartition(" (")[0] if text.endswith("s)") else ""
        now = time.monotonic()
        if subject and subject == self._waited and now - self._told_at < self._TELL_AGAIN:
            return
        self._waited, self._told_at = subject, now
        self._tell("info", "running", text)

    def warning(self, text: str, *, always: bool = False) -> None:
        """Something to know that doesn't stop the command."""
        self._tell("warning", "warning", text)

    @contextlib.contextmanager
    def progress(self, description: str, unit: str = "bytes") -> Iterator[Progress]:
        """Nothing: a log has no bars."""
        yield lambda done, total: None

    def error(self, error: OrchctlError) -> None:
        """What happened, what state things are in and what to type next, in one line."""
        if self._lines_as_json:
            return self._write_json("error", "error", error.message, {"error": error_object(error)})
        parts = [error.message, error.state, f"hint: {error.hint}" if error.hint else None]
        told = "; ".join(part for part in parts if part)
        return self._write("error: ", "red", told)

    def _tell(
        self, level: str, name: str, text: str, data: Mapping[str, Any] | None = None
    ) -> None:
        if self.quiet:
            return
        if self._lines_as_json:
            self._write_json(level, name, text, data or {})
        elif level == "warning":
            self._write("warning: ", "yellow", text)
        elif name in ("step", "ready", "upgraded"):
            self._write("✓ " if _can_encode(sys.stderr) else "ok ", "green", text)
        else:
            self._write("", None, text)

    def _write(self, prefix: str, style: str | None, text: str) -> None:
        line = " ".join(text.split())
        self._put(f"{self._painted(prefix, style, sys.stderr)}{line}")

    def _write_json(self, level: str, name: str, text: str, data: Mapping[str, Any]) -> None:
        from datetime import UTC, datetime

        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": level, "source": "orchctl", "event": name, "message": text}
        self._put(json.dumps({**line, **data}, default=str))

    def _put(self, line: str) -> None:
        # A log that nobody reads, or on a full disk, must not keep a service from starting.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def error_object(error: OrchctlError) -> dict[str, Any]:
    """The JSON form of an error; docs/json.md is its contract."""
    data: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }
    if error.state:
        data["state"] = error.state
    if error.details:
        data["details"] = error.details
    return data


def bytes_text(size: int) -> str:
    """A size for people: 512 B, 4.0 KiB, 1.2 GiB."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def seconds_text(seconds: float) -> str:
    """A duration for people: 0.42s, 30s, 4m05s."""
    if seconds < 10:
        return f"{seconds:.2f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"


def path_text(path: Path) -> str:
    """A path for people: relative to the working folder when it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _can_encode(stream: TextIO) -> bool:
    try:
        "✓".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
