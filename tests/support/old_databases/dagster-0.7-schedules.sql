-- What Dagster 0.7.0 creates for its schedules: create_all() of dagster/core/storage/schedules/schema.py, WAL,
-- stamped with the newest revision that 0.7.0 has of that chain.
PRAGMA journal_mode=WAL;
BEGIN TRANSACTION;
CREATE TABLE schedules (
	id INTEGER NOT NULL,
	repository_name VARCHAR(255),
	schedule_name VARCHAR,
	status VARCHAR(63),
	schedule_body VARCHAR,
	create_timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
	update_timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (id),
	UNIQUE (repository_name, schedule_name)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('da7cd32b690d');
-- Rows, by hand.
INSERT INTO schedules VALUES (1, 'repo', 'nightly', 'RUNNING', '{"cron": "0 2 * * *"}',
  '2020-03-01 00:00:00', '2020-03-01 00:00:00');
COMMIT;
