"""A chain looked at: the same in one process, in several, and out of the cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.chain import workers
from orchctl.chain.cache import FOLDER, ChainCache, encode
from orchctl.chain.contents import Content
from orchctl.chain.examine import Examination, examine
from orchctl.chain.examined import examine_file, packed, unpacked
from orchctl.chain.project import ChainPlace
from tests.support.chains import Link, sound_chains, write

# What files hold besides a sound link: faults, comments, odd text, and things for the lint.
ODD = (
    "def upgrade(:\n",
    "revision = 'x'\n",
    "def f(): return '\\ud83d' '\\ude00'\n",
    "down_revision = ids[0]\n",
    "def upgrade():\n    op.drop_table('users')  # orchctl: ignore[L02] x\n",
    "def upgrade():\n    op.add_column('t', sa.Column('c', sa.Text, nullable=False))\n",
    "def upgrade():\n    with op.batch_alter_table('t') as b:\n        b.drop_column('c')\n",
    "def upgrade():\n    op.batch_alter_table('t').create_unique_constraint(None, ['c'])\n",
    "def upgrade():\n    op.create_foreign_key(None, 't', 'u', ['c'], ['id'])\n",
    "def upgrade():\n    op.drop_constraint('t_c_fkey', 't', type_='foreignkey')\n",
    "def upgrade():\n    op.rename_table('a', 'b')\n",
    "# -*- coding: latin-1 -*-\n# é\n",
    "x = 'é'  # orchctl: ignore\n",
)


def place_of(folder: Path) -> ChainPlace:
    return ChainPlace((folder / "versions",))


def chain(folder: Path, count: int) -> ChainPlace:
    links = [Link(f"a{n}", (f"a{n - 1}",) if n else ()) for n in range(count)]
    write(folder / "versions", links)
    for number, text in enumerate(ODD):
        path = folder / "versions" / f"a{number}_step.py"
        path.write_bytes((path.read_text() + "\n\n" + text).encode())
    (folder / "versions" / "beef.py").write_text("down_revision = None\n")
    (folder / "versions" / "bytes.py").write_bytes(b"\xff\xfe\n")
    (folder / "versions" / "empty.py").touch()
    (folder / "versions" / "link.py").symlink_to("nothing")
    return place_of(folder)


def cached(folder: Path, *, lint: bool = True) -> Examination:
    return examine(place_of(folder), lint=lint, cache=ChainCache(folder, least=0))


def fresh(folder: Path, *, lint: bool = True) -> Examination:
    return examine(place_of(folder), lint=lint, processes=1)


def cache_file(folder: Path) -> Path:
    (path,) = (folder / FOLDER).glob("chain-*.json")
    return path


@pytest.mark.parametrize("lint", [True, False])
@pytest.mark.parametrize("processes", [2, 3, 50])
def test_the_same_in_several_processes(tmp_path: Path, lint: bool, processes: int) -> None:
    place = chain(tmp_path, 20)
    alone = examine(place, lint=lint, processes=1)
    assert examine(place, lint=lint, processes=processes) == alone
    assert any(one.findings and one.steps for one in alone.lints.values()) == lint
    assert len(alone.ignores) == 2


@pytest.mark.parametrize("text", ODD)
def test_packed_and_unpacked_nothing_is_lost(text: str) -> None:
    path = Path("/versions/a1_step.py")
    for data in ((Link("a1").text + "\n\n" + text).encode(), text.encode()):
        one = examine_file(path, data, lint=True)
        sent = encode(packed(one)).encode("utf-8", "surrogatepass")
        assert unpacked(path, json.loads(sent.decode("utf-8", "surrogatepass"))) == one


def children() -> set[str]:
    """Processes of this one, zombies too; other tests may have some."""
    return set(Path("/proc/thread-self/children").read_text().split())


@pytest.mark.parametrize("harm", ["dies", "fails", "cannot start"])
def test_the_share_of_a_worker_that_comes_to_harm_is_done_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    place = chain(tmp_path, 20)
    alone, parent = examine(place, lint=True, processes=1), os.getpid()
    before = children()

    def harmed(path: Path, data: bytes, *, lint: bool) -> object:
        if os.getpid() != parent:
            if harm == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError
        return examine_file(path, data, lint=lint)

    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr("orchctl.chain.examine.examine_file", harmed)
    if harm == "cannot start":
        monkeypatch.setattr(os, "fork", refused)
    assert examine(place, lint=True, processes=3) == alone
    assert children() <= before


def test_workers_end_with_what_they_work_for() -> None:
    def forever() -> str:
        signal.pause()
        return ""

    before, seen = children(), set[str]()

    def interrupted() -> None:
        with workers.at_work([forever, forever]):
            seen.update(children() - before)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(seen) == 2
    assert children() <= before


@settings(max_examples=40, deadline=None)
@given(sound_chains(), st.sets(st.sampled_from(ODD)), st.booleans())
def test_the_same_out_of_the_cache(
    tmp_path_factory: pytest.TempPathFactory, links: list[Link], odd: set[str], lint: bool
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    write(folder / "versions", links)
    for number, text in enumerate(odd):
        (folder / "versions" / f"odd{number}.py").write_text(Link(f"odd{number}").text + text)
    expected = fresh(folder, lint=lint)
    assert cached(folder, lint=lint) == expected  # makes it
    assert cached(folder, lint=lint) == expected  # uses it
    assert cached(folder) == fresh(folder)
    assert cached(folder, lint=False) == fresh(folder, lint=False)


def test_a_cached_file_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(tmp_path, 20)
    expected = cached(tmp_path)
    looked_at: list[str] = []

    def counted(path: Path, data: bytes, *, lint: bool) -> object:
        looked_at.append(path.name)
        return examine_file(path, data, lint=lint)

    monkeypatch.setattr("orchctl.chain.examine.examine_file", counted)
    before = cache_file(tmp_path).stat()
    assert cached(tmp_path) == expected
    assert cache_file(tmp_path).stat().st_mtime_ns == before.st_mtime_ns
    # What Python refuses is always asked of Python.
    assert set(looked_at) == {"a0_step.py", "bytes.py", "empty.py"}
    looked_at.clear()
    path = tmp_path / "versions" / "a15_step.py"
    path.write_text(path.read_text().replace("Step a15", "Step A15"))
    assert "A15" in str(cached(tmp_path).files)
    assert "a15_step.py" in looked_at
    assert cache_file(tmp_path).stat().st_mtime_ns != before.st_mtime_ns


def test_another_branch_shares_what_is_the_same(tmp_path: Path) -> None:
    chain(tmp_path, 20)
    main = fresh(tmp_path)
    assert cached(tmp_path) == main
    path = tmp_path / "versions" / "a5_step.py"
    text = path.read_text()
    path.write_text(text.replace("'a4'", "'a3'"))
    (tmp_path / "versions" / "new.py").write_text(Link("new", ("a19",)).text)
    (tmp_path / "versions" / "a19_step.py").rename(tmp_path / "versions" / "other.py")
    assert cached(tmp_path) == fresh(tmp_path) != main
    (tmp_path / "versions" / "other.py").rename(tmp_path / "versions" / "a19_step.py")
    (tmp_path / "versions" / "new.py").unlink()
    path.write_text(text)
    assert cached(tmp_path) == main
    assert b"new" not in cache_file(tmp_path).read_bytes()


def test_a_cache_moves_with_its_project(tmp_path: Path) -> None:
    chain(tmp_path / "a", 20)
    cached(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert cached(tmp_path / "b") == fresh(tmp_path / "b")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_cache_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    chain(folder, 15)
    expected = cached(folder)
    path = cache_file(folder)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole)))
    instead = data.draw(st.binary(max_size=8))
    rest = data.draw(st.sampled_from([b"", whole[place + 1 :], whole[place:]]))
    path.write_bytes(whole[:place] + instead + rest)
    assert cached(folder) == expected
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "body",
    ["", "\n", "KEY", "KEY 1\n", "KEY null\n", "KEY [1]\n", "KEY {}\n", "KEY " + "[" * 100_000],
)
def test_entries_of_another_shape_are_passed_over(tmp_path: Path, body: str) -> None:
    import hashlib

    chain(tmp_path, 15)
    expected = cached(tmp_path)
    path = cache_file(tmp_path)
    head, _, _ = path.read_bytes().partition(b" ")
    file = tmp_path / "versions" / "a14_step.py"
    key = Content(str(file), file.read_bytes()).key
    forged = body.replace("KEY", str(key)).encode()
    path.write_bytes(b"%b %b\n%b" % (head, hashlib.sha256(forged).hexdigest().encode(), forged))
    assert cached(tmp_path) == expected


def test_without_a_place_for_it_all_is_as_without_it(tmp_path: Path) -> None:
    chain(tmp_path, 15)
    (tmp_path / FOLDER).write_text("a file")
    assert cached(tmp_path) == fresh(tmp_path)


def test_short_chains_do_without(tmp_path: Path) -> None:
    place = chain(tmp_path, 20)
    examine(place, lint=True, cache=ChainCache(tmp_path))
    assert not (tmp_path / FOLDER).exists()


def test_the_cache_is_no_part_of_the_project(tmp_path: Path) -> None:
    chain(tmp_path, 15)
    cached(tmp_path)
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [
        ".gitignore",
        "CACHEDIR.TAG",
        cache_file(tmp_path).name,
    ]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    words = ["git", "status", "--porcelain", "--untracked-files=all"]
    assert FOLDER not in subprocess.check_output(words, cwd=tmp_path, text=True)


def test_several_processes_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        chain(tmp_path / name, 40 if name == "a" else 30)
    # Two branches that share one cache, over and over.
    (tmp_path / "a" / FOLDER).mkdir()
    (tmp_path / "b" / FOLDER).symlink_to(tmp_path / "a" / FOLDER)
    code = (
        "import sys; from pathlib import Path\n"
        "from orchctl.chain.cache import ChainCache\n"
        "from orchctl.chain.examine import examine\n"
        "from orchctl.chain.project import ChainPlace\n"
        "folder = Path(sys.argv[1]); place = ChainPlace((folder / 'versions',))\n"
        "expected = examine(place, lint=True)\n"
        "for _ in range(30):\n"
        "    assert examine(place, lint=True, cache=ChainCache(folder, least=0)) == expected\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / name)])
        for name in ("a", "b", "a", "b")
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0, 0]
    assert not list((tmp_path / "a" / FOLDER).glob("*.new"))
