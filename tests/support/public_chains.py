"""The chains of projects from PyPI that the tests upgrade."""

from __future__ import annotations

import sys

from tests.support.public_projects import PublicProject, old_database

OPTUNA = PublicProject(
    # Stock env.py with batch mode; the URL stands in the ini file.
    name="optuna",
    package="optuna",
    environment="sqlalchemy-2.1",
    versions="optuna/storages/_rdb/alembic/versions",
    options="script_location = optuna:storages/_rdb/alembic\nsqlalchemy.url = sqlite:///app.db",
    halfway="v2.6.0.a",
    rows="""
    INSERT INTO studies VALUES (1, 'first'), (2, 'second');
    INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0), (2, 'MAXIMIZE', 2, 0);
    INSERT INTO trials VALUES
      (1, 1, 'COMPLETE', '2022-01-01 00:00:00', '2022-01-01 00:01:00', 0),
      (2, 1, 'RUNNING', '2022-01-01 00:02:00', NULL, 1);
    INSERT INTO trial_params VALUES
      (1, 1, 'x', 0.25, '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}');
    INSERT INTO trial_values VALUES (1, 1, 0.5, 0);
    INSERT INTO trial_intermediate_values VALUES (1, 1, 0, 0.75), (2, 1, 1, 0.5);
    INSERT INTO trial_user_attributes VALUES (1, 1, 'note', '"kept"');
    """,
)

I_HATE_MONEY = PublicProject(
    # Flask-Migrate: env.py asks the current application for URL and metadata. The application's
    # own factory upgrades its database by itself, so the application here is a bare one.
    name="ihatemoney",
    package="ihatemoney",
    environment="sqlalchemy-2.0",
    versions="ihatemoney/migrations/versions",
    options="script_location = %(here)s/migrations\nversion_locations = {versions}",
    env_py="""
import runpy
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from ihatemoney.models import db

app = Flask("ihatemoney")
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path('app.db').absolute()}"
db.init_app(app)
Migrate(app, db)
with app.app_context():
    runpy.run_path(str(Path(app.root_path) / "migrations" / "env.py"))
""",
    halfway="6c6fb2b7f229",
    rows="""
    INSERT INTO project VALUES ('trip', 'Trip', 'pbkdf2:sha256:1$a$b', 'a@example.org');
    INSERT INTO person VALUES (1, 'trip', 'Ann', 1, 1.0), (2, 'trip', 'Bob', 1, 2.0);
    INSERT INTO bill VALUES (1, 1, 10.5, '2020-01-01', 'food', NULL, '2020-01-01', NULL),
      (2, 2, 20.0, '2020-01-02', 'fuel', NULL, '2020-01-02', 'https://example.org');
    INSERT INTO billowers VALUES (1, 1), (1, 2), (2, 1);
    """,
)

QUETZ = PublicProject(
    # env.py computes its URL, and never closes its connection; the chain has a merge.
    name="quetz",
    package="quetz-server",
    environment="sqlalchemy-2.0",
    versions="quetz/migrations/versions",
    options="script_location = quetz:migrations\n"
    "version_locations = {versions}\nsqlalchemy.url = sqlite:///app.db",
    halfway="98c04a65df4a",
    rows="""
    INSERT INTO users VALUES (x'01', 'ann', 'owner'), (x'02', 'bob', 'member');
    INSERT INTO profiles VALUES ('Ann', 'https://example.org/ann.png', x'01');
    INSERT INTO api_keys VALUES ('key', 'for tests', 0, x'01', x'01');
    INSERT INTO channels VALUES ('main', 'the channel', 0, NULL, NULL, NULL, 10, NULL);
    INSERT INTO channel_members VALUES ('main', x'01', 'owner');
    INSERT INTO packages VALUES ('tool', 'main', 'a tool', 'tool', '{}');
    INSERT INTO package_members VALUES ('main', 'tool', x'02', 'member');
    INSERT INTO package_versions VALUES (x'0a', 'main', 'tool', 'TARBZ2', 'noarch', '1.0', 'h0', 0,
      0, 'tool-1.0-h0.tar.bz2', '{}', x'01', '2021-01-01 00:00:00', '2021-01-01 00:00:00', 10, 3);
    INSERT INTO channel_mirrors VALUES (x'0b', 'main', 'https://mirror.example.org', NULL);
    """,
)

