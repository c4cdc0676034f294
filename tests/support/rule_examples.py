"""The examples on the pages of the rules, as files."""

from __future__ import annotations

import re
from pathlib import Path

from orchctl.chain.pages import find_page


def example(rule: str, kind: str) -> str:
    """The text of a page's `Wrong` or `Right` example."""
    text = find_page(rule).text
    match = re.search(rf"^{kind}:\n\n```python\n((?:.*\n)*?)```$", text, re.MULTILINE)
    assert match, f"{rule} has no example {kind!r}"
    return match[1]


def write_example(folder: Path, text: str) -> list[Path]:
    """Write the files of an example into a folder."""
    written = []
    for name, content in re.findall(r"^# (\w+\.py)\n((?:(?!# ).*\n)*)", text, re.MULTILINE):
        written.append(folder / name)
        written[-1].write_text(content)
    return written
