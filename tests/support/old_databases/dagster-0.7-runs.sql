-- What Dagster 0.7.0 creates for its runs: create_all() of dagster/core/storage/runs/schema.py, WAL,
-- stamped with the newest revision that 0.7.0 has of that chain.
PRAGMA journal_mode=WAL;
BEGIN TRANSACTION;
CREATE TABLE run_tags (
	id INTEGER NOT NULL,
	run_id VARCHAR(255),
	"key" VARCHAR,
	value VARCHAR,
	PRIMARY KEY (id),
	FOREIGN KEY(run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE TABLE runs (
	id INTEGER NOT NULL,
	run_id VARCHAR(255),
	pipeline_name VARCHAR,
	status VARCHAR(63),
	run_body VARCHAR,
	create_timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
	update_timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (id),
	UNIQUE (run_id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('9fe9e746268c');
-- Rows, by hand.
INSERT INTO runs (id, run_id, pipeline_name, status, run_body, create_timestamp, update_timestamp)
VALUES
  (1, 'run-1', 'load', 'SUCCESS', '{"run_id": "run-1"}', '2020-03-01 00:00:00', '2020-03-01 00:01:00'),
  (2, 'run-2', 'load', 'FAILURE', '{"run_id": "run-2"}', '2020-03-02 00:00:00', '2020-03-02 00:01:00');
INSERT INTO run_tags VALUES (1, 'run-1', 'team', 'data'), (2, 'run-2', 'team', 'data');
COMMIT;