SKYPILOT = PublicProject(
    # One ini file with a section for each database; the version table's name is one of its options.
    # autocommit_block() in nearly every revision, and some that swallow "duplicate column".
    name="skypilot",
    package="skypilot",
    commits="nearly every revision works in an autocommit_block()",
    commits_later="nearly every revision works in an autocommit_block()",
    environment="sqlalchemy-2.1",
    versions="sky/schemas/db/global_user_state",
    section="state_db",
    options="script_location = sky:schemas/db\nversion_locations = {versions}\n"
    "version_table = alembic_version_state_db\nsqlalchemy.url = sqlite:///app.db",
    variables={"HOME": "{folder}"},
    halfway="010",
    rows="""
    INSERT INTO users (id, name) VALUES ('u1', 'ann');
    INSERT INTO clusters (name, status, handle, user_hash) VALUES ('c1', 'UP', x'00ff', 'u1'),
      ('c2', 'STOPPED', NULL, 'u1');
    INSERT INTO storage (name, status) VALUES ('bucket', 'READY');
    INSERT INTO cluster_history (cluster_hash, name, num_nodes) VALUES ('h1', 'c1', 2);
    """,
    version_table="alembic_version_state_db",
)

AIM = PublicProject(
    # env.py makes an engine of its own from an environment variable.
    name="aim",
    package="aim",
    environment="sqlalchemy-2.0",
    versions="aim/storage/migrations/versions",
    options="script_location = aim:storage/migrations\nversion_locations = {versions}",
    variables={"AIM_RUN_META_DATA_DB_URL": "sqlite:///app.db", "HOME": "{folder}"},
    halfway="3c4f22db7a46",
    rows="""
    INSERT INTO experiment VALUES (1, 'e-1', 'baseline', '2022-01-01', '2022-01-01', 0);
    INSERT INTO tag VALUES (1, 't-1', 'good', '#0f0', '2022-01-01', '2022-01-01', 0, 'kept');
    INSERT INTO run VALUES (1, 'h1', 'run', 'first', 0, '2022-01-01', '2022-01-01', 1, NULL);
    INSERT INTO run_tag VALUES (1, 1);
    """,
)

JUPYTERHUB = PublicProject(
    # Several revisions look at the schema through bind.engine.
    name="jupyterhub",
    package="jupyterhub",
    environment="servers",
    versions="jupyterhub/alembic/versions",
    options="script_location = jupyterhub:alembic\nsqlalchemy.url = sqlite:///app.db",
    start="jupyterhub-1.5.sql",
    lost={
        "api_tokens": "833da8570507 drops the table, tokens have to be issued again",
        "oauth_access_tokens": "833da8570507 drops the table, everybody logs in again",
    },
    lost_later={
        "api_token_role_map": "651f5419b74d writes what the roles allow into api_tokens.scopes",
        "oauth_client_role_map": "651f5419b74d writes it into oauth_clients.allowed_scopes",
    },
    # Hub 2.3 has tables that no revision makes; 651f5419b74d moves their data in an ORM session.
    halfway="833da8570507",
    rows=old_database("jupyterhub-2.3-added.sql"),
)

MLFLOW = PublicProject(
    # Stock env.py with batch mode; some revisions commit an ORM session on its connection.
    name="mlflow",
    package="mlflow-skinny",
    environment="servers",
    versions="mlflow/store/db_migrations/versions",
    options="script_location = mlflow:store/db_migrations\nsqlalchemy.url = sqlite:///app.db",
    start="mlflow-0.9.sql",
    halfway="0584bdc529eb",
    rows="""
    INSERT INTO registered_models VALUES ('classifier', 1600000000000, 1600000000001, 'the model');
    INSERT INTO registered_model_tags VALUES ('stage', 'beta', 'classifier');
    INSERT INTO registered_model_aliases VALUES ('champion', 1, 'classifier');
    INSERT INTO model_versions VALUES ('classifier', 1, 1600000000000, 1600000000001, NULL, 'ann',
      'Production', './mlruns/0/r1/artifacts/model', 'r1', 'READY', NULL, NULL, NULL);
    INSERT INTO model_version_tags VALUES ('size', '3', 'classifier', 1);
    INSERT INTO experiment_tags VALUES ('owner', 'ann', 0);
    INSERT INTO datasets VALUES ('d1', 0, 'train', 'abc', 'local', '{}', NULL, '{"rows": 2}');
    INSERT INTO inputs VALUES ('i1', 'DATASET', 'd1', 'RUN', 'r1');
    INSERT INTO input_tags VALUES ('i1', 'context', 'training');
    INSERT INTO trace_info VALUES ('tr-1', 0, 1600000000000, 5, 'OK');
    INSERT INTO trace_tags VALUES ('k', 'v', 'tr-1');
    INSERT INTO trace_request_metadata VALUES ('m', 'w', 'tr-1');
    """,
)

