"""Facts about one SQLite file. Knows no Alembic."""
