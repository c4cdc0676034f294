"""Write the parts of docs/ that come from the code, or check (`--check`) that they are up to date.

docs/cli.md: the help of every command. docs/errors.md: every error code with its exit code.
docs/doctor.md: the table of findings.
README.md: the command table between its markers. docs/rules/: the page of every rule, and their
list in its README.md.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

os.environ.update(COLUMNS="96", TERMINAL_WIDTH="96")

import typer

from orchctl import errors
from orchctl.chain.pages import read_pages
from orchctl.cli.app import command_tree
from orchctl.doctor.findings import KINDS

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "docs" / "rules"


def main() -> int:
    check = "--check" in sys.argv[1:]
    wanted = pages()
    stale = [path for path, text in wanted.items() if not _same(path, text)]
    stale += [path for path in RULES.glob("*.md") if path not in wanted]
    if check and stale:
        print("out of date:", *(path.relative_to(ROOT) for path in stale), "(make format)")
        return 1
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    return {
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "doctor.md": doctor_page(),
        ROOT / "docs" / "errors.md": errors_page(),
        ROOT / "README.md": readme(),
        RULES / "README.md": rules_index(),
        **{RULES / f"{page.id}.md": page.text for page in read_pages()},
    }


ROOT_COMMAND = command_tree()


def cli_page() -> str:
    root = ROOT_COMMAND
    parts = ["# Commands", "", "Written by `make format` from `orchctl --help`."]
    for words, command in commands(root, ("orchctl",)):
        parts += ["", f"## {' '.join(words)}", "", "```text", help_of(words, command), "```"]
    return "\n".join(parts) + "\n"


def commands(command, words):
    """Every command below and with `command`, as (words, command)."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


def help_of(words, command) -> str:
    parent = None
    for word in words[:-1]:
        parent = typer.Context(ROOT_COMMAND, info_name=word, parent=parent)
    with typer.Context(command, info_name=words[-1], parent=parent) as context:
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def errors_page() -> str:
    lines = [
        "# Error codes",
        "",
        "What stands in `error.code` with `--json`, by exit code. Written by `make format` from",
        "the source.",
        "",
        "| exit code | error codes |",
        "|---|---|",
    ]
    by_exit: dict[int, set[str]] = {}
    for code, exit_code in error_codes():
        by_exit.setdefault(exit_code, set()).add(code)
    for exit_code, codes in sorted(by_exit.items()):
        lines.append(f"| {exit_code} | {', '.join(f'`{code}`' for code in sorted(codes))} |")
    return "\n".join(lines) + "\n"


def error_codes():
    """Every (code, exit code) that the source raises."""
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OrchctlError)
    }
    for cls in classes.values():
        if cls is not errors.OrchctlError:
            yield cls.code, int(cls.exit_code)
    for path in sorted((ROOT / "orchctl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            cls = classes.get(node.func.id)
            for keyword in node.keywords:
                if cls and keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                    yield keyword.value.value, int(cls.exit_code)


def rules_index() -> str:
    rows = ["| rule | |", "|---|---|"]
    rows += [f"| [{page.id}]({page.id}.md) | {page.title} |" for page in read_pages()]
    return between_marks(RULES / "README.md", "rules", rows)


def doctor_page() -> str:
    rows = ["| finding | level | what it means | `--fix` |", "|---|---|---|---|"]
    for kind in KINDS:
        mends = "yes" if kind.fixable else ""
        rows.append(f"| `{kind.id}` | {kind.level} | {kind.meaning} | {mends} |")
    return between_marks(ROOT / "docs" / "doctor.md", "findings", rows)


def readme() -> str:
    rows = ["| command | does |", "|---|---|"]
    for words, command in commands(ROOT_COMMAND, ("orchctl",)):
        if not getattr(command, "commands", None):
            first = (command.help or "").strip().split("\n\n")[0].replace("\n", " ")
            rows.append(f"| `{' '.join(words)}` | {first} |")
    return between_marks(ROOT / "README.md", "commands", rows)


def between_marks(path: Path, name: str, rows: list[str]) -> str:
    """The page with the rows between its marks of that name."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(begin)
    return before + begin + "\n".join(rows) + "\n" + end + rest.partition(end)[2]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
