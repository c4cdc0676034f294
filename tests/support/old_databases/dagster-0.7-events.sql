-- What Dagster 0.7.0 creates for its event_log: create_all() of dagster/core/storage/event_log/schema.py, WAL,
-- stamped with the newest revision that 0.7.0 has of that chain.
PRAGMA journal_mode=WAL;
BEGIN TRANSACTION;
CREATE TABLE event_logs (
	id INTEGER NOT NULL,
	run_id VARCHAR(255),
	event TEXT NOT NULL,
	dagster_event_type TEXT,
	timestamp TIMESTAMP,
	PRIMARY KEY (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('567bc23fd1ac');
-- Rows, by hand.
INSERT INTO event_logs VALUES
  (1, 'run-1', '{"message": "started"}', 'PIPELINE_START', '2020-03-01 00:00:00.000001'),
  (2, 'run-1', '{"message": "done"}', 'PIPELINE_SUCCESS', '2020-03-01 00:01:00.000001');
COMMIT;
