"""Each lint rule: what it finds, at which place, how serious it takes it, and what it lets be."""

from __future__ import annotations

import pytest

from tests.support.linted import found, linted, revision

BATCH = 'with op.batch_alter_table("users") as batch_op:\n    '
COLUMN = 'sa.Column("age", sa.Integer(), nullable=False)'

# rule, upgrade, severity; each is found once, at the start of its first line unless `@` marks it.
WRONG = [
    ("L01", "op.get_bind().commit()", "warning"),
    ("L01", "bind = op.get_bind()\n@bind.rollback()", "warning"),
    ("L01", "with @op.get_bind().begin():\n    pass", "warning"),
    ("L01", "op.execute('COMMIT')", "warning"),
    ("L01", "op.execute(sa.text('BEGIN IMMEDIATE'))", "warning"),
    ("L01", "with @op.get_context().autocommit_block():\n    pass", "warning"),
    ("L01", "op.get_bind().connection.executescript('SELECT 1')", "warning"),
    ("L01", "raw = op.get_bind().connection.cursor()\n@raw.executescript('')", "warning"),
    ("L01", "op.get_bind().execution_options(isolation_level='AUTOCOMMIT')", "warning"),
    (
        "L01",
        "from sqlalchemy.orm import Session\n@Session(op.get_bind().engine).commit()",
        "warning",
    ),
    ("L01", "from app import db\n@db.session.commit()", "warning"),
    ("L02", "op.drop_table('users')", "warning"),
    ("L02", "op.drop_column('users', 'name')", "warning"),
    ("L02", BATCH + "@batch_op.drop_column('name')", "warning"),
    ("L02", "op.execute('DROP TABLE IF EXISTS users')", "warning"),
    ("L02", "op.execute('alter table users drop column name')", "warning"),
    ("L02", "sa.MetaData().drop_all(op.get_bind())", "warning"),
    ("L02", "op.rename_table('t', 'users')\n@op.drop_column('users', 'a')", "warning"),
    (
        "L02",
        "op.alter_column('users', 'b', new_column_name='a')\n@op.drop_column('users', 'a')",
        "warning",
    ),
    (
        "L02",
        "op.execute('INSERT INTO people SELECT * FROM users')\n@op.drop_table('users')",
        "note",
    ),
    ("L03", f"op.add_column('users', {COLUMN})", "warning"),
    ("L03", f"{BATCH}@batch_op.add_column({COLUMN})", "warning"),
    ("L03", "op.execute('ALTER TABLE users ADD age INTEGER NOT NULL')", "warning"),
    (
        "L03",
        "op.add_column('users', sa.Column('a', sa.Integer, nullable=False, server_default=None))",
        "warning",
    ),
    (
        "L04",
        "op.add_column('users', sa.Column('a', sa.Date, server_default=sa.func.now()))",
        "warning",
    ),
    (
        "L04",
        (
            "from sqlalchemy.sql.functions import now\n"
            "@op.add_column('users', sa.Column('a', server_default=now()))"
        ),
        "warning",
    ),
    (
        "L04",
        "op.add_column('users', sa.Column('a', server_default=sa.text('CURRENT_DATE')))",
        "warning",
    ),
    (
        "L04",
        "op.execute('ALTER TABLE users ADD COLUMN a DEFAULT CURRENT_TIMESTAMP')",
        "warning",
    ),
    ("L06", BATCH + "@batch_op.drop_constraint(None, type_='unique')", "error"),
    ("L06", BATCH + "@batch_op.create_unique_constraint(None, ['a'])", "warning"),
    ("L06", BATCH + "@batch_op.create_foreign_key(None, 'posts', ['a'], ['id'])", "warning"),
    ("L06", BATCH + "@batch_op.add_column(sa.Column('a', unique=True))", "warning"),
    ("L06", BATCH + "@batch_op.add_column(sa.Column('a', sa.ForeignKey('b.id')))", "warning"),
    ("L06", BATCH + "@batch_op.drop_constraint('users_name_key', type_='unique')", "warning"),
    ("L09", "op.get_bind().execute(sa.text('SELECT 1')).fetchall()", "note"),
    ("L09", "sa.inspect(op.get_bind()).get_table_names()", "note"),
    ("L09", "for row in @op.get_bind().execute(sa.text('SELECT 1')):\n    pass", "note"),
    ("L09", "from sqlalchemy.orm import Session\n@Session(op.get_bind()).query(1).all()", "note"),
    ("L09", "rows = @list(op.get_bind().execute(sa.text('SELECT 1')))", "note"),
    ("L10", "op.alter_column('users', 'name', type_=sa.Text())", "error"),
    ("L10", "op.alter_column('users', 'name', server_default=None)", "error"),
    ("L10", "op.alter_column('users', 'name', nullable=False)", "warning"),
    ("L10", "op.create_unique_constraint('u', 'users', ['name'])", "error"),
    ("L10", "op.create_foreign_key('f', 'users', 'posts', ['a'], ['id'])", "error"),
    ("L10", "op.drop_constraint('u', 'users', type_='unique')", "error"),
    ("L10", "op.add_column('users', sa.Column('a', sa.ForeignKey('b.id')))", "error"),
    ("L10", "op.add_column('users', sa.Column('a', unique=True))", "error"),
    ("L10", "op.execute('ALTER TABLE users ALTER COLUMN name TYPE text')", "error"),
    ("L10", "op.execute('ALTER TABLE users ADD CONSTRAINT u UNIQUE (name)')", "error"),
    ("L10", "op.execute('ALTER TABLE users ADD CONSTRAINT u CHECK (name)')", "warning"),
    ("L10", "op.execute('ALTER INDEX a RENAME TO b')", "error"),
    (
        "L10",
        (
            "with op.batch_alter_table('users', recreate='never') as b:\n"
            "    @b.alter_column('name', type_=sa.Text())"
        ),
        "error",
    ),
    ("L11", "try:\n    op.drop_table('t')\n@except Exception:\n    pass", "warning"),
    ("L11", "try:\n    op.execute('UPDATE t SET a = 1')\n@except:\n    print()", "warning"),
    (
        "L11",
        "try:\n    op.drop_table('t')\n@except (ValueError, sa.exc.OperationalError):\n    pass",
        "warning",
    ),
    (
        "L11",
        "import contextlib\n@with contextlib.suppress(Exception):\n    op.drop_table('t')",
        "warning",
    ),
    ("L12", "op.execute('PRAGMA foreign_keys=ON')", "warning"),
    ("L12", "op.execute('PRAGMA foreign_keys = OFF;')", "note"),
    ("L12", "op.get_bind().exec_driver_sql('pragma journal_mode(wal)')", "warning"),
    ("L13", "op.execute(sa.update(1).values(a=@sa.func.case((1, 2))))", "error"),
    ("L13", "from sqlalchemy import func\na = @func.case((1, 2), else_=3)", "error"),
]


