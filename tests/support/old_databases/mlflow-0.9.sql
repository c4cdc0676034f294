-- What MLflow creates before its first revision runs: create_all() of
-- mlflow.store.tracking.dbmodels.initial_models (its schema as of 0.9.1).
BEGIN TRANSACTION;
CREATE TABLE experiments (
	experiment_id INTEGER NOT NULL,
	name VARCHAR(256) NOT NULL,
	artifact_location VARCHAR(256),
	lifecycle_stage VARCHAR(32),
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
	UNIQUE (name)
);
CREATE TABLE metrics (
	"key" VARCHAR(250) NOT NULL,
	value FLOAT NOT NULL,
	timestamp BIGINT NOT NULL,
	run_uuid VARCHAR(32) NOT NULL,
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, run_uuid),
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
CREATE TABLE params (
	"key" VARCHAR(250) NOT NULL,
	value VARCHAR(250) NOT NULL,
	run_uuid VARCHAR(32) NOT NULL,
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
CREATE TABLE runs (
	run_uuid VARCHAR(32) NOT NULL,
	name VARCHAR(250),
	source_type VARCHAR(20),
	source_name VARCHAR(500),
	entry_point_name VARCHAR(50),
	user_id VARCHAR(256),
	status VARCHAR(20),
	start_time BIGINT,
	end_time BIGINT,
	source_version VARCHAR(50),
	lifecycle_stage VARCHAR(20),
	artifact_uri VARCHAR(200),
	experiment_id INTEGER,
	CONSTRAINT run_pk PRIMARY KEY (run_uuid),
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
	CONSTRAINT status CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING')),
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE tags (
	"key" VARCHAR(250) NOT NULL,
	value VARCHAR(250),
	run_uuid VARCHAR(32) NOT NULL,
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
-- Rows, by hand.
INSERT INTO experiments VALUES (0, 'Default', './mlruns/0', 'active'), (1, 'old', NULL, 'deleted');
INSERT INTO runs VALUES
  ('r1', 'first', 'LOCAL', 'train.py', 'main', 'ann', 'FINISHED', 1550000000000, 1550000001000,
   'abc', 'active', './mlruns/0/r1/artifacts', 0),
  ('r2', NULL, 'NOTEBOOK', 'nb', NULL, 'bob', 'RUNNING', 1550000002000, NULL, NULL, 'active', '', 0);
INSERT INTO metrics VALUES ('loss', 0.5, 1550000000100, 'r1'), ('loss', 0.25, 1550000000200, 'r1'),
  ('auc', 0.75, 1550000000300, 'r2');
INSERT INTO params VALUES ('lr', '0.1', 'r1');
INSERT INTO tags VALUES ('note', 'kept', 'r1');
COMMIT;
