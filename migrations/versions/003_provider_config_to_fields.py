"""provider config to fields

Revision ID: 003
Revises: 002
Create Date: 2025-11-03 11:26:55.870462

The JSON of providers.config becomes api_key and base_url. What else a config holds (organization,
headers …) goes to the table `provider_config_extras`, one row for each provider that has more
than those two, and the downgrade puts it back. The six tables are the same with and without it. An
earlier form of this revision dropped those keys; a database that went through it doesn't have the
table until it passes 004 in either direction, and the models call it optional.

A config that can't be converted stops the upgrade before anything is changed and is named with
its row's id. Everything is SQL, so that `--sql` writes what the online upgrade executes. From the
first UPDATE or INSERT on Python's sqlite3 is in a transaction, so that all of the upgrade, its
stamp included, is kept or nothing.

api_key is NOT NULL without a default, which ADD COLUMN can't do: `providers` is rebuilt. With
foreign keys on, dropping the old table takes its ON DELETE CASCADE children along; inside a
transaction they can't be switched off. So the children are kept aside and put back.
"""

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "003"
down_revision: str | None = "002"
branch_labels: str | None = None
depends_on: str | None = None

# For orchctl, whose proof looks for whole values: a config isn't lost, it is taken apart.
orchctl_allow_loss = {"providers.config"}

CHILDREN = ("model_providers", "provider_health", "provider_stats")

# Each provider's config taken apart, or the obstacle to that. CASE takes the first branch that is
# true, so no JSON function meets a text that the branches before it have not let through.
READ_CONFIGS = r"""
CREATE TEMPORARY TABLE provider_conversion AS
SELECT id, obstacle,
  CASE WHEN obstacle IS NULL THEN json_extract(config, '$.api_key') ELSE '' END AS api_key,
  CASE WHEN obstacle IS NULL THEN json_extract(config, '$.base_url') END AS base_url,
  CASE WHEN obstacle IS NOT NULL THEN config
    WHEN json_type(config, '$.base_url') = 'null' THEN json_remove(config, '$.api_key')
    ELSE json_remove(config, '$.api_key', '$.base_url') END AS extras
FROM (
  SELECT id, config, CASE
    WHEN typeof(config) <> 'text' THEN 'config is no text'
    WHEN NOT json_valid(config) OR instr(config, char(0)) > 0 THEN 'config is no JSON'
    WHEN json_type(config) <> 'object' THEN 'config is no JSON object'
    WHEN (SELECT count(*) FROM json_each(config) WHERE key = 'api_key') > 1 THEN 'two api_key'
    WHEN (SELECT count(*) FROM json_each(config) WHERE key = 'base_url') > 1 THEN 'two base_url'
    WHEN json_type(config, '$.api_key') IS NULL THEN 'no api_key'
    WHEN json_type(config, '$.api_key') = 'null' THEN 'api_key is null'
    WHEN json_type(config, '$.api_key') <> 'text' THEN 'api_key is no text'
    WHEN length(json_extract(config, '$.api_key')) > 255 THEN 'api_key is over 255 characters'
    WHEN json_type(config, '$.base_url') NOT IN ('text', 'null') THEN 'base_url is no text'
    WHEN length(json_extract(config, '$.base_url')) > 255 THEN 'base_url is over 255 characters'
    WHEN instr(json_extract(config, '$.api_key', '$.base_url'), '\u0000') > 0 THEN 'a NUL character'
  END AS obstacle
  FROM providers
)
"""

# SQL that fails with a text of its own making: json_extract() quotes a path it can't read in its
# error. RAISE() takes no expression before SQLite 3.47.
REFUSE_OBSTACLES = """
UPDATE providers SET config = json_extract('{}', failure.message)
FROM (
  SELECT 'revision 003 cannot convert the config of ' || count(*) || ' of the providers - '
    || group_concat(CASE
      WHEN nth <= 20 THEN 'id ' || id || ' (' || obstacle || ')'
      WHEN nth = 21 THEN 'and more' END, ', ')
    || ' - mend or delete them and upgrade again' AS message
  FROM (
    SELECT id, obstacle, row_number() OVER (ORDER BY id) AS nth
    FROM provider_conversion WHERE obstacle IS NOT NULL
  )
) AS failure
WHERE failure.message IS NOT NULL
"""