@pytest.mark.parametrize(("rule", "upgrade", "severity"), WRONG)
def test_what_is_found_and_where(rule: str, upgrade: str, severity: str) -> None:
    marked = upgrade if "@" in upgrade else f"@{upgrade}"
    ((told, code),) = found(rule, marked.replace("@", ""))
    line = next(one for one in marked.splitlines() if "@" in one)
    assert (told, code) == (severity, line.partition("@")[2])


RIGHT = [
    ("L01", "op.get_bind().begin_nested()"),
    ("L01", "op.execute('SAVEPOINT a')"),
    ("L01", "op.execute('CREATE TRIGGER a AFTER INSERT ON b BEGIN DELETE FROM c; END')"),
    ("L01", "op.execute('DO $$ DECLARE a TEXT; BEGIN SELECT 1; END $$')"),
    ("L01", "op.execute('DO $body$ BEGIN; COMMIT; $body$')"),
    # On the connection's transaction: tests/integration/test_lint_claims.py.
    ("L01", "from sqlalchemy.orm import Session\nSession(bind=op.get_bind()).commit()"),
    ("L02", "op.create_table('t', sa.Column('a'))\nop.drop_table('t')"),
    ("L02", "op.create_table('n')\nop.drop_table('users')\nop.rename_table('n', 'users')"),
    (
        "L02",
        "op.drop_column('users', 'a')\nop.alter_column('users', 'new_a', new_column_name='a')",
    ),
    (
        "L02",
        "op.drop_column('users', 'a')\nop.execute('ALTER TABLE users RENAME COLUMN b TO \"a\"')",
    ),
    (
        "L02",
        (
            "TABLES = [sa.Table('t', sa.MetaData())]\n"
            "sa.MetaData().create_all(op.get_bind(), tables=TABLES)\nop.drop_column('t', 'a')"
        ),
    ),
    ("L02", "op.drop_table('_alembic_tmp_users')"),
    ("L02", "op.add_column('users', sa.Column('a'))\nop.drop_column('users', 'a')"),
    ("L03", "op.create_table('t')\nop.add_column('t', sa.Column('a', nullable=False))"),
    ("L03", "op.execute('DELETE FROM t')\nop.add_column('t', sa.Column('a', nullable=False))"),
    ("L03", "op.add_column('t', sa.Column('a', nullable=False, server_default='0'))"),
    (
        "L03",
        (
            "op.execute('DELETE FROM t')\nfrom app import quiet\nop.rename_table('t', 'u')\n"
            "with quiet():\n    op.add_column('u', sa.Column('a', nullable=False))"
        ),
    ),
    ("L03", "op.add_column('t', sa.Column('a', nullable=True))"),
    ("L03", "op.add_column('t', sa.Column('a', nullable=REQUIRED))"),
    ("L03", "op.execute('ALTER TABLE t ADD a INTEGER NOT NULL DEFAULT 0')"),
    ("L04", "op.add_column('t', sa.Column('a', server_default=sa.text('(-1)')))"),
    ("L04", "op.add_column('t', sa.Column('a', server_default=sa.text(\"'it''s'\")))"),
    ("L04", "op.add_column('t', sa.Column('a', server_default=sa.true()))"),
    ("L04", "op.add_column('t', sa.Column('a', server_default='CURRENT_DATE'))"),
    ("L04", BATCH + "batch_op.add_column(sa.Column('a', server_default=sa.func.now()))"),
    ("L06", BATCH + "batch_op.drop_constraint('uq_users_name', type_='unique')"),
    (
        "L06",
        (
            "with op.batch_alter_table('t', naming_convention=NAMES) as b:\n"
            "    b.drop_constraint('t_a_key')\n    b.create_unique_constraint(None, ['a'])"
        ),
    ),
    (
        "L06",
        (
            "op.create_table('t', sa.UniqueConstraint('a', name='t_a_key'))\n"
            "with op.batch_alter_table('t') as b:\n    b.drop_constraint('t_a_key')"
        ),
    ),
    (
        "L06",
        (
            "try:\n    with op.batch_alter_table('t') as b:\n"
            "        b.drop_constraint('t_a_key')\nexcept ValueError:\n    pass"
        ),
    ),
    ("L09", "op.get_bind().execute(sa.text('UPDATE t SET a = 1'))"),
    ("L09", "print(op.get_bind().dialect.name)"),
    (
        "L09",
        (
            "from alembic import context\nif not context.is_offline_mode():\n"
            "    op.get_bind().execute(sa.text('SELECT 1')).fetchall()"
        ),
    ),
    (
        "L09",
        "if not op.get_context().as_sql:\n    op.get_bind().execute(sa.text('SELECT 1')).scalar()",
    ),
    (
        "L09",
        (
            "rows = op.get_bind().execute(sa.text('SELECT 1'))\n"
            "if rows:\n    rows = rows.fetchall()\nelse:\n    rows = []"
        ),
    ),
    (
        "L09",
        (
            "try:\n    op.drop_index('a')\n"
            "except sa.exc.OperationalError:\n    sa.inspect(op.get_bind())"
        ),
    ),
    ("L10", "op.alter_column('users', 'name', new_column_name='label')"),
    ("L10", "op.alter_column('users', 'name', existing_type=sa.Text())"),
    ("L10", "op.add_column('t', sa.Column('a', sa.ForeignKey('b.id')), inline_references=True)"),
    ("L10", "op.add_column('t', sa.Column('a', unique=True, index=True))"),
    ("L10", "op.execute('ALTER TABLE a RENAME TO b; ALTER TABLE b RENAME COLUMN c TO d')"),
    ("L10", "op.execute('ALTER TABLE a ADD COLUMN b; ALTER TABLE \"a\" DROP b')"),
    ("L10", "op.execute('-- ALTER TYPE a\\nSELECT 1')"),
    ("L11", "try:\n    op.drop_table('t')\nexcept Exception:\n    print()\n    raise"),
    (
        "L11",
        "try:\n    op.drop_table('t')\nexcept Exception:\n    op.execute('DROP TABLE t CASCADE')",
    ),
    (
        "L11",
        (
            "bad = []\ntry:\n    op.drop_table('t')\nexcept Exception as error:\n"
            "    bad.append(error)\nif bad:\n    raise ValueError(bad)"
        ),
    ),
    ("L11", "try:\n    import numpy\nexcept Exception:\n    numpy = None"),
    ("L11", "try:\n    op.drop_table('t')\nexcept KeyError:\n    pass"),
    (
        "L11",
        "try:\n    rows = op.get_bind().execute(sa.text('SELECT 1'))\nexcept Exception:\n    pass",
    ),
    ("L12", "op.get_bind().execute(sa.text('PRAGMA table_info(users)')).all()"),
    ("L12", "op.get_bind().execute(sa.text('PRAGMA foreign_keys')).scalar()"),
    ("L13", "op.execute(sa.update(1).values(a=sa.case((1, 2), else_=3)))"),
]


