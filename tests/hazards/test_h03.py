"""H03: the same with ON DELETE SET NULL: links nulled, row counts unchanged."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hazards.test_h02 import project_with
from tests.support.projects import query


def test_h03_plain_alembic_nulls_the_links(tmp_path: Path) -> None:
    project = project_with(tmp_path, "SET NULL")
    assert project.alembic("upgrade", "head").returncode == 0
    assert query(project.database, "SELECT * FROM child") == [(1, None), (2, None), (3, None)]


def test_h03_orchctl_keeps_the_links(tmp_path: Path) -> None:
    project = project_with(tmp_path, "SET NULL")
    assert project.orchctl("upgrade").returncode == 0
    assert query(project.database, "SELECT * FROM child") == [(1, 1), (2, 1), (3, 2)]


def test_h03_the_proof_sees_links_not_counts(tmp_path: Path) -> None:
    project = project_with(tmp_path, "SET NULL")
    assert project.orchctl("upgrade").returncode == 0
    project.add("003", 'op.execute("UPDATE child SET parent_id = NULL WHERE parent_id = 1")')
    refused = project.orchctl("upgrade", "--proof", "keys", "--json")
    assert refused.returncode == 5
    (loss,) = json.loads(refused.stderr)["error"]["details"]["losses"]
    assert (loss["kind"], loss["place"], loss["rows"]) == ("nulled", "child.parent_id", 2)
