"""The real projects whose chains `python -m benchmarks.corpus` reads, each at a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Corpus:
    """A project.

    Attributes:
        repository: `owner/name` on GitHub.
        tag: The release that is read.
        commit: What the tag has to point at.
        chains: The folders with revision files of each chain; a chain of several is one with
            several `version_locations`.
        recursive: Whether folders inside them count: what the project's settings say.
    """

    repository: str
    tag: str
    commit: str
    chains: tuple[tuple[str, ...], ...]
    recursive: bool = False

    @property
    def name(self) -> str:
        return self.repository.partition("/")[2]

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        return f"{self.repository.replace('/', '+')}@{self.commit}"


def _one(repository: str, tag: str, commit: str, chain: str) -> Corpus:
    return Corpus(repository, tag, commit, ((f"{chain}/versions",),))


def _openstack(name: str, tag: str, commit: str, chain: str) -> Corpus:
    return _one(f"openstack/{name}", tag, commit, chain)


CORPUS = (
    _one("aiidateam/aiida-core", "v2.8.0", "de76d9ebc918", "src/aiida/storage/psql_dos/migrations"),
    Corpus(
        "aimhubio/aim",
        "v3.29.1",
        "753f4b18437b",
        (("aim/storage/migrations/versions",), ("aim/web/migrations/versions",)),
    ),
    _one("fedora-infra/anitya", "2.2.2", "ee43ac62681f", "anitya/db/migrations"),
    _openstack("aodh", "22.0.1", "e07aeb6d118b", "aodh/storage/sqlalchemy/alembic"),
    _openstack("barbican", "22.0.0", "f8a331a40eb2", "barbican/model/migration/alembic_migrations"),
    _openstack("blazar", "17.0.0", "5ffbc853108b", "blazar/db/migration/alembic_migrations"),
    _one("fedora-infra/bodhi", "8.1.1", "e0d633623e00", "bodhi-server/bodhi/server/migrations"),
    _one("buildbot/buildbot", "v4.3.0", "678625117783", "master/buildbot/db/migrations"),
    _openstack("cinder", "28.0.0", "e83f4cba8722", "cinder/db/migrations"),
    Corpus(
        "ckan/ckan",
        "ckan-2.11.5",
        "69f790d9e378",
        (
            ("ckan/migration/versions",),
            ("ckanext/activity/migration/activity/versions",),
            ("ckanext/tracking/migration/tracking/versions",),
        ),
    ),
    Corpus(
        "openstack/cloudkitty",
        "24.0.0",
        "bf6195a4cd4b",
        (
            ("cloudkitty/db/sqlalchemy/alembic/versions",),
            ("cloudkitty/rating/hash/db/sqlalchemy/alembic/versions",),
            ("cloudkitty/rating/pyscripts/db/sqlalchemy/alembic/versions",),
            ("cloudkitty/storage/v1/hybrid/alembic/versions",),
            ("cloudkitty/storage/v1/sqlalchemy/alembic/versions",),
            ("cloudkitty/storage_state/alembic/versions",),
        ),
    ),
    _openstack("designate", "22.0.1", "d4b703bb4637", "designate/storage/sqlalchemy/alembic"),
    _one("infobyte/faraday", "v5.21.0", "615f6af90108", "faraday/migrations"),
    _openstack("glance", "32.0.0", "07dd0a203b68", "glance/db/sqlalchemy/alembic_migrations"),
    _openstack("heat", "26.0.1", "f8ffc8224272", "heat/db/migrations"),
    _one("spiral-project/ihatemoney", "7.1.1", "b911eb3941f4", "ihatemoney/migrations"),
    _openstack("ironic", "38.0.0", "ef76351616f4", "ironic/db/sqlalchemy/alembic"),
    _openstack("ironic-inspector", "12.5.0", "7bfbcd4ca3c9", "ironic_inspector/db/migrations"),
    _one("jupyterhub/jupyterhub", "5.5.1", "4b520710d977", "jupyterhub/alembic"),
    Corpus(
        "openstack/keystone",
        "29.0.2",
        "7b9f39226744",
        (("keystone/common/sql/migrations/versions",),),
        recursive=True,
    ),
    _one("letta-ai/letta", "0.16.8", "1131535716e8", "alembic"),
    _openstack("magnum", "20.0.2", "907b84271320", "magnum/db/sqlalchemy/alembic"),
    _openstack("manila", "22.0.0", "bb1965a08a20", "manila/db/migrations/alembic"),
    _openstack("masakari", "21.0.0", "bd31be2e61b8", "masakari/db/sqlalchemy/migrations"),
    _one("mealie-recipes/mealie", "v2.0.0", "a7c8b33cca37", "alembic"),
    _one("fedora-infra/mirrormanager2", "1.1.0", "df37cb114352", "mirrormanager2/lib/migrations"),
    _openstack(
        "mistral", "22.0.0", "a2259575a69a", "mistral/db/sqlalchemy/migration/alembic_migrations"
    ),
    Corpus(
        "openstack/neutron",
        "28.0.1",
        "8d11b5e2fd0f",
        (("neutron/db/migration/alembic_migrations/versions",),),
        recursive=True,
    ),
    Corpus(
        "openstack/nova",
        "33.0.2",
        "32bd8471f86f",
        (("nova/db/api/migrations/versions",), ("nova/db/main/migrations/versions",)),
    ),
    _openstack("octavia", "18.0.0", "6bad959e1207", "octavia/db/migration/alembic_migrations"),
    _one("optuna/optuna", "v4.9.0", "4db42e31c24b", "optuna/storages/_rdb/alembic"),
    _one("Arize-ai/phoenix", "arize-phoenix-v20.3.0", "8f31d5d541dc", "src/phoenix/db/migrations"),
    _openstack("placement", "15.0.0", "97a81217ba4c", "placement/db/sqlalchemy/alembic"),
    Corpus(
        "PrefectHQ/prefect",
        "3.8.3",
        "d8f54b5c4857",
        tuple(
            (f"src/prefect/server/database/_migrations/versions/{database}",)
            for database in ("postgresql", "sqlite")
        ),
    ),
    Corpus(
        "mamba-org/quetz",
        "v0.10.4",
        "eea3eef9b745",
        (
            (
                "quetz/migrations/versions",
                "plugins/quetz_conda_suggest/quetz_conda_suggest/migrations/versions",
                "plugins/quetz_content_trust/quetz_content_trust/migrations/versions",
                "plugins/quetz_runexports/quetz_runexports/migrations/versions",
                "plugins/quetz_tos/quetz_tos/migrations/versions",
            ),
        ),
    ),
    _one("rucio/rucio", "41.0.0", "dda2f841828e", "lib/rucio/db/sqla/migrate_repo"),
    _openstack("tacker", "15.0.0", "98a82a5c99be", "tacker/db/migration/alembic_migrations"),
    _one("google/timesketch", "20260630", "10dd077c6fe3", "timesketch/migrations"),
    _openstack(
        "vitrage",
        "15.0.1",
        "89df4bd2ffda",
        "vitrage/storage/sqlalchemy/migration/alembic_migrations",
    ),
    _one("release-engineering/waiverdb", "waiverdb-1.4.0", "8347b8b443b1", "waiverdb/migrations"),
    _openstack("watcher", "16.0.2", "171f4dc00c38", "watcher/db/sqlalchemy/alembic"),
    _openstack("zun", "15.0.0", "b480d7106e54", "zun/db/sqlalchemy/alembic"),
)