@pytest.mark.parametrize(("rule", "upgrade"), RIGHT)
def test_what_is_fine(rule: str, upgrade: str) -> None:
    assert found(rule, upgrade) == []


ELSEWHERE = [
    "if op.get_bind().dialect.name == 'postgresql':\n    {}",
    "if op.get_context().dialect.name != 'sqlite':\n    {}",
    "dialect = op.get_bind().engine.name\nif dialect in ('mysql', 'mssql'):\n    {}",
    "if op.get_bind().dialect.name == 'sqlite':\n    return\n{}",
    "is_sqlite = 'sqlite' in op.get_bind().dialect.dialect_description\nif not is_sqlite:\n    {}",
    "match op.get_bind().dialect.name:\n  case 'postgresql':\n    {}\n  case _:\n    pass",
    "if op.get_bind().dialect.name.startswith('postgres'):\n    {}",
    "if not IS_SQLITE():\n    {}",
    (
        "from sqlalchemy.dialects.postgresql.base import PGDialect\n"
        "if isinstance(op.get_bind().dialect, PGDialect):\n    {}"
    ),
    "if False:\n    {}",
]


@pytest.mark.parametrize("shape", ELSEWHERE)
def test_what_only_another_dialect_runs_is_let_be(shape: str) -> None:
    above = "def IS_SQLITE():\n    return op.get_bind().dialect.name == 'sqlite'"
    alter = "op.alter_column('users', 'name', type_=sa.Text())"
    assert found("L10", shape.format(alter), above=above) == []
    turned = shape.replace("postgresql", "sqlite").replace("'mysql'", "'sqlite'")
    if turned != shape and "PGDialect" not in shape:
        assert [one[0] for one in found("L10", turned.format(alter), above=above)] == ["error"]