# A shell that goes on after the refusal (sqlite3 without -bail) brings every provider here all
# the same: with an empty api_key, and its config word for word in provider_config_extras.
CONVERT_PROVIDERS = """
INSERT INTO _providers_003
  (id, name, type, enabled, created_at, updated_at, priority, weight, max_retries, timeout,
   rate_limit, api_key, base_url)
SELECT p.id, p.name, p.type, p.enabled, p.created_at, p.updated_at, p.priority, p.weight,
  p.max_retries, p.timeout, p.rate_limit, c.api_key, c.base_url
FROM providers AS p JOIN provider_conversion AS c ON c.id = p.id
"""

STORE_EXTRAS = """
INSERT INTO provider_config_extras (provider_id, config)
SELECT id, extras FROM provider_conversion WHERE extras <> '{}'
"""

RESTORE_CONFIGS = """
INSERT INTO provider_restoration (id, config)
SELECT p.id, CASE
  WHEN NOT json_valid(coalesce(e.config, '{}')) THEN e.config
  WHEN p.base_url IS NULL THEN json_set(coalesce(e.config, '{}'), '$.api_key', p.api_key)
  ELSE json_set(coalesce(e.config, '{}'), '$.api_key', p.api_key, '$.base_url', p.base_url) END
FROM providers AS p LEFT JOIN provider_config_extras AS e ON e.provider_id = p.id
"""

RESTORE_PROVIDERS = """
INSERT INTO _providers_002
  (id, name, type, config, enabled, created_at, updated_at, priority, weight, max_retries,
   timeout, rate_limit)
SELECT p.id, p.name, p.type, r.config, p.enabled, p.created_at, p.updated_at, p.priority,
  p.weight, p.max_retries, p.timeout, p.rate_limit
FROM providers AS p JOIN provider_restoration AS r ON r.id = p.id
"""


def upgrade() -> None:
    """Take the configs apart; refuse, with their ids, the rows where that can't be done."""
    op.execute(READ_CONFIGS.strip())
    op.execute(REFUSE_OBSTACLES.strip())
    keep_children()
    create_providers(
        "_providers_003",
        at_the_end=[
            sa.Column("api_key", sa.String(255), nullable=False),
            sa.Column("base_url", sa.String(255), nullable=True),
        ],
    )
    op.execute(CONVERT_PROVIDERS.strip())
    op.drop_table("providers")
    op.rename_table("_providers_003", "providers")
    put_children_back()
    create_extras()
    op.execute(STORE_EXTRAS.strip())
    op.execute("DROP TABLE temp.provider_conversion")


def downgrade() -> None:
    """Put each config together again, with the keys that were set aside."""
    # Made if missing: see the head of this file.
    create_extras(if_not_exists=True)
    op.execute("CREATE TEMPORARY TABLE provider_restoration (id INTEGER PRIMARY KEY, config TEXT)")
    op.execute(RESTORE_CONFIGS.strip())
    keep_children()
    create_providers("_providers_002", after_type=[sa.Column("config", sa.Text(), nullable=False)])
    op.execute(RESTORE_PROVIDERS.strip())
    op.drop_table("providers")
    op.rename_table("_providers_002", "providers")
    put_children_back()
    op.drop_table("provider_config_extras")
    op.execute("DROP TABLE temp.provider_restoration")


def create_providers(
    name: str,
    *,
    after_type: list[sa.Column[str]] | None = None,
    at_the_end: list[sa.Column[str]] | None = None,
) -> None:
    now = sa.text("CURRENT_TIMESTAMP")
    op.create_table(
        name,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        *(after_type or []),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("1"), nullable=True),
        sa.Column("created_at", sa.DateTime(), server_default=now, nullable=True),
        sa.Column("updated_at", sa.DateTime(), server_default=now, nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("weight", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("timeout", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        *(at_the_end or []),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def create_extras(*, if_not_exists: bool = False) -> None:
    op.create_table(
        "provider_config_extras",
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("provider_id"),
        if_not_exists=if_not_exists,
    )


def keep_children() -> None:
    for child in CHILDREN:
        op.execute(f"CREATE TEMPORARY TABLE kept_{child} AS SELECT * FROM {child}")  # noqa: S608


def put_children_back() -> None:
    """Put back the rows that went with the old table: none with foreign keys off."""
    for child in CHILDREN:
        op.execute(
            f"INSERT INTO {child} SELECT * FROM kept_{child} "  # noqa: S608
            f"WHERE id NOT IN (SELECT id FROM {child})"
        )
        op.execute(f"DROP TABLE temp.kept_{child}")
