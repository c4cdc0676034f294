"""The real projects whose chains `python -m benchmarks.corpus` reads, each in one release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Corpus:
    """A distribution on PyPI whose wheel holds revisions.

    Attributes:
        name: The distribution's name.
        version: The release that is read.
        chains: The folders with revision files of each chain, within the wheel.
        recursive: Whether folders inside them count: what the project's settings say.
    """

    name: str
    version: str
    chains: tuple[str, ...]
    recursive: bool = False

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.name}=={self.version}"


def _one(name: str, version: str, folder: str, *, recursive: bool = False) -> Corpus:
    return Corpus(name, version, (f"{folder}/versions",), recursive)


CORPUS = (
    _one("aiida-core", "2.8.0", "aiida/storage/psql_dos/migrations"),
    Corpus(
        "aim",
        "3.29.1",
        ("aim/storage/migrations/versions", "aim/web/migrations/versions"),
    ),
    _one("anitya", "2.2.2", "anitya/db/migrations"),
    _one("aodh", "22.0.1", "aodh/storage/sqlalchemy/alembic"),
    _one("apache-airflow-core", "3.3.2", "airflow/migrations"),
    _one("apache-superset", "6.1.0", "superset/migrations"),
    _one("arize-phoenix", "20.3.0", "phoenix/db/migrations"),
    _one("barbican", "22.0.0", "barbican/model/migration/alembic_migrations"),
    _one("blazar", "17.0.0", "blazar/db/migration/alembic_migrations"),
    _one("bodhi-server", "8.1.1", "bodhi/server/migrations"),
    _one("buildbot", "4.3.0", "buildbot/db/migrations"),
    _one("cinder", "28.0.0", "cinder/db/migrations"),
    Corpus(
        "ckan",
        "2.11.5",
        (
            "ckan/migration/versions",
            "ckanext/activity/migration/activity/versions",
            "ckanext/example_database_migrations/migration/example_database_migrations/versions",
            "ckanext/tracking/migration/tracking/versions",
        ),
    ),
    Corpus(
        "cloudkitty",
        "24.0.0",
        (
            "cloudkitty/db/sqlalchemy/alembic/versions",
            "cloudkitty/rating/hash/db/sqlalchemy/alembic/versions",
            "cloudkitty/rating/pyscripts/db/sqlalchemy/alembic/versions",
            "cloudkitty/storage/v1/hybrid/alembic/versions",
            "cloudkitty/storage/v1/sqlalchemy/alembic/versions",
            "cloudkitty/storage_state/alembic/versions",
        ),
    ),
    _one("dagster", "1.13.29", "dagster/_core/storage/alembic"),
    _one("designate", "22.0.1", "designate/storage/sqlalchemy/alembic"),
    _one("faradaysec", "5.21.0", "faraday/migrations"),
    _one("glance", "32.0.0", "glance/db/sqlalchemy/alembic_migrations"),
    _one("ihatemoney", "7.2.1", "ihatemoney/migrations"),
    _one("ironic", "38.0.0", "ironic/db/sqlalchemy/alembic"),
    _one("ironic-inspector", "12.5.0", "ironic_inspector/db/migrations"),
    _one("jupyterhub", "6.1.1", "jupyterhub/alembic"),
    _one("keystone", "29.0.2", "keystone/common/sql/migrations", recursive=True),
    _one("magnum", "20.0.2", "magnum/db/sqlalchemy/alembic"),
    _one("manila", "22.0.0", "manila/db/migrations/alembic"),
    _one("masakari", "21.0.0", "masakari/db/sqlalchemy/migrations"),
    _one("mistral", "22.0.0", "mistral/db/sqlalchemy/migration/alembic_migrations"),
    Corpus(
        "mlflow-skinny",
        "3.17.2",
        ("mlflow/server/auth/db/migrations/versions", "mlflow/store/db_migrations/versions"),
    ),
    _one("neutron", "28.0.1", "neutron/db/migration/alembic_migrations", recursive=True),
    Corpus(
        "nova",
        "33.0.2",
        ("nova/db/api/migrations/versions", "nova/db/main/migrations/versions"),
    ),
    _one("octavia", "18.0.0", "octavia/db/migration/alembic_migrations"),
    _one("openstack-heat", "26.0.1", "heat/db/migrations"),
    _one("openstack-placement", "15.0.0", "placement/db/sqlalchemy/alembic"),
    _one("optuna", "5.0.0", "optuna/storages/_rdb/alembic"),
    Corpus(
        "prefect",
        "3.8.8",
        tuple(
            f"prefect/server/database/_migrations/versions/{database}"
            for database in ("postgresql", "sqlite")
        ),
    ),
    _one("python-watcher", "16.0.2", "watcher/db/sqlalchemy/alembic"),
    _one("quetz-server", "0.10.4", "quetz/migrations"),
    _one("rucio", "41.0.0", "rucio/db/sqla/migrate_repo"),
    Corpus(
        "skypilot",
        "0.14.1",
        tuple(
            f"sky/schemas/db/{database}"
            for database in (
                "global_user_state",
                "kv_cache",
                "recipes",
                "serve_state",
                "skypilot_config",
                "spot_jobs",
            )
        ),
    ),
    _one("tacker", "15.0.0", "tacker/db/migration/alembic_migrations"),
    _one("vitrage", "15.0.1", "vitrage/storage/sqlalchemy/migration/alembic_migrations"),
    _one("zenml", "0.98.0", "zenml/zen_stores/migrations"),
    _one("zun", "15.0.0", "zun/db/sqlalchemy/alembic"),
)