PREFECT = PublicProject(
    # `prefect server database upgrade` runs Alembic in a worker thread of an event loop, to which
    # env.py hands its coroutine. It names the folder of the revisions too: here the copy.
    name="prefect",
    package="prefect",
    commits="revisions that move data work in an autocommit_block(), env.py runs COMMIT and END",
    commits_later="revisions that move data work in an autocommit_block(), "
    "env.py runs COMMIT and END",
    environment="servers",
    versions="prefect/server/database/_migrations/versions/sqlite",
    options="script_location = %(here)s/migrations\nversion_locations = {versions}",
    env_py="""
import runpy
from pathlib import Path

import anyio
import prefect.server.database
from prefect.server.database.orm_models import AioSqliteORMConfiguration
from prefect.utilities.asyncutils import run_sync_in_worker_thread

AioSqliteORMConfiguration.versions_dir = property(lambda self: Path("versions").absolute())
env = Path(prefect.server.database.__file__).parent / "_migrations" / "env.py"
anyio.run(run_sync_in_worker_thread, runpy.run_path, str(env))
""",
    variables={
        "PREFECT_HOME": "{folder}/home",
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///{folder}/app.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    },
    halfway="f92143d30c24",
    rows="""
    INSERT INTO flow (id, name) VALUES ('f1', 'etl'), ('f2', 'report');
    INSERT INTO work_queue (id, name, filter) VALUES ('q1', 'default', NULL), ('q2', 'gpu', NULL);
    INSERT INTO deployment (id, name, flow_id, work_queue_name, schedule, manifest_path)
      VALUES ('d1', 'nightly', 'f1', 'default', '{"cron": "0 2 * * *"}', 'm.json'),
      ('d2', 'weekly', 'f2', 'gpu', NULL, NULL);
    INSERT INTO flow_run (id, name, flow_id, deployment_id, work_queue_name, state_type, state_name,
      state_id) VALUES ('r1', 'red-fox', 'f1', 'd1', 'default', 'COMPLETED', 'Completed', 's1'),
      ('r2', 'big-owl', 'f2', NULL, NULL, 'FAILED', 'Failed', 's2');
    INSERT INTO flow_run_state (id, flow_run_id, type, name, timestamp, data)
      VALUES ('s1', 'r1', 'COMPLETED', 'Completed', '2023-01-01 00:00:00', '{"result": 1}'),
      ('s2', 'r2', 'FAILED', 'Failed', '2023-01-02 00:00:00', NULL);
    INSERT INTO task_run (id, name, flow_run_id, task_key, dynamic_key, state_id)
      VALUES ('t1', 'extract-0', 'r1', 'extract', '0', 'u1');
    INSERT INTO task_run_state (id, task_run_id, type, name, timestamp, data)
      VALUES ('u1', 't1', 'COMPLETED', 'Completed', '2023-01-01 00:00:00', '{"result": 2}');
    INSERT INTO log (id, name, level, flow_run_id, task_run_id, message, timestamp)
      VALUES ('l1', 'prefect', 20, 'r1', 't1', 'Hello', '2023-01-01 00:00:00');
    INSERT INTO concurrency_limit (id, tag, concurrency_limit) VALUES ('c1', 'db', 3);
    INSERT INTO agent (id, name, work_queue_id) VALUES ('a1', 'agent', 'q1');
    INSERT INTO saved_search (id, name) VALUES ('x1', 'failed runs');
    INSERT INTO configuration (id, key, value) VALUES ('k1', 'telemetry', '{"session": "s"}');
    """,
    lost_later={
        "concurrency_limit": "9e83011d1f2a turns the rows into ones of concurrency_limit_v2, "
        "under other keys and names",
        "deployment.manifest_path": "its column is dropped with the values",
    },
)

# What `dagster instance migrate` does for each of its storages: env.py wants a connection,
# revisions ask the instance that is being upgraded for its scheduler. A real instance would run
# Alembic for its own storages inside this run.
_DAGSTER_ENV = """
import runpy
from pathlib import Path
from types import SimpleNamespace

import dagster
import sqlalchemy as sa
from alembic import context
from dagster._core.storage.migration.utils import upgrading_instance

env = Path(dagster.__file__).parent / "_core" / "storage" / "alembic" / "env.py"
engine = sa.create_engine("sqlite:///app.db", poolclass=sa.NullPool)
with upgrading_instance(SimpleNamespace(scheduler=None)):
    with engine.connect() as connection, connection.begin():
        context.config.attributes["connection"] = connection
        context.config.attributes["run_id"] = "run-1"
        runpy.run_path(str(env))
"""


def _dagster(
    storage: str, halfway: str, rows: str, lost: dict[str, str] | None = None
) -> PublicProject:
    return PublicProject(
        name=f"dagster-{storage}",
        package="dagster",
        environment="servers",
        versions="dagster/_core/storage/alembic/versions",
        options="script_location = %(here)s/migrations\nversion_locations = {versions}",
        env_py=_DAGSTER_ENV,
        variables={"DAGSTER_DISABLE_TELEMETRY": "1", "HOME": "{folder}"},
        start=f"dagster-0.7-{storage}.sql",
        halfway=halfway,
        rows=rows,
        lost=lost or {},
    )


DAGSTER = (
    _dagster(
        "runs",
        "5e139331e376",
        """
        INSERT INTO snapshots VALUES (1, 'snap', x'789c', 'PIPELINE');
        INSERT INTO runs (id, run_id, pipeline_name, status, run_body, snapshot_id, start_time)
          VALUES (3, 'run-3', 'load', 'STARTED', '{"run_id": "run-3"}', 'snap', 1666000000.25);
        INSERT INTO run_tags VALUES (3, 'run-3', '.dagster/backfill', 'b1');
        INSERT INTO bulk_actions (id, key, status, timestamp)
          VALUES (1, 'b1', 'REQUESTED', '2022-10-01 00:00:00');
        INSERT INTO daemon_heartbeats VALUES ('SCHEDULER', 'd1', '2022-10-01 00:00:00', '{}'),
          ('SENSOR', 'd1', '2022-10-01 00:00:00', '{}');
        INSERT INTO secondary_indexes VALUES (1, 'run_partitions', '2022-10-01', '2022-10-01');
        INSERT INTO kvs VALUES ('cursor', '17');
        """,
    ),
    _dagster(
        "events",
        "5e139331e376",
        """
        INSERT INTO event_logs VALUES (3, 'run-3', '{}', 'ASSET_MATERIALIZATION',
          '2022-10-01 00:00:00.000001', 'load', '["table"]', '2022-10-01');
        INSERT INTO asset_keys (id, asset_key, last_run_id, tags)
          VALUES (1, '["table"]', 'run-3', '{}');
        INSERT INTO secondary_indexes VALUES (1, 'asset_key_table', '2022-10-01', '2022-10-01');
        """,
    ),
    _dagster(
        "schedules",
        "5e139331e376",
        """
        INSERT INTO jobs (id, job_origin_id, status, job_type, job_body, selector_id)
          VALUES (1, 'o1', 'RUNNING', 'SCHEDULE', '{"cron": "0 2 * * *"}', 's1');
        INSERT INTO job_ticks (id, job_origin_id, status, type, timestamp, tick_body, selector_id)
          VALUES (1, 'o1', 'SUCCESS', 'SCHEDULE', '2022-10-01 00:00:00', '{}', 's1');
        INSERT INTO instigators (id, selector_id, status, instigator_type, instigator_body)
          VALUES (1, 's1', 'RUNNING', 'SCHEDULE', '{}');
        INSERT INTO kvs VALUES ('cursor', '17');
        """,
        lost={"schedules": "8ccbed5060b8 drops the table, Dagster 0.10 keeps them elsewhere"},
    ),
)

# Aim has no wheels for Python 3.13 and later.
PROJECTS = (
    OPTUNA,
    I_HATE_MONEY,
    QUETZ,
    SKYPILOT,
    JUPYTERHUB,
    MLFLOW,
    PREFECT,
    *DAGSTER,
    *([AIM] if sys.version_info < (3, 13) else []),
)
