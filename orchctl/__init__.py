"""orchctl: safe Alembic migrations, snapshots and restarts for SQLite services."""

__version__ = "0.1.0"