UNSURE = [
    "if some():\n    {}",
    "if 'a' in sa.inspect(op.get_bind()).get_table_names():\n    {}",
    "if some():\n    return\n{}",
    "for one in some():\n    {}",
    "try:\n    {}\nexcept KeyError:\n    pass",
    "while some():\n    {}",
]


@pytest.mark.parametrize("shape", UNSURE)
def test_an_error_only_where_it_surely_runs(shape: str) -> None:
    alter = "op.alter_column('users', 'name', type_=sa.Text())"
    assert found("L10", shape.format(alter)) == [("warning", alter)]
    assert found("L10", alter + "\n" + shape.format("pass")) == [("error", alter)]
    assert found("L10", "pass", alter) == [("warning", alter)]


def test_a_downgrade_may_destroy() -> None:
    assert found("L02", "pass", "op.drop_table('users')") == []
    add = f"op.add_column('users', {COLUMN})"
    assert found("L03", "pass", add) == [("note", add)]


@pytest.mark.parametrize(
    "declared", ['{"users.name"}', '{"users"}', '["users.name", "b"]', '("users.name",)']
)
def test_a_declared_loss_is_none(declared: str) -> None:
    above = f"orchctl_allow_loss = {declared}"
    assert found("L02", "op.drop_column('users', 'name')", above=above) == []
    assert len(found("L02", "op.drop_column('users', 'other')", above=above)) == (
        0 if '"users"' in declared else 1
    )


SHAPES = {
    "import": ("import alembic.op as operations", "operations.drop_table('users')"),
    "whole": ("import alembic", "alembic.op.drop_table('users')"),
    "constant": ("TABLE = 'users'", "op.drop_table(TABLE)"),
    "keyword": ("", "op.drop_table(table_name='users')"),
    "f-string": ("PART = 'ers'", "op.drop_table(f'us{PART}')"),
    "percent": ("", "op.execute('DROP TABLE %s' % 'users')"),
    "format": ("", "op.execute('DROP TABLE {}'.format('users'))"),
    "loop": ("TABLES = ('users',)", "for one in TABLES:\n    op.drop_table(one)"),
    "list": ("", "all = []\nall.append('users')\nfor one in all:\n    op.drop_table(one)"),
    "pairs": ("", "for one, two in [('users', 1)]:\n    op.drop_table(one)"),
    "dict": ("ALL = {'users': 1}", "for one, two in ALL.items():\n    op.drop_table(one)"),
    "function": ("def drop(one):\n    op.drop_table(one)", "drop('users')"),
    "default": ("def drop(one='users'):\n    op.drop_table(one)", "drop()"),
    "passed on": ("def drop(tool, *, one):\n    tool.drop_table(one)", "drop(op, one='users')"),
    "nested": ("", "def drop():\n    op.drop_table('users')\ndrop()"),
    "dispatch": (
        "def upgrade_one():\n    op.drop_table('users')",
        "globals()['upgrade_%s' % engine_name]()",
    ),
    "eval": ("def upgrade_one():\n    op.drop_table('users')", "eval('upgrade_%s' % name)()"),
    "connection": ("", "conn = op.get_bind()\nconn.execute(sa.text('DROP TABLE users'))"),
    "model": (
        "class User(Base):\n    __tablename__ = 'users'",
        "op.drop_table(User.__tablename__)",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_however_it_is_written(shape: str) -> None:
    above, upgrade = SHAPES[shape]
    (finding,) = linted(revision(upgrade, above=above), "L02")
    assert "'users'" in finding.message
    assert finding.revision == "002"


def test_a_table_that_is_not_known() -> None:
    (finding,) = linted(revision("op.drop_table(some())"), "L02")
    assert finding.message == "The upgrade drops a table with all that is in it"


@pytest.mark.parametrize(
    "change",
    [
        "for row in some():\n    names.append(row)",
        "names.extend(some())",
        "names[0] = some()",
        "if some():\n    names.append('a')",
    ],
)
def test_what_is_in_a_list_that_was_changed_is_not_known(change: str) -> None:
    upgrade = f"names = []\n{change}\nfor one in names:\n    op.drop_table(one)"
    (finding,) = linted(revision(upgrade), "L02")
    assert finding.message == "The upgrade drops a table with all that is in it"
    assert len(found("L02", f"names = []\n{change}\nif names:\n    op.drop_table('a')")) == 1


def test_columns_are_counted_in_characters() -> None:
    (finding,) = linted(revision("ä = 'äöü'; op.drop_table('users')"), "L02")
    assert finding.column == len("    ä = 'äöü'; ") + 1


ONE_WAY = [
    ("op.create_table('t')", "pass", "downgrade() does nothing"),
    ("op.create_table('t')\nop.create_table('u')", "op.drop_table('t')", "creates the table 'u'"),
    ("op.add_column('t', sa.Column('a'))", "op.drop_table('u')", "adds t.a"),
]


@pytest.mark.parametrize(("upgrade", "downgrade", "says"), ONE_WAY)
def test_a_one_way_revision_is_a_note(upgrade: str, downgrade: str, says: str) -> None:
    (finding,) = linted(revision(upgrade, downgrade), "L07")
    assert finding.severity == "note"
    assert says in finding.message


BOTH_WAYS = [
    ("op.create_table('t')", "op.drop_table('t')"),
    ("op.create_table('t')", "raise NotImplementedError('irreversible')"),
    ("op.create_table('t')", "from app import undo\nundo()"),
    ("op.create_table('t')", "for t in ['t']:\n    op.drop_table(t)"),
    ("op.create_table('t', if_not_exists=True)", "op.drop_table('u')"),
    ("op.create_table('t')\nop.rename_table('t', 'u')", "op.drop_table('u')"),
    (
        "op.add_column('t', sa.Column('a'))",
        BATCH.replace("users", "t") + "batch_op.drop_column('a')",
    ),
    ("op.add_column('t', sa.Column('a'))", "op.execute('ALTER TABLE t DROP COLUMN a')"),
    ("op.execute('UPDATE t SET a = 1')", "pass"),
    ("op.execute('CREATE UNIQUE INDEX i ON t (a)')\nop.execute('DROP INDEX j')", "pass"),
    ("op.create_table('t')", "Base.metadata.drop_all(bind=op.get_bind(), tables=[T])"),
    ("pass", "pass"),
]


@pytest.mark.parametrize(("upgrade", "downgrade"), BOTH_WAYS)
def test_a_two_way_revision(upgrade: str, downgrade: str) -> None:
    assert linted(revision(upgrade, downgrade), "L07") == []


def test_a_missing_downgrade() -> None:
    text = revision("op.create_table('t')").partition("def downgrade")[0]
    assert [one.message for one in linted(text, "L07")] == ["There is no downgrade()"]
    assert linted(text.replace("from alembic", "from app import *\nfrom alembic"), "L07") == []


MODELS = [
    ("from app.models import User", "Session().query(User)", "warning"),
    ("from app.models import User", "op.execute(sa.insert(User))", "warning"),
    ("from app.models import User", "op.bulk_insert(User.__table__, [])", "warning"),
    ("from app import models", "sa.select(models.User.id)", "warning"),
    ("from app import db", "db.metadata.create_all(op.get_bind())", "warning"),
    ("from ..models import Base", "Base.metadata.create_all(op.get_bind())", "warning"),
    ("from app.models import User", "op.drop_index('a', User.__tablename__)", "note"),
]


@pytest.mark.parametrize(("line", "upgrade", "severity"), MODELS)
def test_models_of_the_application(line: str, upgrade: str, severity: str) -> None:
    assert found("L08", upgrade, above=line) == [(severity, line)]


@pytest.mark.parametrize(
    ("line", "upgrade"),
    [
        ("import app.types", "op.add_column('t', sa.Column('a', app.types.UUID()))"),
        ("from app.orm import JSONDict", "op.add_column('t', sa.Column('a', JSONDict()))"),
        ("from sqlalchemy import select", "op.execute(select(1))"),
        ("import logging", "logging.getLogger().info('a')"),
        ("from app.models import User", "pass"),
        ("from app import constants", "{}.get(constants.DEFAULT)"),
        ("from app.names import Name", "{}.get('a', Name)"),
        ("from app.names import Name", "{}.get(Name.FIRST)"),
        ("from app import engines", "engines.known.get('a')"),
        ("from app import db", "session = db.Session(op.get_bind())\ndb.session.close()"),
        ("from app.migrations.models import User", "sa.select(User)"),
        ("from app.alembic.versions import first", "first.Base.metadata"),
        ("from app.limits import MOST", "op.execute(sa.select(sa.column('a')).join(MOST))"),
    ],
)
def test_what_is_no_model(line: str, upgrade: str) -> None:
    assert found("L08", upgrade, above=line) == []


@pytest.mark.parametrize("name", ["skip_if_sqlite", "utils.not_on_sqlite", "postgresql_only"])
def test_a_decorator_that_leaves_sqlite_out(name: str) -> None:
    alter = "op.alter_column('users', 'name', type_=sa.Text())"
    text = revision(alter).replace("def upgrade", f"@{name}\ndef upgrade")
    assert linted(text, "L10") == []
    other = revision(alter).replace("def upgrade", "@timed\ndef upgrade")
    assert [one.severity for one in linted(other, "L10")] == ["warning"]


def test_a_decorated_function_of_the_files_own_may_do_nothing() -> None:
    alter = "op.alter_column('users', 'name', type_=sa.Text())"
    body = f"@only_elsewhere\ndef alter():\n    {alter}\nalter()"
    assert [one.severity for one in linted(revision(body), "L10")] == ["warning"]
    plain = body.removeprefix("@only_elsewhere\n")
    assert [one.severity for one in linted(revision(plain), "L10")] == ["error"]
